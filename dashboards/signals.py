"""The golden signals of services, as several dashboards ask for them: by the same recorded series as the alerts."""

from config.settings.thresholds import Thresholds
from config.settings.units import seconds
from dashboards.look import BAD, GOOD, WARNING

LIMITS = Thresholds()
"""Where alerts begin by default: a dashboard cannot know what a stack has set instead."""
ERROR_RATIO, P95_SECONDS = LIMITS.error_ratio / 100, seconds(LIMITS.latency_p95)

REQUESTS = "service:http_server_requests:rate5m"
ERRORS = "service:http_server_errors:rate5m"
RATIO = "service:http_server_errors:ratio_rate5m"
ACTIVE = "service:http_server_active_requests:sum"
DURATION = "http_server_request_duration_seconds"

CHOSEN = 'service=~"$service"'
SERVICE_VALUES = 'label_values(up{job="application"}, service)'
SENDER_VALUES = "label_values(traces_span_metrics_calls_total, service)"

ERROR_STEPS = ((0, GOOD), (ERROR_RATIO / 5, WARNING), (ERROR_RATIO, BAD))
LATENCY_STEPS = ((0, GOOD), (P95_SECONDS / 2, WARNING), (P95_SECONDS, BAD))


def quantile(percent: int) -> str:
    """Of one service, recorded."""
    return f"service:{DURATION}:p{percent}_rate5m"


def total(recorded: str) -> str:
    """Of all chosen services together."""
    return f"sum({recorded}{{{CHOSEN}}}@past)"


TOTAL_RATIO = f"{total(ERRORS)} / ({total(REQUESTS)} > 0)"


def total_quantile(percent: int) -> str:
    """Of all chosen services together: from their recorded buckets, because quantiles cannot be added up."""
    return f"histogram_quantile({percent / 100:g}, sum by (le) (service_le:{DURATION}_bucket:rate5m{{{CHOSEN}}}@past))"


def now(expr: str) -> str:
    """Without the mark of what can be compared with the past."""
    return expr.replace("@past", "")
