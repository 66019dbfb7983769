"""Ports inside the stack's network. Each service has its own default port, so the service's own docs apply."""

from config.catalogue import ROWS, row_of

METRICS = {service: row.port for service, row in ROWS.items() if row.port}
"""Service → port of its metrics, and of its API if it has one. Services without metrics are missing."""


def metrics_port(service: str) -> int | None:
    """Port of the metrics of a service, also of one such as ``redis_exporter-2``; None if it has none."""
    return row_of(service).port


OTLP_GRPC, OTLP_HTTP = 4317, 4318
"""The OpenTelemetry Collector's; Jaeger uses the first one too."""

OTLP_EDGES = 4319
"""The OpenTelemetry Collector's, for what `edge_door` has let in."""

SPAN_METRICS, OTLP_METRICS = 8889, 8890
"""The OpenTelemetry Collector's: metrics made from spans, and metrics that applications sent."""

JAEGER_PAGES, JAEGER_STATUS = 16686, 13133

ELASTICSEARCH = 9200
"""The port of Elasticsearch and OpenSearch."""

SCRAPES = 8080
"""The scrape proxy's port."""

ROLLBACKS = 8409
"""The port of `rollback_door`'s API."""

DOCKER_API, DOCKER_API_FAR = 2375, 2376
"""The socket proxy's port, and the one for the copy of the logs that goes to a remote store."""
