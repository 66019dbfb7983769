"""Series of the golden signals that several dashboards query. They are the recorded series that the alerts are judged by."""

from config.alerts.golden_signals import ERRORS, KNOWN, REQUESTS, by_service
from config.alerts.response_times import BUCKETS
from config.services.correlation.dashboard_thresholds import AlertThreshold

ERROR_LIMIT = AlertThreshold(("error_ratio",))
LATENCY_LIMIT = AlertThreshold(("latency_p95",))
CONTAINER_MEMORY = AlertThreshold(("container_memory",))

CHOSEN = 'service=~"$service"'
SERVICE_VALUES = f"label_values({KNOWN}, service)"
BUSIEST = f"max by (service) ({REQUESTS}) or {KNOWN} * 0"
"""The services of `SERVICE_VALUES` with their requests per second."""


def each(recorded: str, matcher: str = CHOSEN) -> str:
    """A recorded series of each service. With `@past` (see `queries.compared`)."""
    return by_service(f"{recorded}{{{matcher}}}@past")


def total(recorded: str) -> str:
    """The sum over the chosen services, with `@past`."""
    return f"sum({recorded}{{{CHOSEN}}}@past)"


TOTAL_RATIO = f"{total(ERRORS)} / ({total(REQUESTS)} > 0)"


def total_quantile(percent: int) -> str:
    """The quantile over the chosen services, from their recorded buckets because quantiles do not add up. With `@past`."""
    return f"histogram_quantile({percent / 100:g}, sum by (le) ({BUCKETS}{{{CHOSEN}}}@past))"
