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
    validate: str | None = None
    """The service's own validator: a command, run in the folder of the new files by the service's own image."""
    secrets: Mapping[str, "Secret"] = field(default_factory=dict)
    """File below `secrets/` → what it holds."""
    reload: Literal["SIGHUP", "restart", "poll"] | tuple[str, ...] = "SIGHUP"
    """What makes the service read its files again; `poll`: nothing, it looks after them by itself. Or a command in its
    container, which fails, with the reason as its output, if the service does not take them."""
    since_start: Mapping[str, str] = field(default_factory=dict)
    """For a service that reads a part of its files only at its start: URL inside the container → text by which the page
    tells that part. A process that does not say so is restarted, any other one keeps running."""
    expect: Mapping[str, str] = field(default_factory=dict)
    """URL inside the container → text that the page holds, on one line, once the service runs these very files."""


NOT_ITS_OWN = 125
"""From this exit code on the engine, a shell or a signal tells it, and not the program (docker-run(1), "Exit Status")."""
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
    port: int | None
    """Where it serves (metrics, mostly); None for who serves nothing."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Field of `settings.Publish` → port inside."""
    entrypoint: tuple[str, ...] | None = None
    """Where the image's own is not what is to run."""
    tools: bool = True
    """Whether the official image has busybox (a shell, wget). Where it has not, containers of the image `busybox` load
    the service's files and ask for its pages."""
    health: tuple[str, ...] | None = None
    """Command that ends with 0 when the service is well; None for images without any tool (Prometheus' `up` tells)."""
    grace_seconds: int = 10
    """Between the signal to stop and the kill."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Never secrets: `docker inspect` shows it."""
    go_memory_percent: int = 85
    """What GOMEMLIMIT is of the container's limit: the rest is for stacks, for what the runtime does not count, and for
    other processes. 0 where it is not set, because the service finds the limit by itself."""
    data: str | None = None
    """Where it keeps what must survive: a volume of its own."""
    unreadable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a service that does not start with damaged data: what it then says (a regular expression) → what of `data` that is,
    where a group of the expression may be meant (`\\1`). `make up` sets it aside (`operate/damaged_data.py`)."""
    claims_data: bool = False
    """Whether the image lacks that folder, so that its volume is root's: the loader of the config files hands it over."""
    still: Literal["paused", "stopped"] = "paused"
    """How it is held while a backup copies what has just changed. Paused is enough for whoever comes back from a power
    cut with all that it has; who writes some of it only at its end has to be stopped."""
    hands_on: bool = False
    """Whether what it keeps is on its way to another service: a backup takes it first, so that nothing falls between."""
    read_only: bool = True
    """Its root file system."""
    mounts: tuple[Mount, ...] = ()
    empty: tuple[str, ...] = ()
    """Folders that stay empty."""
    devices: tuple[str, ...] = ()
    """Devices of the host, read-only."""
    capabilities: tuple[str, ...] = ()
    """Added to none, with the `CAP_` prefix (without it every refresh sees a difference)."""
    config: ConfigFiles | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Name → address, for what it must not look up: in its file of hosts."""
    alias: str | None = None
    """How the user's own containers call it in those networks."""
    after: tuple[str, ...] = ()
    """Services of its stack, where they run, that must be well before it starts."""


def http_health(port: int, path: str = "/metrics", address: str = "127.0.0.1") -> tuple[str, ...]:
    """A check by the wget of busybox. 127.0.0.1, because localhost may resolve to ::1 where nobody listens."""
    return ("wget", "-q", "-O", "/dev/null", f"http://{address}:{port}{path}")
