"""Settings of service level objectives (SLOs)."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from config.settings.exporters import Exporters
from config.settings.metrics import Metrics
from config.settings.model import Model, Name, ServiceName
from config.settings.thresholds import Percent
from config.settings.units import Span, seconds

SHORTEST_WINDOW = "7d"
"""The slowest alert looks at 3d, which would be most of a window much shorter than this."""
LEAST_OBJECTIVE = 50
"""Smallest objective in percent. A smaller number is probably a ratio, such as 0.999."""

Kind = Literal["errors", "latency", "probe", "database", "own"]
"""What an SLO counts: failed requests of a service, its slow ones, failed probes, failed connections of an exporter, or events
of your own expressions."""

_LIKE = "like sum(rate(jobs_total[5m]))"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_COUNTER = re.compile(r"\w+_(total|count|sum|bucket)\s*(\{[^{}]*\})?")
_CLOSES = {")": "(", "]": "[", "}": "{"}


def _expression(text: str) -> str:
    """PromQL with closed quotes and brackets. The rest is promtool's to judge, before the running rules are touched."""
    bare = _QUOTED.sub('""', text)
    if _COUNTER.fullmatch(bare):
        msg = f"is a counter, which only grows: write its events per second, {_LIKE}"
        raise ValueError(msg)
    if re.search(r"[\"'`]", bare.replace('""', "")) or not _closed(bare) or not bare.strip():
        msg = f"is not PromQL: a quote or a bracket does not close, or it is empty: write it {_LIKE}"
        raise ValueError(msg)
    if "#" in bare:
        msg = f"has a comment, which would hide what follows it: write it {_LIKE}"
        raise ValueError(msg)
    return text


def _closed(text: str) -> bool:
    opened: list[str] = []
    for sign in text:
        if sign in _CLOSES.values():
            opened.append(sign)
        elif sign in _CLOSES and (not opened or opened.pop() != _CLOSES[sign]):
            return False
    return not opened


Expression = Annotated[str, AfterValidator(_expression)]
"""PromQL of events per second, ``sum(rate(jobs_total[5m]))``. Several series are added up."""


SloName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""As OpenSLO has them (RFC 1123)."""


class Slo(Model):
    """A share of requests, or of the stack's own tries, that must be good ([how](slos.md)). It counts one thing: failed requests
    of `service`, or what `latency`, `probe`, `database` or `total` names."""

    name: SloName
    """Value of the label `slo`."""
    service: ServiceName | None = None
    """Whose requests count. A probe has its service from its own settings, and a database too, unless there are several
    of its kind: then this says which one."""
    objective: Percent
    """E.g. `99.9`: one request in a thousand may fail."""
    window: Span = "30d"
    """The budget is for this time, up to now. From 7d to `metrics.retention.time`."""
    latency: Span | None = None
    """Requests that take longer count as failed, and no others. One of the bounds of the histogram's buckets."""
    probe: Name | None = None
    """Name of one of `exporters.probes`."""
    database: Literal["postgres", "mysql", "redis", "nginx", "mongodb"] | None = None
    """Whether its exporter reaches it."""
    total: Expression | None = None
    """PromQL of all events per second, e.g. `sum(rate(jobs_total[5m]))`, together with `good` or `errors`."""
    good: Expression | None = None
    """PromQL of the good ones of `total`."""
    errors: Expression | None = None
    """PromQL of the failed ones of `total`."""
    min_errors: int = Field(10, ge=1)
    """No alert before this many have failed in its long window, and no budget counts as spent before."""

    @property
    def kind(self) -> Kind:
        """What it counts."""
        named: dict[Kind, object] = {
            "latency": self.latency,
            "probe": self.probe,
            "database": self.database,
            "own": self.total,
        }
        return next((kind for kind, value in named.items() if value), "errors")

    @model_validator(mode="after")
    def _counts_one_thing(self) -> Self:
        named = [key for key in ("latency", "probe", "database", "total") if getattr(self, key)]
        if len(named) > 1:
            msg = f"{self.name}: must count one thing, but names {' and '.join(named)}: make an SLO of each"
            raise ValueError(msg)
        if (self.good or self.errors) and not self.total:
            msg = f"{self.name}: good and errors are shares of total: write that too"
            raise ValueError(msg)
        if self.total and bool(self.good) == bool(self.errors):
            msg = f"{self.name}: total needs either good or errors beside it"
            raise ValueError(msg)
        if self.kind == "probe" and self.service:
            msg = f"{self.name}: leave service out: the probe has it"
            raise ValueError(msg)
        if self.kind not in {"probe", "database"} and not self.service:
            msg = f"{self.name}: needs service: the service whose requests count, and to whose dashboards and logs the alerts link"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_a_budget(self) -> Self:
        if self.objective >= 100:  # noqa: PLR2004 - percent
            msg = f"{self.name}: objective: 100 leaves no error budget: write 99.9, for example"
            raise ValueError(msg)
        if self.objective < LEAST_OBJECTIVE:
            msg = f"{self.name}: objective: {self.objective:g} is in percent: write 99.9, for example"
            raise ValueError(msg)
        if seconds(self.window) < seconds(SHORTEST_WINDOW):
            msg = f"{self.name}: window: {self.window} is shorter than {SHORTEST_WINDOW}, and the slowest alert looks at 3d"
            raise ValueError(msg)
        if self.latency and seconds(self.latency) <= 0:
            msg = f"{self.name}: latency: {self.latency} must be longer than zero"
            raise ValueError(msg)
        return self


def service_of(slo: Slo, exporters: Exporters) -> str:
    """The service that `slo` is about.

    Raises:
        ValueError: there is no such probe, or no such exporter.
    """
    if slo.database:
        services_of_kind = [server.service for server in getattr(exporters, slo.database)]
        if not services_of_kind:
            msg = f"{slo.name}: database: no exporter watches {slo.database}: set exporters.{slo.database}"
            raise ValueError(msg)
        if slo.service in services_of_kind or (slo.service is None and len(services_of_kind) == 1):
            return slo.service or services_of_kind[0]
        msg = f"{slo.name}: service: must be that of one of exporters.{slo.database}: {', '.join(services_of_kind)}"
        raise ValueError(msg)
    if slo.service:
        return slo.service
    services = {probe.name: probe.service or probe.name for probe in exporters.probes}
    if slo.probe not in services:
        there = f"there are {', '.join(sorted(services))}" if services else "there are none yet"
        msg = f"{slo.name}: probe: exporters.probes has no {slo.probe}, {there}"
        raise ValueError(msg)
    return services[slo.probe]


def judge(slos: Iterable[Slo], exporters: Exporters, metrics: Metrics) -> None:
    """Checks the SLOs of one stack against each other, and against the rest of its settings.

    Raises:
        ValueError: one cannot be measured or kept. The message names it.
    """
    if fault := next(_faults([*slos], exporters, metrics), None):
        msg = f"slos: {fault}"
        raise ValueError(msg)


def _faults(slos: list[Slo], exporters: Exporters, metrics: Metrics) -> Iterator[str]:
    counted = {one.service: one for one in metrics.golden_signals}
    names: dict[object, str] = {}
    for slo in slos:
        if slo.name in names.values():
            yield f"{slo.name} is there twice: the name tells SLOs apart, give one of them another"
        same = slo.model_copy(update={"name": "", "min_errors": 0})
        if same in names:
            yield f"{slo.name} is the same as {names[same]}: leave one of them out"
        names[same] = slo.name
        try:
            service = service_of(slo, exporters)
        except ValueError as error:
            yield str(error)
            continue
        if seconds(slo.window) > seconds(retention := metrics.retention.time):
            yield (
                f"{slo.name}: window: {slo.window} is longer than metrics are kept (metrics.retention.time {retention}): the budget "
                "would be that of a shorter time, without a word; shorten it, or keep metrics for longer"
            )
        tries = seconds(slo.window) / seconds(metrics.scrape_interval)
        if slo.kind in {"probe", "database"} and tries * (1 - slo.objective / 100) < 1:
            yield (
                f"{slo.name}: objective: {slo.objective:g} of the {tries:,.0f} tries in {slo.window} leaves a budget of less than "
                "one, so one failed try breaks it: lower it, or take a longer window"
            )
        own = counted.get(service)
        missing = {"errors": "errors", "latency": "duration"}.get(slo.kind, "")
        if own and missing and getattr(own, missing) is None:
            yield f"{slo.name}: nothing counts that: metrics.golden_signals names no {missing} of {service}"
