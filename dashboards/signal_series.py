"""Series of the golden signals that several dashboards query. They are the recorded series that the alerts are judged by."""

from config.dashboard_thresholds import AlertThreshold

ERROR_RATIO = AlertThreshold(("error_ratio",))
LATENCY = AlertThreshold(("latency_p95",))
CONTAINER_MEMORY = AlertThreshold(("container_memory",))

REQUESTS = "service:http_server_requests:rate5m"
ERRORS = "service:http_server_errors:rate5m"
RATIO = "service:http_server_errors:ratio_rate5m"
ACTIVE = "service:http_server_active_requests:sum"
DURATION = "http_server_request_duration_seconds"

CHOSEN = 'service=~"$service"'
SERVICE_VALUES = 'label_values(up{job="application"}, service)'
SENDER_VALUES = "label_values(traces_span_metrics_calls_total, service)"


def quantile(percent: int) -> str:
    """The recorded quantile of response times, one series for each service."""
    return f"service:{DURATION}:p{percent}_rate5m"


def total(recorded: str) -> str:
    """The sum over the chosen services, with `@past` (see `queries.compared`)."""
    return f"sum({recorded}{{{CHOSEN}}}@past)"


TOTAL_RATIO = f"{total(ERRORS)} / ({total(REQUESTS)} > 0)"


def total_quantile(percent: int) -> str:
    """The quantile over the chosen services, from their recorded buckets because quantiles do not add up. With `@past`."""
    return f"histogram_quantile({percent / 100:g}, sum by (le) (service_le:{DURATION}_bucket:rate5m{{{CHOSEN}}}@past))"
