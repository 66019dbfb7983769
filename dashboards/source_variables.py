"""Hidden variables by which the panels of one service read the metrics that count its requests, whatever their names are.

The rows of `config/alerts/request_sources.py` say which they are. The recorded series have no routes: a series for each route of
each service would cost more than all else that is recorded.
"""

from collections.abc import Callable, Iterable, Iterator

from grafana_foundation_sdk.builders import dashboard

from config.alerts.golden_signals import REQUESTS
from config.alerts.request_source import RequestSource
from config.alerts.request_sources import SOURCES
from dashboards.board import mapped

STATUSES = (
    "http_response_status_code",
    "http_status_code",
    "rpc_grpc_status_code",
    "grpc_code",
    "status",
    "status_code",
    "code",
)
"""Labels of the status. A counter has one of them."""
_BY = "${by:doublequote}"
"""The labels that name a route, as PromQL lists them."""
_PAGES = {
    **dict.fromkeys(("handler", "path", "route", "url"), "/metrics"),
    "uri": "/actuator/prometheus",
    "view": "prometheus-django-metrics",
}
"""Label of a route → what it is for the page that Prometheus reads."""
_SERVED = ",".join(
    (
        'job=~"$job",service="$service"',
        *(f'{label}!="{page}"' for label, page in _PAGES.items()),
        # What has none of these labels is no span and no job of BullMQ.
        'span_kind=~"|SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"',
        'bullmq_job_state=~"|completed|failed"',
    )
)
_CLASSIC, _NATIVE = 'le!=""', 'le="",quantile=""'
"""Matchers of classic and of native histograms."""


def by_status() -> str:
    """PromQL: requests per second by the label `answer`."""
    rates = f"sum by ({', '.join(STATUSES)}) ({_counted()})"
    labels = ", ".join(f'"{label}"' for label in STATUSES)
    return f'sum by (answer) (label_join({rates}, "answer", "", {labels}))'


def by_route() -> str:
    """PromQL: requests per second by the label `route`."""
    return f"sum by (route) ({_with_route(f'sum by ({_BY}) ({_counted()})')})"


def p95_by_route() -> str:
    """PromQL: response times in seconds by the label `route`, of classic or native histograms."""
    classic, native = (
        f"histogram_quantile(0.95, sum by ({labels}{_BY}) ({_rate('durations', kind)}))"
        for labels, kind in (("le, ", _CLASSIC), ("", _NATIVE))
    )
    return f"max by (route) ({_with_route(f'({classic} or {native}) / $per_second')})"


def variables() -> Iterator[dashboard.QueryVariable]:
    """The variables, which follow `service`. Of a service that is counted by nothing, or by what the settings name, they name
    nothing."""
    source = f'max by (source) ({REQUESTS}{{service="$service"}})'
    for name, description, values, otherwise in (
        ("job", "The scrape job of what counts its requests.", _values(lambda one: [one.job]), "none"),
        ("counter", "The counter of its requests.", _values(lambda one: [one.counter]), "none"),
        ("durations", "The histogram of its response times.", _values(_durations), "none"),
        ("per_second", "How many of its units make a second.", _values(lambda one: ["1000"] * one.milliseconds), "1"),
    ):
        yield mapped(name, description, source, {key: "|".join(each) for key, each in values.items()}, otherwise)
    routes = {key: "".join(f":{label}" for label in each) for key, each in _values(lambda one: one.routes).items()}
    yield mapped("by", "The labels that name a route.", source, routes, ":none", several=True)


def _counted() -> str:
    # A service has one of the metrics that a source may stand for, so the pattern of their names finds no two series with
    # the same labels.
    return f"{_rate('counter')} or histogram_count({_rate('durations', _NATIVE)})"


def _rate(metric: str, matchers: str = "") -> str:
    every = ",".join(filter(None, (f'__name__=~"${metric}"', _SERVED, matchers)))
    return f"rate({{{every}}}[$__rate_interval])"


def _with_route(expr: str) -> str:
    """`expr` with the labels that name a route in one, ``GET /products/{id}``; ``all`` if there is none."""
    joined = f'label_join({expr}, "route", " ", {_BY})'
    # A program has some of the labels only, and each that it lacks leaves a blank.
    tidy = f'label_replace({joined}, "route", "$1 $2", "route", " *([^ ]+) +([^ ].*?) *")'
    return f'label_replace({tidy}, "route", "all", "route", " *")'


def _durations(source: RequestSource) -> Iterable[str]:
    return [f"{source.duration.metric}_bucket", source.duration.metric] if source.duration else []


def _values(of: Callable[[RequestSource], Iterable[str]]) -> dict[str, list[str]]:
    """Source → its values. Several rows may have one name. A proxy that counts for the services behind it tells nothing more."""
    by_source: dict[str, list[str]] = {}
    for source in SOURCES:
        if source.upstream is None:
            by_source.setdefault(source.name, []).extend(of(source))
    return {name: list(dict.fromkeys(values)) for name, values in by_source.items() if values}
