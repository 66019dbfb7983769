// Package faults does what the header X-Fault asks for, to see what the stack shows of it. Never in production.
package faults

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"nervous-system/examples/shop/telemetry"
)

const member = "fault"

var (
	on     = os.Getenv("SHOP_FAULTS") == "on"
	leaked [][]byte
)

// FromHeader puts X-Fault into the baggage, by which all services behind this one hear of it.
func FromHeader(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// What a stranger sends as baggage would go to every service and into every trace.
		ctx := baggage.ContextWithoutBaggage(r.Context())
		if asked := r.Header.Get("X-Fault"); asked != "" && on {
			fault, err := baggage.NewMemberRaw(member, asked)
			if err != nil {
				telemetry.Answer(w, http.StatusBadRequest, map[string]any{"error": "X-Fault: " + err.Error()})
				return
			}
			carried, _ := baggage.New(fault)
			ctx = baggage.ContextWithBaggage(ctx, carried)
		}
		next(w, r.WithContext(ctx))
	}
}

// Injected does, before next, what the baggage wants of this service: "<service>=<kind>[:<value>]", several by comma.
func Injected(next http.HandlerFunc) http.HandlerFunc {
	if !on {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		for fault := range strings.SplitSeq(baggage.FromContext(r.Context()).Member(member).Value(), ",") {
			service, what, _ := strings.Cut(strings.TrimSpace(fault), "=")
			if service != os.Getenv("OTEL_SERVICE_NAME") {
				continue
			}
			kind, value, _ := strings.Cut(what, ":")
			if answered := happen(w, r, kind, value); answered {
				return
			}
		}
		next(w, r)
	}
}

func happen(w http.ResponseWriter, r *http.Request, kind, value string) bool {
	ctx := r.Context()
	switch kind {
	case "latency":
		pause, _ := time.ParseDuration(value)
		time.Sleep(pause)
	case "error":
		err := errors.New("injected fault: error")
		span := trace.SpanFromContext(ctx)
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.ErrorContext(ctx, err.Error())
		telemetry.Answer(w, http.StatusInternalServerError, map[string]any{"error": "injected"})
		return true
	case "panic":
		panic("injected fault: panic")
	case "leak":
		hold(value)
	case "logburst":
		lines, _ := strconv.Atoi(value)
		for line := range lines {
			slog.InfoContext(ctx, "injected fault: log burst", "line", line)
		}
	}
	return false
}

// hold keeps that much memory for good, and writes to it, so that it counts.
func hold(size string) {
	for unit, factor := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if number, found := strings.CutSuffix(size, unit); found {
			count, _ := strconv.Atoi(number)
			block := make([]byte, count*factor)
			for page := 0; page < len(block); page += 4096 {
				block[page] = 1
			}
			leaked = append(leaked, block)
		}
	}
}
