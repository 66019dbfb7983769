"""What is sent: which requests in which proportion, how many a second, and which of them with a fault."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from examples.shop.load.faults import Fault

T = TypeVar("T")

MOST_REQUESTS = 100_000
"""Of one run: a report of them is still held in memory."""


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request."""

    method: str
    path: str
    weight: float
    """Its part of all requests."""
    reaches: frozenset[str]
    """The services that work on it: a fault of another one would not be seen."""
    logged_in: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


LOGIN = Route("POST", "/login", 1, frozenset({"gateway", "auth", "users"}))
ORDER = Route("POST", "/orders", 3, frozenset({"gateway", "auth", "orders", "products"}), logged_in=True)
ROUTES = (
    Route("GET", "/products", 3, frozenset({"gateway", "products"})),
    Route("GET", "/products/{id}", 3, frozenset({"gateway", "products"})),
    ORDER,
    Route("GET", "/users/me", 2, frozenset({"gateway", "auth", "users"}), logged_in=True),
    LOGIN,
)


@dataclass(frozen=True, slots=True)
class Phase:
    """A time in which nothing about the load changes."""

    name: str
    seconds: float
    rate: float
    """Requests per second."""
    faults: tuple[tuple[Fault, float], ...] = ()
    """Each with the part, from 0 to 1, of the requests that reach its service and carry it. Together at most 1 for a
    service: a request carries one fault."""

    @property
    def requests(self) -> int:
        return round(self.seconds * self.rate)


@dataclass(frozen=True, slots=True)
class Profile:
    """Phases, one after the other."""

    name: str
    description: str
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        if self.requests > MOST_REQUESTS:
            raise ValueError(
                f"{self.name}: {self.requests} requests are more than {MOST_REQUESTS}, the most that one run sends"
            )

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    @property
    def requests(self) -> int:
        return sum(phase.requests for phase in self.phases)

    def lasting(self, seconds: float) -> "Profile":
        """The same in another time: the phases keep their proportions and rates."""
        factor = seconds / self.seconds
        return replace(self, phases=tuple(replace(phase, seconds=phase.seconds * factor) for phase in self.phases))

    def with_fault(self, fault: Fault) -> "Profile":
        """The same with this fault in place of its own: in all requests that reach the service."""
        if not any(phase.faults for phase in self.phases):
            raise ValueError(f"{self.name} has no faults; the profile with faults is incident")
        return replace(
            self,
            phases=tuple(replace(phase, faults=((fault, 1.0),)) if phase.faults else phase for phase in self.phases),
        )


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("steady", "5 requests a second for 5 minutes", (Phase("steady", 300, 5),)),
        Profile(
            "spike",
            "5 requests a second, for one of three minutes 30",
            (Phase("before", 60, 5), Phase("spike", 60, 30), Phase("after", 60, 5)),
        ),
        Profile(
            "incident",
            "5 requests a second; after 2 minutes and for 15, orders fail or take long; then 5 minutes of recovery",
            # As long as the alerts with the longest `for` need.
            (
                Phase("before", 120, 5),
                Phase(
                    "incident",
                    900,
                    5,
                    ((Fault("orders", "error"), 0.4), (Fault("orders", "latency", "1500ms"), 0.4)),
                ),
                Phase("recovery", 300, 5),
            ),
        ),
    )
}


def planned(phase: Phase) -> Iterator[tuple[Route, Fault | None]]:
    """The requests of a phase in their order, the same in each run."""
    routes = in_turn({route: route.weight for route in ROUTES})
    faults = {route: in_turn(_weights(route, phase)) for route in ROUTES}
    for _ in range(phase.requests):
        route = next(routes)
        yield route, next(faults[route])


def _weights(route: Route, phase: Phase) -> dict[Fault | None, float]:
    weights: dict[Fault | None, float] = {
        fault: part for fault, part in phase.faults if fault.service in route.reaches and part > 0
    }
    return {**weights, None: max(0.0, 1 - sum(weights.values()))}


def in_turn(weights: Mapping[T, float]) -> Iterator[T]:
    """Each as often as its weight says, as evenly as that goes (smooth weighted round robin), without end."""
    total, credit = sum(weights.values()), dict.fromkeys(weights, 0.0)
    while True:
        for key, weight in weights.items():
            credit[key] += weight
        chosen = max(credit, key=lambda key: credit[key])
        credit[chosen] -= total
        yield chosen
