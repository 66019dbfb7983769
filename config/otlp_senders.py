"""What each sender of OTLP has of its own: its series, and a bound on them.

The collector remembers nothing between two requests, and its page is one for all senders. So what one of them may have is
bounded twice: a metric with too many points is made one point here, and Prometheus reads the page in parts
(`config/scrape.py`), each with the bound of one target.
"""

from collections.abc import Iterator
from typing import Any

from config.settings.metrics import ScrapeLimits

OVERFLOW = "otel.metric.overflow"
"""Attribute of a point that stands for all (OpenTelemetry specification, metrics SDK, overflow attribute)."""
PARTS = 16
"""The page of what applications send is read in so many parts. Which part a service is in hangs on its name."""


_OVER = 'metric.metadata["overflow"]'


def metrics(limits: ScrapeLimits) -> dict[str, Any]:
    """A transform processor for metrics, before what cuts labels."""
    groups = {
        "resource": _instance(),
        "metric": _marked(limits),
        # Points are added up only if all else is the same.
        "datapoint": (
            f'set(datapoint.attributes["{OVERFLOW}"], "true") where {_OVER} != nil',
            f"set(datapoint.time_unix_nano, {_OVER}) where {_OVER} != nil",
        ),
    }
    made = [{"context": context, "statements": list(statements)} for context, statements in groups.items()]
    return {
        "error_mode": "ignore",
        "metric_statements": [*made, {"context": "metric", "statements": list(_added_up())}],
    }


def points(limits: ScrapeLimits) -> tuple[int, int]:
    """How many points one process may send of a counter or a gauge, and of a histogram, whose point is some 15 series.

    Of the default for `samples` (20,000) the first is 2,000: as many as an SDK itself sends of one metric (OpenTelemetry
    specification, metrics SDK, cardinality limits).
    """
    return limits.samples // 10, limits.samples // 40


def address(cache: str) -> Iterator[str]:
    """Statements that put the sender's address into `cache`, without its port."""
    yield f"set({cache}, otelcol.client.addr)"
    yield rf'replace_pattern({cache}, "^\\[?(.*?)\\]?(:\\d+)?$", "${{1}}")'


def _instance() -> Iterator[str]:
    """Who does not say which process it is gets the name of what can be known of it: two of them must not be one series."""
    instance, host, process = (
        f'resource.attributes["{key}"]' for key in ("service.instance.id", "host.name", "process.pid")
    )
    unsaid = f'where {instance} == nil or {instance} == ""'
    known = 'resource.cache["sender"]'
    yield from address(known)
    yield f'set({known}, String({host})) where {host} != nil and {host} != ""'
    yield f'set({known}, Concat([{known}, String({process})], ":")) where {process} != nil'
    yield f"set({instance}, {known}) {unsaid}"


def _marked(limits: ScrapeLimits) -> Iterator[str]:
    """A metric with too many points; the mark is a time for all of them."""
    plain, histogram = points(limits)
    kinds = {"SUM": plain, "GAUGE": plain, "HISTOGRAM": histogram, "EXPONENTIAL_HISTOGRAM": histogram}
    for kind, most in kinds.items():
        too_many = f"metric.type == METRIC_DATA_TYPE_{kind} and Len(metric.data_points) > {most}"
        yield f"set({_OVER}, UnixNano(Now())) where {too_many}"


def _added_up() -> Iterator[str]:
    """It becomes one point: the sum of all, of a gauge the highest."""
    for function, comparison in (("max", "=="), ("sum", "!=")):
        kind = f"metric.type {comparison} METRIC_DATA_TYPE_GAUGE"
        yield f'aggregate_on_attributes("{function}", ["{OVERFLOW}"]) where {_OVER} != nil and {kind}'
