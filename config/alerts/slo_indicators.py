"""The counts behind an SLO, as PromQL: the requests in a time span, and the failed ones among them.

Most of it reads the series that are recorded for every service anyway (`config/alerts/golden_signals.py`). So a new SLO covers the time before it was defined, and a renamed or changed one loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from config.alerts import golden_signals, response_times
from config.alerts.rule import Job
from config.alerts.scope import Scope
from config.settings.slos import Slo, service_of
from config.settings.units import seconds

COUNTED_REQUESTS, COUNTED_ERRORS = "slo:counted_requests:rate5m", "slo:counted_errors:rate5m"
"""Events per second, recorded for what no series of a service has: your own expressions, and native histograms."""

_RECORDED_OVER = "5m"
"""The time that recorded rates are about. Over as long, the latest one is exact."""
_DAY = 86400
_UP = {
    "postgres": ("postgres_exporter", "pg_up"),
    "mysql": ("mysqld_exporter", "mysql_up"),
    "redis": ("redis_exporter", "redis_up"),
    "nginx": ("nginx_exporter", "nginx_up"),
    "mongodb": ("mongodb_exporter", "mongodb_up"),
}
"""Setting `exporters.<key>` → its job, and its metric that is 1 while it reaches what it watches."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One SLO in PromQL. Each expression gives one series without labels."""

    slo: Slo
    service: str
    often: float
    """Seconds between two samples of the recorded rates of requests."""
    buckets: float
    """Seconds between two samples of the recorded buckets."""
    own: float
    """Seconds between two samples of what is recorded for SLOs."""
    tried: float
    """Seconds between two tries of a probe or an exporter."""
    step: float
    """Seconds between two samples that a day or more is counted from."""

    def requests(self, span: str) -> str:
        """How many requests, or tries, there were in `span`, e.g. ``1h``."""
        if tried := self._tried:
            return f"sum(count_over_time({tried}[{span}]))"
        if self.slo.kind == "errors":
            return self._count(f'{golden_signals.REQUESTS}{{service="{self.service}"}}', span, self.often)
        if self.slo.kind == "latency":
            return (
                f"({self._count(self._buckets('+Inf'), span, self.buckets)} or {self._counted(COUNTED_REQUESTS, span)})"
            )
        return self._counted(COUNTED_REQUESTS, span)

    def errors(self, span: str) -> str:
        """How many of them failed."""
        if tried := self._tried:
            return f"sum(count_over_time({tried}[{span}]) - sum_over_time({tried}[{span}]))"
        if self.slo.kind == "errors":
            return self._count(f'{golden_signals.ERRORS}{{service="{self.service}"}}', span, self.often)
        if self.slo.kind == "latency":
            every, within = (self._count(self._buckets(bound), span, self.buckets) for bound in ("+Inf", self.bound))
            return f"(clamp_min({every} - {within}, 0) or {self._counted(COUNTED_ERRORS, span)})"
        return self._counted(COUNTED_ERRORS, span)

    def covered(self, span: str) -> str:
        """Which part of `span` there are samples of, from 0 to 1."""
        counted = f'{COUNTED_REQUESTS}{{slo="{self.slo.name}"}}'
        requests = f'{golden_signals.REQUESTS}{{service="{self.service}"}}'
        series = {
            "errors": {requests: self.often},
            "latency": {self._buckets("+Inf"): self.buckets, counted: self.own},
            "own": {counted: self.own},
        }.get(self.slo.kind, {self._tried: self.tried})
        times = " or ".join(f"max(count_over_time({one}[{span}])) * {every:g}" for one, every in series.items())
        return f"clamp_max(({times}) / {seconds(span)}, 1)"

    @property
    def bound(self) -> str:
        """Regular expression of the label `le`. Libraries, and the conversion from milliseconds, write one number as ``0.5``,
        ``0.50`` or ``0.500``."""
        length = seconds(self.slo.latency or "0s")
        whole, _, part = f"{length:.3f}".rstrip("0").partition(".")
        return f"{whole}[.]{part}0*" if part else f"{whole}([.]0*)?"

    def counted(self, *, failed: bool) -> str:
        """Events per second, to be recorded as `COUNTED_ERRORS` if `failed`, else as `COUNTED_REQUESTS`; empty if nothing has
        to be."""
        slo = self.slo
        if slo.kind == "own":
            every = f"sum({slo.total})"
            none = f"{every} * 0"  # a series that nothing has been counted in yet may be missing
            good_or_errors = f"(sum({slo.errors or slo.good}) or {none})"
            failures = good_or_errors if slo.errors else f"clamp_min({every} - {good_or_errors}, 0)"
            return failures if failed else every
        if slo.kind == "latency":
            native = f'sum({response_times.NATIVE}{{service="{self.service}"}})'
            # Without requests the fraction is no number, which would spoil every sum over it.
            every = f"(histogram_count({native}) > 0 unless on () {self._buckets('+Inf')})"
            slow = f" * (1 - histogram_fraction(-Inf, {seconds(slo.latency or '0s'):g}, {native}))"
            return every + (slow if failed else "")
        return ""

    @property
    def _tried(self) -> str:
        """Series that is 1 after each try that was well and 0 after each that was not; empty if there is none."""
        if self.slo.probe:
            return f'probe_success{{job="{Job.PROBE}",probe="{self.slo.probe}"}}'
        if self.slo.database:
            job, metric = _UP[self.slo.database]
            return f'{metric}{{job="{job}",service="{self.service}"}}'
        return ""

    def _buckets(self, bound: str) -> str:
        sign = f'="{bound}"' if bound == "+Inf" else f'=~"{bound}"'
        return f'{response_times.BUCKETS}{{service="{self.service}",le{sign}}}'

    def _counted(self, series: str, span: str) -> str:
        return self._count(f'{series}{{slo="{self.slo.name}"}}', span, self.own)

    def _count(self, rates: str, span: str, every: float) -> str:
        """How much recorded rates count in `span`: the sum of the samples, and not their mean, so that busy hours weigh more.

        Each sample is about five minutes. So one of them for every five minutes counts each request once, and a month is summed
        in a third of the time that all its samples take.
        """
        if span == _RECORDED_OVER:
            return f"sum({rates}) * {seconds(span):g}"
        if seconds(span) < _DAY:
            return f"sum(sum_over_time({rates}[{span}])) * {every:g}"
        return f"sum(sum_over_time({rates}[{span}:{self.step:g}s])) * {self.step:g}"


def interval(scope: Scope) -> str:
    """How often what SLOs count is recorded: ``60s`` by default."""
    return scope.every(4, most="1m")


def indicators(scope: Scope) -> tuple[Indicator, ...]:
    """The SLOs of a stack, in the order of its settings."""
    settings = scope.settings
    tried = seconds(settings.metrics.scrape_interval)
    groups = (golden_signals.interval, response_times.interval, interval)
    often, buckets, own = (seconds(recorded(scope)) for recorded in groups)
    step = seconds(scope.every(20, most=_RECORDED_OVER))
    return tuple(
        Indicator(slo, service_of(slo, settings.exporters), often, buckets, own, tried, step) for slo in settings.slos
    )


def each(exprs: Mapping[str, str]) -> str:
    """PromQL of one series for each SLO, with the label `slo`. `exprs`: name of an SLO → PromQL of one series without labels."""
    return "\nor ".join(f'label_replace({expr}, "slo", "{name}", "", "")' for name, expr in exprs.items() if expr)
