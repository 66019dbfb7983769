"""Profiles of load: which requests in which proportion, how many per second, and which of them with a fault."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from examples.shop.load.faults import Fault

T = TypeVar("T")

MOST_REQUESTS = 100_000
"""Limit for one run. The report holds all its requests in memory."""


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request."""

    method: str
    path: str
    weight: float
    """Its share of all requests, in proportion to the other weights."""
    reaches: frozenset[str]
    """The services that work on it. A fault in any other service would have no effect."""
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
    """A period with constant load."""

    name: str
    seconds: float
    rate: float
    """Requests per second."""
    faults: tuple[tuple[Fault, float], ...] = ()
    """Fault → share, from 0 to 1, of the requests that reach its service and carry it. The shares of one service add up
    to at most 1, because a request carries one fault."""

    @property
    def requests(self) -> int:
        return round(self.seconds * self.rate)


@dataclass(frozen=True, slots=True)
class Profile:
    """Phases, one after another."""

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
        """The same profile, stretched to `seconds` in all. The phases keep their proportions and rates."""
        factor = seconds / self.seconds
        return replace(self, phases=tuple(replace(phase, seconds=phase.seconds * factor) for phase in self.phases))

    def with_fault(self, fault: Fault) -> "Profile":
        """The same profile with this fault instead of its own, in all requests that reach the fault's service.

        Raises:
            ValueError: the profile has no faults.
        """
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
    """Yield the requests of a phase in order, each with its fault. Every run yields the same."""
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
    """Yield keys without end, each as often as its weight says, spread evenly (smooth weighted round robin).

    Example: `{"a": 2, "b": 1}` → a, b, a, a, b, a, …
    """
    total, credit = sum(weights.values()), dict.fromkeys(weights, 0.0)
    while True:
        for key, weight in weights.items():
            credit[key] += weight
        winner = max(credit, key=lambda key: credit[key])
        credit[winner] -= total
        yield winner
