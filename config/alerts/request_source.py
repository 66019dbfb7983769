"""One source of a service's requests: its counters, and its histogram."""

from dataclasses import dataclass, replace
from typing import Self

from config.alerts.rule import Job

FAILED = "5.."
"""Status of a failed request. It also matches `5xx`, as some libraries group them."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Series of one metric. Never of several: a rate drops their names, and two with the same labels would then fail the rule
    for every service."""

    metric: str
    matchers: str = ""

    def of(self, job: Job, suffix: str = "", *, without: str = "") -> str:
        """PromQL: those that `job` reads. The metric's name gets a suffix such as `_bucket`, or loses one."""
        name = self.metric.removesuffix(without) + suffix
        matchers = _and(f'job="{job}"', self.matchers)
        return f"{name}{{{matchers}}}"

    def narrowed(self, matchers: str) -> Self:
        """The selector with these label matchers added."""
        return replace(self, matchers=_and(self.matchers, matchers))


def _and(*matchers: str) -> str:
    return ",".join(filter(None, matchers))


@dataclass(frozen=True, slots=True)
class Upstream:
    """The label in which a proxy names the service behind it."""

    label: str
    rest: str = ""
    """Regular expression of what follows the name and is no part of it: `(@.*)?` for `orders@docker`."""

    @property
    def pattern(self) -> str:
        """Regular expression of the whole value. Its first group is the service. A value that it does not match names no
        service: messages and pages show the name.

        These are the characters of ASCII that a service's name may have (`config/service_names.py`). With those of all scripts,
        an evaluation of the rules takes three times as long, because Prometheus compiles the expression again each time."""
        return f"([0-9A-Za-z_.:/@ -]+?){self.rest}"


@dataclass(frozen=True, slots=True)
class RequestSource:
    """One way in which the requests of a service are counted."""

    name: str
    """Value of the label `source`."""
    job: Job
    requests: tuple[Selector, ...]
    """Counters. None selects a series of another one."""
    failed: tuple[Selector, ...]
    """The part of `requests` that failed. A series that several of them select counts once."""
    duration: Selector | None = None
    """Histogram, classic or native."""
    active: Selector | None = None
    """Gauge of requests in progress."""
    milliseconds: bool = False
    """Whether the histogram's unit is the millisecond. Otherwise it is the second."""
    upstream: Upstream | None = None
    """Names the service that the requests belong to. Otherwise it is the one that serves the metrics."""
    routes: tuple[str, ...] = ()
    """Labels that together name the route of a request, or the kind of a job: the method first, as people write it. The
    dashboard of one service reads them."""
    by_route: str = ""
    """Counter with these labels, if the first of `requests` lacks them."""

    @property
    def counter(self) -> str:
        """The metric that counts requests by route."""
        return self.by_route or self.requests[0].metric

    @property
    def native(self) -> bool:
        """Whether the counters are the histogram's own, so that a native histogram replaces them."""
        return self.duration is not None and self.requests[0].metric == f"{self.duration.metric}_count"

    def narrowed(self, matchers: str) -> Self:
        """The same, of the series that these label matchers select too."""
        return replace(
            self,
            requests=tuple(counter.narrowed(matchers) for counter in self.requests),
            failed=tuple(counter.narrowed(matchers) for counter in self.failed),
            duration=self.duration and self.duration.narrowed(matchers),
            active=self.active and self.active.narrowed(matchers),
        )


def by_status(
    name: str,
    counter: str,
    *labels: str,
    duration: str = "",
    active: str = "",
    job: Job = Job.APPLICATION,
    failed: str = FAILED,
    matchers: str = "",
    milliseconds: bool = False,
    upstream: Upstream | None = None,
    routes: tuple[str, ...] = (),
    by_route: str = "",
) -> RequestSource:
    """A counter with the status in one of `labels`. Series without any of them are not counted, because nobody knows which
    of them failed. `matchers` select among all series. For one, they leave out a library's own metrics page, because the
    requests of Prometheus would count as requests of users."""
    if upstream:
        matchers = _and(matchers, f'{upstream.label}=~"{upstream.pattern}"')
    is_failed = f'="{failed}"' if failed.isalnum() else f'=~"{failed}"'
    return RequestSource(
        name,
        job,
        tuple(
            # Each takes the series that the ones before it do not.
            Selector(counter, _and(*(f'{earlier}=""' for earlier in labels[:number]), f'{label}!=""', matchers))
            for number, label in enumerate(labels)
        ),
        tuple(Selector(counter, _and(f"{label}{is_failed}", matchers)) for label in labels),
        Selector(duration, matchers) if duration else None,
        Selector(active, matchers) if active else None,
        milliseconds,
        upstream,
        routes,
        by_route,
    )


def tally(
    name: str,
    total: Selector,
    *failed: Selector,
    duration: str = "",
    active: str = "",
    job: Job = Job.APPLICATION,
    milliseconds: bool = False,
    kinds: tuple[str, ...] = (),
    by_kind: str = "",
) -> RequestSource:
    """A counter of all that was done, and what failed of it. `kinds`: labels that name what was done; `by_kind`: a counter with
    them, if `total` counts more than these."""
    return RequestSource(
        name,
        job,
        (total,),
        failed,
        Selector(duration) if duration else None,
        Selector(active) if active else None,
        milliseconds,
        routes=kinds,
        by_route=by_kind,
    )
