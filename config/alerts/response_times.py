"""Response times of services, recorded as the other golden signals are (`config/alerts/golden_signals.py`).

They are a separate group, evaluated less often: rates over all buckets would be most of the cost of the golden signals.
"""

from config.alerts.golden_signals import of_counted, sources_of, summed
from config.alerts.request_source import RequestSource
from config.alerts.rule import RecordingRule
from config.alerts.scope import Scope

BUCKETS = "service_le:request_duration_seconds_bucket:rate5m"
"""Classic histograms."""
NATIVE = "service:request_duration_seconds:rate5m"
"""Native histograms."""
PERCENTILES = (50, 95, 99)


def quantile(percent: int) -> str:
    """The recorded quantile of response times, in seconds."""
    return f"service:request_duration_seconds:p{percent}_rate5m"


def interval(scope: Scope) -> str:
    """``120s`` by default. Each is over five minutes, so between two of them little changes."""
    return scope.every(8, most="2m")


def rules(scope: Scope) -> tuple[RecordingRule, ...]:
    """Recorded, because a query on the buckets themselves takes seconds with a hundred routes or more, and more memory than
    Prometheus has on a small host (docs/performance.md)."""
    sources = sources_of(scope)
    if not sources:
        return ()
    return (
        RecordingRule(BUCKETS, of_counted(sources, _buckets)),
        RecordingRule(NATIVE, of_counted(sources, _native)),
        *(
            RecordingRule(
                quantile(percent),
                f"histogram_quantile({percent / 100:g}, {BUCKETS})\nor histogram_quantile({percent / 100:g}, {NATIVE})",
            )
            for percent in PERCENTILES
        ),
    )


def _native(source: RequestSource) -> str:
    if source.duration is None or source.milliseconds:
        return ""
    of_histogram = source.duration.narrowed('quantile=""')  # a summary's quantiles have the name without a suffix too
    return summed(source, f"rate({of_histogram.of(source.job)}[5m])")


def _buckets(source: RequestSource) -> str:
    if source.duration is None:
        return ""
    if not source.milliseconds:
        return summed(source, f"rate({source.duration.of(source.job, '_bucket')}[5m])", "le")
    # As Prometheus writes whole numbers. Another form of the same number would become the same series, which fails the rule.
    whole = source.duration.narrowed('le=~"(0|[1-9][0-9]*)[.]0|[+]Inf"')
    buckets = summed(source, f"rate({whole.of(source.job, '_bucket')}[5m])", "le")
    # PromQL does not calculate with labels, so the decimal point moves by text.
    for digits, number in (("(.)", "0.00$1"), ("(..)", "0.0$1"), ("(...)", "0.$1"), ("([0-9]+)(...)", "$1.$2")):
        buckets = f'label_replace({buckets}, "le", "{number}", "le", "{digits}[.]0")'
    return buckets
