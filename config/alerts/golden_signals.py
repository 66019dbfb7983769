"""The golden signals of services: one set of recorded series, whatever counts a service's requests.

Each series has the labels `service` and `source`. Dashboards and alerts read these series only, and those of
`config/alerts/response_times.py`.
"""

from collections.abc import Callable, Iterable

from config.alerts import request_sources
from config.alerts.request_source import RequestSource, Selector
from config.alerts.request_sources import apart_from
from config.alerts.rule import Job, RecordingRule
from config.alerts.scope import Scope

REQUESTS = "service:requests:rate5m"
"""Requests per second."""
ERRORS = "service:errors:rate5m"
"""Failed requests per second."""
ERROR_RATIO = "service:errors:ratio_rate5m"
ACTIVE = "service:active_requests:sum"
"""Requests in progress."""
KNOWN = "service:known:group"
"""1 for each service of yours, also if nothing counts its requests. It has no label `source`."""


def by_service(series: str) -> str:
    """One value for each service. A service that changes its source has two for five minutes."""
    return f"max by (service) ({series})"


def sources_of(scope: Scope) -> list[RequestSource]:
    """What may count the requests of a service, the best first."""
    counted = scope.settings.metrics.golden_signals
    return [source for source in request_sources.sources(counted) if source.job in scope.watched]


def of_counted(sources: Iterable[RequestSource], expr: Callable[[RequestSource], str]) -> str:
    """`expr` of the source that counts the requests of a service, out of `sources`."""
    return f"(\n{_joined(sources, expr, 'or')}\n) and on (service, source) {REQUESTS}"


def rules(scope: Scope) -> tuple[RecordingRule, ...]:
    """Recorded, because each query would otherwise ask for all sources."""
    sources = sources_of(scope)
    if not sources:
        return ()
    return (
        # Of the sources that a service has, the first one counts.
        RecordingRule(REQUESTS, _joined(sources, _requests, "or on (service)")),
        # A service that never failed has no such series. Its error rate is zero, not unknown.
        RecordingRule(ERRORS, f"{of_counted(sources, _failed)}\nor {_of_known_errors(scope)} * 0"),
        RecordingRule(ERROR_RATIO, f"{ERRORS} / ({REQUESTS} > 0)"),
        RecordingRule(ACTIVE, of_counted(sources, _active)),
        known(scope),
    )


def known(scope: Scope) -> RecordingRule:
    """The services that have requests, spans, a metrics page, or a container that is not one of the stack's."""
    own = f"{scope.settings.prefix}-({'|'.join(scope.settings.services)})"
    series = {
        Job.APPLICATION: 'up{job="application"}',
        Job.SPANS: 'traces_span_metrics_calls_total{job="spans"}',
        Job.CADVISOR: f'container_last_seen{{job="cadvisor",name!="",name!~"{own}"}}',
    }
    every = [REQUESTS, *(selector for job, selector in series.items() if job in scope.watched)]
    return RecordingRule(KNOWN, "\nor\n".join(f"group by (service) ({selector})" for selector in every))


def _of_known_errors(scope: Scope) -> str:
    """Requests of the services whose errors are counted."""
    others = apart_from(one.service for one in scope.settings.metrics.golden_signals if one.errors is None)
    return f"{REQUESTS}{{{others}}}" if others else REQUESTS


def _joined(sources: Iterable[RequestSource], expr: Callable[[RequestSource], str], operator: str) -> str:
    """The expressions of the sources that have one, each with the source's name as a label."""
    named = ((source.name, expr(source)) for source in sources)
    return f"\n{operator}\n".join(f'label_replace({expr}, "source", "{name}", "", "")' for name, expr in named if expr)


def _requests(source: RequestSource) -> str:
    return _rate(source, source.requests)


def _failed(source: RequestSource) -> str:
    return _rate(source, source.failed) if source.failed else ""


def _rate(source: RequestSource, counters: Iterable[Selector]) -> str:
    rates = [f"rate({counter.of(source.job)}[5m])" for counter in counters]
    if source.native:
        rates += [f"histogram_count(rate({counter.of(source.job, without='_count')}[5m]))" for counter in counters]
    return summed(source, " or ".join(rates))


def _active(source: RequestSource) -> str:
    return summed(source, source.active.of(source.job)) if source.active else ""


def summed(source: RequestSource, series: str, *labels: str) -> str:
    """The sum of these series for each service, and for each value of `labels`."""
    by_name = f"sum by ({', '.join(('service', *labels))})"
    upstream = source.upstream
    if upstream is None:
        return f"{by_name} ({series})"
    # Two series with one name in the end would fail the rule for every service. Here each has another value of the label.
    each = f"sum by ({', '.join((upstream.label, *labels))}) ({series})"
    return f'{by_name} (label_replace({each}, "service", "$1", "{upstream.label}", "{upstream.pattern}"))'
