"""Bounds the series of each sender of OTLP.

The collector keeps no state between two requests, and has one page for all senders. So two bounds apply: a metric with
too many points becomes one point here, and Prometheus reads the page in parts (`config/services/metrics/scrape.py`), each with the
bounds of one target.
"""

from collections.abc import Iterator
from typing import Any

from config.settings.metrics import ScrapeLimits

OVERFLOW = "otel.metric.overflow"
"""Attribute of a point that stands for all points (OpenTelemetry specification, metrics SDK, overflow attribute)."""
PARTS = 16
"""Number of parts in which the page of applications' metrics is read. A service's name decides its part."""


_OVER = 'metric.metadata["overflow"]'


def metrics(limits: ScrapeLimits) -> dict[str, Any]:
    """Transform processor for metrics. It runs before the one that cuts labels."""
    groups = {
        "resource": _instance(),
        "metric": _marked(limits),
        # Points are added up only if everything else is equal.
        "datapoint": (
            f'set(datapoint.attributes["{OVERFLOW}"], "true") where {_OVER} != nil',
            f"set(datapoint.time_unix_nano, {_OVER}) where {_OVER} != nil",
        ),
    }
    contexts = [{"context": context, "statements": list(statements)} for context, statements in groups.items()]
    return {
        "error_mode": "ignore",
        "metric_statements": [*contexts, {"context": "metric", "statements": list(_added_up())}],
    }


def points(limits: ScrapeLimits) -> tuple[int, int]:
    """Maximum number of points that a process may send: of a counter or gauge, and of a histogram, whose point is some
    15 series.

    With the default for `samples` (20,000) the first is 2,000, as many as an SDK itself sends of one metric
    (OpenTelemetry specification, metrics SDK, cardinality limits).
    """
    return limits.samples // 10, limits.samples // 40


def address(cache: str) -> Iterator[str]:
    """Statements that set `cache` to the sender's address, without its port."""
    yield f"set({cache}, otelcol.client.addr)"
    yield rf'replace_pattern({cache}, "^\\[?(.*?)\\]?(:\\d+)?$", "${{1}}")'


def _instance() -> Iterator[str]:
    """Statements that name an unnamed process by what is known of it, because two processes must not be one series."""
    instance, host, process = (
        f'resource.attributes["{key}"]' for key in ("service.instance.id", "host.name", "process.pid")
    )
    unsaid = f'where {instance} == nil or {instance} == ""'
    sender = 'resource.cache["sender"]'
    yield from address(sender)
    yield f'set({sender}, String({host})) where {host} != nil and {host} != ""'
    yield f'set({sender}, Concat([{sender}, String({process})], ":")) where {process} != nil'
    yield f"set({instance}, {sender}) {unsaid}"


def _marked(limits: ScrapeLimits) -> Iterator[str]:
    """Statements that mark metrics with too many points. The mark is the timestamp of the resulting point."""
    plain, histogram = points(limits)
    kinds = {"SUM": plain, "GAUGE": plain, "HISTOGRAM": histogram, "EXPONENTIAL_HISTOGRAM": histogram}
    for kind, most in kinds.items():
        too_many = f"metric.type == METRIC_DATA_TYPE_{kind} and Len(metric.data_points) > {most}"
        yield f"set({_OVER}, UnixNano(Now())) where {too_many}"


def _added_up() -> Iterator[str]:
    """Statements that reduce a marked metric to one point: the sum, or the maximum of a gauge."""
    for function, comparison in (("max", "=="), ("sum", "!=")):
        kind = f"metric.type {comparison} METRIC_DATA_TYPE_GAUGE"
        yield f'aggregate_on_attributes("{function}", ["{OVERFLOW}"]) where {_OVER} != nil and {kind}'
