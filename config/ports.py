"""Where each service listens inside the stack's network: its own default port, so that its docs apply."""

METRICS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "node_exporter": 9100,
    "cadvisor": 8080,
    "socket_proxy": 8404,
    "scrape_proxy": 8404,
    "api_proxy": 8405,
    "postgres_exporter": 9187,
    "redis_exporter": 9121,
    "nginx_exporter": 9113,
    "blackbox_exporter": 9115,
    "mongodb_exporter": 9216,
    "elasticsearch_exporter": 9114,
    "loki": 3100,
    "alloy": 12345,
    "promtail": 9080,
    "otel_collector": 8888,
    "jaeger": 8888,
    "grafana": 3000,
    "caddy": 9180,
}
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
