"""The golden signals of services: one set of recorded series, whatever counts a service's requests.

Each series has the labels `service` and `source`. Dashboards and alerts read these series only, and those of
`config/alerts/response_times.py`.
"""

from collections.abc import Callable, Iterable, Sequence

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
    """The sources that may count the requests of a service, best first."""
    counted = scope.settings.metrics.golden_signals
    return [source for source in request_sources.sources(counted) if source.job in scope.watched]


def of_counted(sources: Iterable[RequestSource], expr: Callable[[RequestSource], str]) -> str:
    """`expr` of the source that counts the requests of a service, out of `sources`.

    Several sources may have one expression: libraries with different counters and one histogram. It is evaluated once, because
    the rates of all buckets cost more than all else. What it finds then gets the source that counts.
    """
    names: dict[str, list[str]] = {}
    for source in sources:
        if read := expr(source):
            names.setdefault(read, []).append(source.name)
    every = [
        _labelled(read, *each) if len(each) == 1 else f"{read} * on (service) group_left (source) {_counting(each)}"
        for read, each in names.items()
    ]
    return f"{_either(every, 'or')} and on (service, source) {REQUESTS}"


def interval(scope: Scope) -> str:
    """``30s`` by default. Each rate is over five minutes, so between two of them little changes."""
    return scope.every(2, most="30s")


def rules(scope: Scope) -> tuple[RecordingRule, ...]:
    """Recorded, because each query would otherwise ask for all sources."""
    sources = sources_of(scope)
    if not sources:
        return ()
    return (
        # Of the sources that a service has, the first one counts.
        RecordingRule(REQUESTS, _either([_labelled(_requests(one), one.name) for one in sources], "or on (service)")),
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


def _either(exprs: Sequence[str], operator: str) -> str:
    """The expressions, joined in pairs, and the pairs in pairs: each operator reads all that the ones in it have found, so a chain
    of sixty would read what the first one finds sixty times."""
    if len(exprs) == 1:
        return exprs[0]
    half = len(exprs) // 2
    return f"({_either(exprs[:half], operator)}\n{operator}\n{_either(exprs[half:], operator)})"


def _labelled(expr: str, source: str) -> str:
    return f'label_replace({expr}, "source", "{source}", "", "")'


def _counting(sources: Iterable[str]) -> str:
    """1 for each service that one of these sources counts. It is the latest one: after a restart of Prometheus a service that has
    changed its source has two for five minutes."""
    return f'(topk by (service) (1, timestamp({REQUESTS}{{source=~"{"|".join(sources)}"}})) ^ 0)'


def _requests(source: RequestSource) -> str:
    """Each counter is summed before they are joined: to join all their series takes as long as their rates."""
    service = source.upstream.label if source.upstream else "service"
    parts = []
    for number, counter in enumerate(source.requests):
        for rate in _rates(source, counter):
            # An instance has a classic histogram or a native one. If it has both, `or` takes one of the two.
            part = f"sum by ({service}, instance) ({rate})"
            parts.append(part if number == 0 else f'label_replace({part}, "part", "{number}", "", "")')
    return summed(source, " or ".join(parts) if len(parts) > 1 else "".join(_rates(source, source.requests[0])))


def _failed(source: RequestSource) -> str:
    rates = [rate for counter in source.failed for rate in _rates(source, counter)]
    return summed(source, " or ".join(rates)) if rates else ""


def _rates(source: RequestSource, counter: Selector) -> list[str]:
    """The rates of a counter, and of the native histogram that may replace it."""
    rates = [f"rate({counter.of(source.job)}[5m])"]
    if source.native:
        rates.append(f"histogram_count(rate({counter.of(source.job, without='_count')}[5m]))")
    return rates


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
