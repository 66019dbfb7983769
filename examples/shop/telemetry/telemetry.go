// Package telemetry is all that a Go service needs to be seen: docs/instrumentation/go.md explains it, step by step.
package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Server is a service: add routes with Handle, then Run.
type Server struct {
	mux      *http.ServeMux
	tracing  *sdktrace.TracerProvider
	duration metric.Float64Histogram
	active   metric.Int64UpDownCounter
}

// Start sets up traces, metrics and logs as the variables OTEL_* say, and serves /metrics and /healthz.
func Start(ctx context.Context) (*Server, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	tracing := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	otel.SetTracerProvider(tracing)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))

	reader, err := otelprometheus.New(otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, err
	}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("telemetry")
	duration, err := meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Time until the answer was written."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10))
	if err != nil {
		return nil, err
	}
	active, err := meter.Int64UpDownCounter("http.server.active_requests", metric.WithDescription("Requests under way."))
	if err != nil {
		return nil, err
	}
	slog.SetDefault(slog.New(linked{slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: renamed})}).
		With("service", os.Getenv("OTEL_SERVICE_NAME")))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("telemetry", "error", err.Error()) }))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	// Exemplars exist in the OpenMetrics format only.
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.DefaultGatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return &Server{mux, tracing, duration, active}, nil
}

// Handle adds a route: each request gets a span, is counted and timed, and may panic. The pattern is "METHOD /path".
func (s *Server) Handle(pattern string, next http.HandlerFunc) {
	method, route, _ := strings.Cut(pattern, " ")
	named := metric.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route))
	observed := func(w http.ResponseWriter, r *http.Request) {
		ctx, begun, answer := r.Context(), time.Now(), &status{w, http.StatusOK}
		span := trace.SpanFromContext(ctx)
		w.Header().Set("X-Trace-Id", span.SpanContext().TraceID().String())
		s.active.Add(ctx, 1, named)
		defer func() {
			if failure := recover(); failure != nil {
				slog.ErrorContext(ctx, fmt.Sprint("panic: ", failure), "stack", string(debug.Stack()))
				span.RecordError(fmt.Errorf("panic: %v", failure), trace.WithStackTrace(true))
				span.SetStatus(codes.Error, "panic")
				Answer(answer, http.StatusInternalServerError, map[string]any{"error": "internal"})
			}
			s.active.Add(ctx, -1, named)
			took := time.Since(begun).Seconds()
			s.duration.Record(ctx, took, named, metric.WithAttributes(attribute.Int("http.response.status_code", answer.code)))
			slog.InfoContext(ctx, pattern, "status", answer.code, "duration_ms", int(took*1000))
		}()
		next(answer, r)
	}
	// Its own metrics are off: they name the caller's host, and that makes exemplars too long for Prometheus.
	s.mux.Handle(pattern, otelhttp.NewHandler(http.HandlerFunc(observed), pattern, otelhttp.WithMeterProvider(noop.NewMeterProvider())))
}

// Run serves on port 8000 until SIGTERM; then it answers what is under way, and sends the spans that still wait.
func (s *Server) Run() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	server := &http.Server{Addr: ":8000", Handler: s.mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("ready")
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	last, cancelLast := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancelLast()
	if err := errors.Join(err, server.Shutdown(last), s.tracing.Shutdown(last)); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// Client calls other services: its spans are parents of theirs, and trace context and baggage go along.
var Client = &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport), Timeout: 10 * time.Second}

// Answer writes JSON.
func Answer(w http.ResponseWriter, code int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

// status remembers what was answered.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// linked adds the ids of the context's span to each line.
type linked struct{ slog.Handler }

func (l linked) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return l.Handler.Handle(ctx, record)
}

func (l linked) WithAttrs(attrs []slog.Attr) slog.Handler { return linked{l.Handler.WithAttrs(attrs)} }

func renamed(_ []string, attr slog.Attr) slog.Attr {
	if attr.Key == slog.MessageKey {
		attr.Key = "message"
	}
	return attr
}
