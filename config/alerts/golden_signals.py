"""The golden signals of services: one set of recorded series, whatever counts a service's requests.

Each series has the labels `service` and `source`. Dashboards and alerts read these series only.
"""

from collections.abc import Callable, Iterable

from config.alerts.request_sources import SOURCES, RequestSource, Selector
from config.alerts.rule import RecordingRule, Watched

REQUESTS = "service:requests:rate5m"
"""Requests per second."""
ERRORS = "service:errors:rate5m"
"""Failed requests per second."""
ERROR_RATIO = "service:errors:ratio_rate5m"
BUCKETS = "service_le:request_duration_seconds_bucket:rate5m"
"""Classic histograms of response times."""
NATIVE = "service:request_duration_seconds:rate5m"
"""Native histograms of response times."""
ACTIVE = "service:active_requests:sum"
"""Requests in progress."""
PERCENTILES = (50, 95, 99)


def quantile(percent: int) -> str:
    """The recorded quantile of response times, in seconds."""
    return f"service:request_duration_seconds:p{percent}_rate5m"


def by_service(series: str) -> str:
    """One value for each service. A service that changes its source has two for five minutes."""
    return f"max by (service) ({series})"


def rules(watched: Watched) -> tuple[RecordingRule, ...]:
    """Recorded, because a query on the buckets themselves takes seconds with a hundred routes or more, and more memory than
    Prometheus has on a small host (docs/performance.md)."""
    sources = [source for source in SOURCES if source.job in watched]
    if not sources:
        return ()

    def of_counted(expr: Callable[[RequestSource], str]) -> str:
        """`expr` of the source that counts the requests of a service."""
        return f"(\n{_joined(sources, expr, 'or')}\n) and on (service, source) {REQUESTS}"

    return (
        # Of the sources that a service has, the first one counts.
        RecordingRule(REQUESTS, _joined(sources, _requests, "or on (service)")),
        # A service that never failed has no such series. Its error rate is zero, not unknown.
        RecordingRule(ERRORS, f"{of_counted(_failed)}\nor {REQUESTS} * 0"),
        RecordingRule(ERROR_RATIO, f"{ERRORS} / ({REQUESTS} > 0)"),
        RecordingRule(BUCKETS, of_counted(_buckets)),
        RecordingRule(NATIVE, of_counted(_native)),
        *(
            RecordingRule(
                quantile(percent),
                f"histogram_quantile({percent / 100:g}, {BUCKETS})\nor histogram_quantile({percent / 100:g}, {NATIVE})",
            )
            for percent in PERCENTILES
        ),
        RecordingRule(ACTIVE, of_counted(_active)),
    )


def _joined(sources: Iterable[RequestSource], expr: Callable[[RequestSource], str], operator: str) -> str:
    """The expressions of the sources that have one, each with the source's name as a label."""
    named = ((source.name, expr(source)) for source in sources)
    return f"\n{operator}\n".join(f'label_replace({expr}, "source", "{name}", "", "")' for name, expr in named if expr)


def _requests(source: RequestSource) -> str:
    return _rate(source, source.requests)


def _failed(source: RequestSource) -> str:
    return _rate(source, source.failed)


def _rate(source: RequestSource, counters: Iterable[Selector]) -> str:
    rates = [f"rate({counter.of(source.job)}[5m])" for counter in counters]
    if source.native:
        rates += [f"histogram_count(rate({counter.of(source.job, without='_count')}[5m]))" for counter in counters]
    return _summed(source, " or ".join(rates))


def _native(source: RequestSource) -> str:
    if source.duration is None or source.milliseconds or not source.native:
        return ""
    return _summed(source, f"rate({source.duration.of(source.job)}[5m])")


def _buckets(source: RequestSource) -> str:
    if source.duration is None:
        return ""
    if not source.milliseconds:
        return _summed(source, f"rate({source.duration.of(source.job, '_bucket')}[5m])", "le")
    # As Prometheus writes whole numbers. Another form of the same number would become the same series, which fails the rule.
    whole = source.duration.narrowed('le=~"(0|[1-9][0-9]*)[.]0|[+]Inf"')
    buckets = _summed(source, f"rate({whole.of(source.job, '_bucket')}[5m])", "le")
    # PromQL does not calculate with labels, so the decimal point moves by text.
    for digits, seconds in (("(.)", "0.00$1"), ("(..)", "0.0$1"), ("(...)", "0.$1"), ("([0-9]+)(...)", "$1.$2")):
        buckets = f'label_replace({buckets}, "le", "{seconds}", "le", "{digits}[.]0")'
    return buckets


def _active(source: RequestSource) -> str:
    return _summed(source, source.active.of(source.job)) if source.active else ""


def _summed(source: RequestSource, series: str, *labels: str) -> str:
    """The sum of these series for each service, and for each value of `labels`."""
    by_name = f"sum by ({', '.join(('service', *labels))})"
    upstream = source.upstream
    if upstream is None:
        return f"{by_name} ({series})"
    # Two series with one name in the end would fail the rule for every service. Here each has another value of the label.
    each = f"sum by ({', '.join((upstream.label, *labels))}) ({series})"
    return f'{by_name} (label_replace({each}, "service", "$1", "{upstream.label}", "{upstream.pattern}"))'
