// Package otelcol has only the type by which the controller knows the
// components of the OpenTelemetry collector: none of them is built here.
package otelcol

import "go.opentelemetry.io/collector/consumer"

// Consumer takes any signal.
type Consumer interface {
	consumer.Traces
	consumer.Metrics
	consumer.Logs
}
