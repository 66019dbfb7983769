"""Names that a service gives its metrics, and that alerts read: both have them from here."""

ACCESS_LOG_PREFIX = "access_log_"
ACCESS_LOG_REQUESTS = f"{ACCESS_LOG_PREFIX}requests_total"
ACCESS_LOG_DURATION = f"{ACCESS_LOG_PREFIX}request_duration_seconds"
"""The log shipper's metrics of requests in access logs: a counter and a histogram in seconds. Labels: `service`, `source`
and `status` (1xx to 5xx)."""

REMOTE_OTLP_EXPORTERS = r"otlp_(grpc|http)/remote_.+"
"""Regular expression for the label `exporter` of the collector's metrics: the exporters to remote stores."""
