"""The report of a run, as JSON: what was sent, and the results."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from examples.shop.load.faults import Fault

NO_ANSWER = "no answer"
NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class Sample:
    """A request and its answer."""

    phase: str
    route: str
    fault: Fault | None
    status: str
    """HTTP status; `no answer`; or `not sent`, if earlier requests took too long."""
    seconds: float
    """From the time the request was due to its answer. So a request that waits for others counts as slow."""
    trace_id: str | None = None
    order: str | None = None


class PhaseReport(BaseModel):
    """A phase and its requests. Times are RFC 3339 in UTC."""

    name: str
    started: datetime
    ended: datetime
    requests: int = 0
    statuses: dict[str, int] = {}


class Latency(BaseModel):
    """Latency of the answered requests, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class RouteReport(BaseModel):
    """All requests of one route."""

    requests: int
    statuses: dict[str, int]
    latency_ms: Latency | None


class FaultReport(BaseModel):
    """All requests that carried one fault."""

    requests: int
    statuses: dict[str, int]
    trace_ids: list[str]


class Order(BaseModel):
    """An order that the shop accepted."""

    order: str
    trace_id: str
    phase: str
    fault: str | None


class Report(BaseModel):
    """The report of a run."""

    profile: str
    url: str
    requests: int
    phases: list[PhaseReport]
    routes: dict[str, RouteReport]
    faults: dict[str, FaultReport]
    """Fault, spelled as in the header → its requests."""
    orders: list[Order]

    def phase(self, name: str) -> PhaseReport:
        return next(phase for phase in self.phases if phase.name == name)


def summed_up(profile: str, url: str, phases: Sequence[PhaseReport], samples: Iterable[Sample]) -> Report:
    """Make the report. `phases` have names and times; their counts come from `samples`."""
    by_phase, by_route, by_fault = (
        defaultdict[str, list[Sample]](list),
        dict[str, list[Sample]](),
        dict[str, list[Sample]](),
    )
    for sample in samples:
        by_phase[sample.phase].append(sample)
        by_route.setdefault(sample.route, []).append(sample)
        if sample.fault:
            by_fault.setdefault(str(sample.fault), []).append(sample)
    return Report(
        profile=profile,
        url=url,
        requests=sum(map(len, by_phase.values())),
        phases=[
            phase.model_copy(
                update={"requests": len(by_phase[phase.name]), "statuses": _statuses(by_phase[phase.name])}
            )
            for phase in phases
        ],
        routes={
            route: RouteReport(requests=len(of), statuses=_statuses(of), latency_ms=_latency(of))
            for route, of in sorted(by_route.items())
        },
        faults={
            fault: FaultReport(
                requests=len(of),
                statuses=_statuses(of),
                trace_ids=[sample.trace_id for sample in of if sample.trace_id],
            )
            for fault, of in sorted(by_fault.items())
        },
        orders=[
            Order(
                order=sample.order,
                trace_id=sample.trace_id,
                phase=sample.phase,
                fault=str(sample.fault) if sample.fault else None,
            )
            for of in by_phase.values()
            for sample in of
            if sample.order and sample.trace_id
        ],
    )


def _statuses(samples: list[Sample]) -> dict[str, int]:
    return dict(sorted(Counter(sample.status for sample in samples).items()))


def _latency(samples: list[Sample]) -> Latency | None:
    times = [sample.seconds * 1000 for sample in samples if sample.status not in {NO_ANSWER, NOT_SENT}]
    if not times:
        return None
    # Quantiles need at least two values.
    percentiles = statistics.quantiles(times if len(times) > 1 else times * 2, n=100, method="inclusive")
    p50, p95, p99 = (round(percentiles[percent - 1], 1) for percent in (50, 95, 99))
    return Latency(p50=p50, p95=p95, p99=p99, max=round(max(times), 1))
