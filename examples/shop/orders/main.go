// Orders: reserves the goods, keeps the order in PostgreSQL, and the latest ones in Redis.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"nervous-system/examples/shop/faults"
	"nervous-system/examples/shop/telemetry"
)

const schema = `CREATE TABLE IF NOT EXISTS orders (
	id bigserial PRIMARY KEY, customer text NOT NULL, product text NOT NULL, quantity int NOT NULL, cents bigint NOT NULL)`

type shop struct {
	database *pgxpool.Pool
	cache    *redis.Client
}

func main() {
	ctx := context.Background()
	server, err := telemetry.Start(ctx)
	if err == nil {
		err = serve(ctx, server)
	}
	if err != nil {
		slog.Error("cannot start", "error", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, server *telemetry.Server) error {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	password, err := os.ReadFile(os.Getenv("DATABASE_PASSWORD_FILE"))
	if err != nil {
		return err
	}
	config.ConnConfig.Password = strings.TrimSpace(string(password))
	config.ConnConfig.Tracer = otelpgx.NewTracer()
	database, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer database.Close()
	if _, err := database.Exec(ctx, schema); err != nil {
		return err
	}
	cache := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer cache.Close()
	if err := redisotel.InstrumentTracing(cache, redisotel.WithDBStatement(false)); err != nil {
		return err
	}
	server.Handle("POST /orders", faults.Injected(shop{database, cache}.order))
	server.Run()
	return nil
}

type request struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
}

func (s shop) order(w http.ResponseWriter, r *http.Request) {
	ctx, span := r.Context(), trace.SpanFromContext(r.Context())
	wanted := request{Quantity: 1}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil || wanted.Product == "" || wanted.Quantity < 1 || wanted.Quantity > 100 {
		telemetry.Answer(w, http.StatusBadRequest, map[string]any{"error": `{"product": <id>, "quantity": 1 to 100} is wanted`})
		return
	}
	span.SetAttributes(attribute.String("shop.product.id", wanted.Product), attribute.Int("shop.order.quantity", wanted.Quantity))
	cents, code, err := reserve(ctx, wanted)
	if err != nil {
		slog.WarnContext(ctx, "not reserved", "error", err.Error(), "product", wanted.Product)
		telemetry.Answer(w, code, map[string]any{"error": err.Error()})
		return
	}
	var id int64
	insert := `INSERT INTO orders (customer, product, quantity, cents) VALUES ($1, $2, $3, $4) RETURNING id`
	err = s.database.QueryRow(ctx, insert, r.Header.Get("X-User"), wanted.Product, wanted.Quantity, cents).Scan(&id)
	if err == nil {
		_, err = s.cache.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.LPush(ctx, "orders:latest", id)
			pipe.LTrim(ctx, "orders:latest", 0, 99)
			return nil
		})
	}
	if err != nil {
		slog.ErrorContext(ctx, "order not kept", "error", err.Error())
		span.RecordError(err)
		telemetry.Answer(w, http.StatusInternalServerError, map[string]any{"error": "internal"})
		return
	}
	span.SetAttributes(attribute.Int64("shop.order.id", id))
	slog.InfoContext(ctx, "order taken", "order", id, "product", wanted.Product, "cents", cents)
	telemetry.Answer(w, http.StatusCreated, map[string]any{"order": id, "trace_id": span.SpanContext().TraceID().String()})
}

// reserve asks Products for the goods; returns their price in cents, or what to answer in place of an order.
func reserve(ctx context.Context, wanted request) (int64, int, error) {
	body, _ := json.Marshal(wanted)
	address := fmt.Sprintf("http://products:8000/products/%s/reserve", url.PathEscape(wanted.Product))
	question, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, http.StatusBadRequest, err
	}
	question.Header.Set("Content-Type", "application/json")
	reply, err := telemetry.Client.Do(question)
	if err != nil {
		return 0, http.StatusBadGateway, errors.New("products does not answer")
	}
	defer reply.Body.Close()
	switch reply.StatusCode {
	case http.StatusOK:
		var reserved struct{ Cents int64 }
		err = json.NewDecoder(reply.Body).Decode(&reserved)
		return reserved.Cents, http.StatusBadGateway, err
	case http.StatusNotFound, http.StatusConflict:
		return 0, reply.StatusCode, errors.New("no such product, or sold out")
	default:
		return 0, http.StatusBadGateway, errors.New("products answers " + reply.Status)
	}
}
