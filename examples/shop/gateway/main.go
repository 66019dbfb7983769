// Gateway: the one service that clients reach. It knows who asks, and passes requests on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"nervous-system/examples/shop/faults"
	"nervous-system/examples/shop/telemetry"
)

var errNobody = errors.New("no valid session")

func main() {
	server, err := telemetry.Start(context.Background())
	if err != nil {
		slog.Error("cannot start", "error", err)
		os.Exit(1)
	}
	handle := func(pattern string, next http.HandlerFunc) {
		server.Handle(pattern, faults.FromHeader(faults.Injected(next)))
	}
	handle("POST /login", to("http://auth:8000"))
	handle("GET /products", to("http://products:8000"))
	handle("GET /products/{id}", to("http://products:8000"))
	handle("POST /orders", signedIn(to("http://orders:8000")))
	handle("GET /users/me", signedIn(to("http://users:8000")))
	server.Run()
}

// to passes a request on to another service.
func to(service string) http.HandlerFunc {
	target, err := url.Parse(service)
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: telemetry.Client.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Header.Del("Baggage") // ours is added by the transport, if there is one
		},
		ModifyResponse: func(answer *http.Response) error {
			answer.Header.Del("X-Trace-Id") // it is here already
			return nil
		},
		ErrorHandler: unavailable,
	}
	return proxy.ServeHTTP
}

// signedIn asks Auth whose session it is, and tells the next service by the header X-User.
func signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, err := sessionOwner(r)
		switch {
		case errors.Is(err, errNobody):
			telemetry.Answer(w, http.StatusUnauthorized, map[string]any{"error": "log in first: POST /login"})
			return
		case err != nil:
			unavailable(w, r, err)
			return
		}
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("user.id", user))
		r.Header.Set("X-User", user)
		next(w, r)
	}
}

func sessionOwner(r *http.Request) (string, error) {
	question, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://auth:8000/verify", nil)
	if err != nil {
		return "", err
	}
	question.Header.Set("Authorization", r.Header.Get("Authorization"))
	answer, err := telemetry.Client.Do(question)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		var session struct{ User string }
		err = json.NewDecoder(answer.Body).Decode(&session)
		return session.User, err
	case http.StatusUnauthorized:
		return "", errNobody
	default:
		return "", errors.New("auth answers " + answer.Status)
	}
}

// unavailable is the answer when a service behind this one fails.
func unavailable(w http.ResponseWriter, r *http.Request, err error) {
	slog.WarnContext(r.Context(), "a service behind this one fails", "error", err.Error())
	telemetry.Answer(w, http.StatusBadGateway, map[string]any{"error": "unavailable"})
}
