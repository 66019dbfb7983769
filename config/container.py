"""What a service is, before any resource of it exists: what the modules of this package return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Mount:
    """A path of the host, read-only inside the container."""

    host: str
    inside: str


@dataclass(frozen=True)
class Secret:
    """A secret of the stack, as the text of a file."""

    key: str
    """One of `settings.SECRETS`."""
    render: Callable[[str], str] = str
    """From the secret's value to the file's text."""


@dataclass(frozen=True)
class ConfigFiles:
    """The files of one service, and how a running service takes a new set of them.

    They stand under `DIRECTORY` in the container. They name each other by relative paths only: an absolute one would
    make the validator look at the live set instead of the new one.
    """

    files: Mapping[str, str]
    """Path below `DIRECTORY` → text."""
    validate: str = "true"
    """The service's own validator: a shell command, run in the folder of the new files by the service's own image."""
    secrets: Mapping[str, "Secret"] = field(default_factory=dict)
    """File below `secrets/` → what it holds."""
    reload: Literal["SIGHUP", "restart"] = "SIGHUP"
    """What makes the service read its files again."""
    expect: Mapping[str, str] = field(default_factory=dict)
    """URL inside the container → text that the page holds once the service runs these very files."""


MOUNT = "/config"
"""Where a service has the volume with its config files."""
DIRECTORY = f"{MOUNT}/current"


@dataclass(frozen=True)
class Container:
    """One service: only what differs from the others. What every container has is in `components/service.py`."""

    service: str
    command: tuple[str, ...]
    user: str
    """`uid:gid` as in the official image; config files are readable by the gid."""
    port: int
    """Where it serves (metrics, mostly)."""
    health: tuple[str, ...] | None = None
    """Command that ends with 0 when the service is well; None for images without any tool (Prometheus' `up` tells)."""
    grace_seconds: int = 10
    """Between the signal to stop and the kill."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Never secrets: `docker inspect` shows it."""
    go_memory_limit: bool = True
    """Whether GOMEMLIMIT is set from the container's limit; False where the service finds the limit by itself."""
    data: str | None = None
    """Where it keeps what must survive: a volume of its own."""
    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
    """Devices of the host, read-only."""
    capabilities: tuple[str, ...] = ()
    """Added to none, with the `CAP_` prefix (without it every refresh sees a difference)."""
    config: ConfigFiles | None = None
    reaches_users: bool = False
    """Whether it must reach the user's own containers, and so joins `networks` of the settings."""


def http_health(port: int, path: str = "/metrics") -> tuple[str, ...]:
    """A check by the wget of busybox. 127.0.0.1, because localhost may resolve to ::1 where nobody listens."""
    return ("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}{path}")
