"""A row of the catalogue of services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from config.sizes import GIB

Stack = Literal["metrics", "logs", "traces", "correlation"]
Zone = Literal["inside", "edge", "users", "door"]
"""`inside`: services that store data, and their clients. `users`: your containers. `edge`: between the two. `door`: the way
to what may change a container, where no other service is."""

INSIDE: tuple[Zone, ...] = ("inside",)
OUTSIDE: tuple[Zone, ...] = ("edge", "users")
BETWEEN: tuple[Zone, ...] = ("inside", "edge")


@dataclass(frozen=True)
class Pin:
    """An image: `repository:tag` for readers, the digest for the engine. Renovate moves both together."""

    repository: str
    tag: str
    digest: str | None = None
    """``sha256:…`` of the multi-arch index; None if it could not be confirmed: then the service needs an override."""

    @property
    def reference(self) -> str:
        """``repository:tag@digest``."""
        return f"{self.repository}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A port that the stack can open on the host, set by `publish.<name>`."""

    address: str | None = None
    """`address:port` by default; None if the port is closed by default."""
    note: str | None = None
    """Text for docs/configuration.md."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One service, the same in every stack. Memory is in bytes."""

    name: str
    stack: Stack
    image: Pin
    memory: int
    """Memory limit on a host of 16 GiB."""
    least: int | None = None
    """Minimum of a limit that grows with the host (measured, docs/performance.md); None if the limit is the same on
    every host."""
    full_on: int = 16 * GIB
    """Size of the host from which on the limit is `memory`."""
    most: int | None = None
    """Highest limit that a stack file may set; None for no bound."""
    on_edge: tuple[int, int] | None = None
    """Memory limit on an edge, and on one with 1 GiB (docs/edges.md); None if an edge does not run it, or, for an
    exporter, if it has `memory` everywhere."""
    port: int | None = None
    """Port of its metrics, and of its API if it has one. It is the service's default, so the service's own docs apply."""
    publish: Mapping[str, Published] = field(default_factory=dict)
    """Name of a setting below `publish` → the port that it opens."""
    zones: tuple[Zone, ...] = INSIDE
    """Networks that it joins. A stack may select fewer."""
    edge_address: int | None = None
    """Index of its address in the network `edge`. Never change one: running containers would be replaced."""
    watches: str | None = None
    """For an exporter: the key below `exporters` that selects it and says what it measures."""
    example: Mapping[str, str] = field(default_factory=dict)
    """The least that a stack file has below that key."""
    note: str | None = None
    """Text about that key for docs/configuration.md."""
    login: str | None = None
    """Text for docs/configuration.md about the secret `<watches>_<credential>`; None if it takes none."""
    credential: str = "password"
    """What that secret holds: `password`, or `certificate` for a client's certificate with its key."""
    board: str | None = None
    """Dashboard to which the alerts in `config/alerts/<watches>.py` link; None if there is no such module."""
