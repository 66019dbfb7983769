"""Where each service listens inside the stack's network: its own default port, so that its docs apply."""

from config.catalogue import ROWS

METRICS = {service: row.port for service, row in ROWS.items() if row.port}
"""Service → the port that serves its metrics, and its API where it has one. Who has no metrics is not in it."""

OTLP_GRPC, OTLP_HTTP = 4317, 4318
"""Of the OpenTelemetry Collector; the first one also of Jaeger."""

SPAN_METRICS, OTLP_METRICS = 8889, 8890
"""Of the OpenTelemetry Collector: metrics made of spans, and metrics that were sent to it."""

JAEGER_PAGES, JAEGER_STATUS = 16686, 13133

ELASTICSEARCH = 9200
"""Of Elasticsearch and OpenSearch."""

SCRAPES = 8080
"""Of the scrape proxy."""

DOCKER_API = 2375
"""Of the socket proxy."""
