"""Descriptions of services, from which resources are made. The modules of this package return them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

STACK_LABEL = "observability.stack"
"""Label of every container of a stack. Its value is the prefix of the stack."""


def discovered_label(label: str) -> str:
    """A label of a container as service discovery and cAdvisor name it: ``prometheus.io/port`` → ``prometheus_io_port``."""
    return re.sub(r"[^a-zA-Z0-9]", "_", label)


@dataclass(frozen=True)
class Mount:
    """A path on the host, mounted read-only in the container."""

    host: str
    inside: str


@dataclass(frozen=True)
class Secret:
    """A secret of the stack, delivered as a file."""

    key: str
    """Name of the secret, one of `settings.SECRETS`."""
    render: Callable[[str], str] = str
    """Function from the secret's value to the text of the file."""


@dataclass(frozen=True)
class ConfigFiles:
    """The config files of one service, and how the running service loads a new set.

    The files are in `DIRECTORY` in the container. They refer to each other by relative paths only: with an absolute
    path the validator would read the live set instead of the new one.
    """

    files: Mapping[str, str]
    """Path below `DIRECTORY` → text. One that does not end with a newline, as files of yours may, gets one."""
    validate: str | None = None
    """The service's own validator: a shell command, run by the service's image in the folder of the new files."""
    secrets: Mapping[str, "Secret"] = field(default_factory=dict)
    """File name below `secrets/` → its secret."""
    reload: Literal["SIGHUP", "restart", "poll"] | tuple[str, ...] = "SIGHUP"
    """How the service is made to read its files again. With `poll` it notices by itself. A tuple is a command in its
    container, which fails and prints the reason if the service refuses the files."""
    since_start: Mapping[str, str] = field(default_factory=dict)
    """For services that read some files only at their start: URL inside the container → text that the page shows once
    these files are loaded. If the page does not show it, the service is restarted; otherwise it keeps running."""
    expect: Mapping[str, str] = field(default_factory=dict)
    """URL inside the container → text, on one line, that the page shows once the service runs these files."""

    def __post_init__(self) -> None:
        ended = {path: text if text.endswith("\n") else f"{text}\n" for path, text in self.files.items()}
        object.__setattr__(self, "files", ended)


NOT_ITS_OWN = 125
"""Exit codes from here on come from the engine, a shell or a signal, not from the program (docker-run(1), "Exit
Status")."""
MOUNT = "/config"
"""Mount point of the volume with the config files."""
DIRECTORY = f"{MOUNT}/current"


@dataclass(frozen=True)
class Container:
    """One service, described by what differs from the others. `components/service.py` adds what all containers have."""

    service: str
    command: tuple[str, ...]
    user: str
    """`uid:gid` as in the official image. The group can read the config files."""
    port: int | None
    """Port that it listens on, mostly for metrics; None if it has no port."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Field of `settings.Publish` → port inside."""
    entrypoint: tuple[str, ...] | None = None
    """Replaces the entrypoint of the image; None keeps it."""
    tools: bool = True
    """Whether the official image has busybox (a shell, wget). If not, containers of the image `busybox` load the
    service's files and request its pages."""
    health: tuple[str, ...] | None = None
    """Command that exits with 0 if the service is healthy; None if the image has no tool for it (Prometheus' `up` shows
    it)."""
    grace_seconds: int = 10
    """Seconds between the stop signal and the kill."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables. Never secrets, because `docker inspect` shows them."""
    go_memory_percent: int = 85
    """GOMEMLIMIT as a percentage of the container's memory limit. The rest is for stacks, for memory that the runtime
    does not count, and for other processes. 0 leaves it unset: the service detects the limit itself."""
    data: str | None = None
    """Mount point of the volume for data that must survive; None for no volume."""
    damaged_paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For services that do not start with damaged data: regular expression for the error message → the damaged paths
    below `data`, which may refer to a group of the expression (`\\1`). `make up` sets these aside
    (`operate/damaged_data.py`)."""
    claims_data: bool = False
    """Whether the image lacks the data folder, so that root owns its volume. Then the config loader changes the owner."""
    quiesce: Literal["paused", "stopped"] = "paused"
    """How a backup quiesces the service while it copies the files that changed last. Pausing is enough for services
    that survive a power cut; those that write some of their data only when they exit must be stopped."""
    forwards_data: bool = False
    """Whether it forwards its data to another service. A backup copies it first, so that no data is missed in between."""
    read_only: bool = True
    """Whether its root file system is read-only."""
    mounts: tuple[Mount, ...] = ()
    empty: tuple[str, ...] = ()
    """Folders that stay empty."""
    devices: tuple[str, ...] = ()
    """Devices of the host, read-only."""
    capabilities: tuple[str, ...] = ()
    """Capabilities, with the `CAP_` prefix (without it every refresh shows a difference). All others are dropped."""
    config: ConfigFiles | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Host name → address, in its `/etc/hosts`, for names that it must not look up."""
    alias: str | None = None
    """Its host name in your containers' networks."""
    after: tuple[str, ...] = ()
    """Services of its stack that must be healthy before it starts, if they run."""


def http_health(port: int, path: str = "/metrics", address: str = "127.0.0.1") -> tuple[str, ...]:
    """A health check with busybox' wget: the command's arguments. The default is 127.0.0.1, because localhost may
    resolve to ::1, where nothing listens."""
    return ("wget", "-q", "-O", "/dev/null", f"http://{address}:{port}{path}")
