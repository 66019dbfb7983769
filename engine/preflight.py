"""Judges whether an engine can run this stack, by what it reports about itself (`docker info`, `docker version`).

An engine that cannot run the stack is refused before anything changes. A feature that the stack would only lack gets a note.
"""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OLDEST_API = (1, 40)
"""The API of Docker 19.03. Prometheus, Alloy and cAdvisor are built with moby/client, which speaks no older one (its
MinAPIVersion). docs/toolchain.md says which versions this project is tested on."""
NEWEST_API = (1, 51)
"""The API that Pulumi's Docker provider speaks (docker/docker 28.5 in its go.mod). An engine may be newer, but must
accept this one."""
DUAL_LOGGING_API = (1, 41)
"""The API of Docker 20.10. Since then the engine keeps a copy of the logs that it sends elsewhere, so they can be read
back."""
READABLE_LOGS = {"json-file", "local", "journald"}
"""Log drivers whose logs the engine can read back without such a copy.
https://docs.docker.com/engine/logging/dual-logging/"""
SNAPSHOTTER = "io.containerd.snapshotter.v1"
"""Marks an engine that keeps its images in containerd's own store (`DriverStatus`)."""
READ_BY_CADVISOR = "overlayfs"
"""The only snapshotter of containerd that cAdvisor asks containerd about (its container/docker/factory.go)."""
GRAPH_DRIVERS_UNMEASURED = {"btrfs", "windowsfilter"}
"""Storage drivers with which cAdvisor does not know where a container's files are (`DetermineDeviceStorage` in its
handler.go)."""


@dataclass(frozen=True)
class Problem:
    """What an engine cannot do, and how to fix it."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}. What to do: {self.fix}"


@dataclass(frozen=True)
class Verdict:
    """The problems of an engine, if it has any."""

    refusals: tuple[Problem, ...] = ()
    """Problems with which the stack cannot run."""
    losses: tuple[Problem, ...] = ()
    """Problems with which the stack runs, but does less."""


@dataclass(frozen=True)
class Engine:
    """What an engine reports about itself. Podman, and older or newer engines, leave fields out."""

    info: Mapping[str, Any]
    version: Mapping[str, Any]

    @classmethod
    def ask(cls, client: Any) -> "Engine":
        """Asks an engine. `client` is a `docker.DockerClient`."""
        return cls(client.info(), client.version())

    def __str__(self) -> str:
        """One line with what it is and what decides how it behaves: `Docker 28.5.1, API 1.51, images in overlay2,
        cgroup v2`."""
        store = f"containerd ({self.driver})" if self.images_in_containerd else self.driver
        return f"{self.name} {self.number}, API {self.api}, images in {store}, cgroup v{self.info.get('CgroupVersion') or 1}"

    @property
    def name(self) -> str:
        """`Docker` or `Podman`."""
        return "Podman" if self.is_podman else "Docker"

    @property
    def number(self) -> str:
        """Its version: `28.5.1`."""
        return str(self.info.get("ServerVersion") or self.version.get("Version") or "of unknown version")

    @property
    def api(self) -> str:
        """Version of its API: `1.51`."""
        return str(self.version.get("ApiVersion") or "unknown")

    @property
    def driver(self) -> str:
        """Its storage driver, or its snapshotter if its images are in containerd."""
        return str(self.info.get("Driver") or "unknown")

    @property
    def root(self) -> str:
        """The folder in which it keeps its data; empty if unknown."""
        return str(self.info.get("DockerRootDir") or "")

    @property
    def containerd(self) -> str:
        """Socket of its containerd; empty if it does not report one (before API 1.46, Docker 27)."""
        return str((self.info.get("Containerd") or {}).get("Address") or "")

    @property
    def is_podman(self) -> bool:
        return any("podman" in str(part.get("Name", "")).lower() for part in self.version.get("Components") or ())

    @property
    def images_in_containerd(self) -> bool:
        """Whether its images are in containerd's store, which is Docker's default since version 29. Otherwise the
        engine keeps them itself (`overlay2`)."""
        return any(list(pair)[1:] == [SNAPSHOTTER] for pair in self.info.get("DriverStatus") or ())

    def secured_by(self, name: str) -> bool:
        """Whether it has a security option of this name. Options look like `name=userns` or
        `name=seccomp,profile=default`."""
        return any(
            str(option).split(",")[0].removeprefix("name=") == name for option in self.info.get("SecurityOptions") or ()
        )

    def is_older_than(self, api: tuple[int, int]) -> bool:
        """Whether its API is older than `api`, such as (1, 41)."""
        return _numbers(self.version.get("ApiVersion")) < api


def _numbers(version: object) -> tuple[int, ...]:
    """`1.41` → (1, 41). Any other text counts as `OLDEST_API`, so it is not judged by its age."""
    parts = str(version or "").split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else OLDEST_API


Test = Callable[[Engine], str | None]
"""Returns what is wrong, as the end of a sentence; None if nothing is."""


def judge(engine: Engine) -> Verdict:
    """Judges what of this stack the engine cannot run, and what the stack loses on it."""
    return Verdict(_problems(engine, _REFUSED), _problems(engine, _LOST))


def elsewhere(engine: Engine, *, data_root: str, containerd: str) -> dict[str, str]:
    """Paths that the engine reports and the settings do not have: key below `docker` in the stack file → path, as in
    `{"data_root": "/mnt/docker"}`."""
    places = {"data_root": (data_root, engine.root)}
    if engine.images_in_containerd:  # else no service asks it
        places["containerd"] = (containerd, engine.containerd)
    return {key: actual for key, (setting, actual) in places.items() if actual and _place(setting) != _place(actual)}


def _place(path: str) -> str:
    """The path, normalised. Every Linux has `/var/run` as a link to `/run`."""
    path = posixpath.normpath(path)
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def _problems(engine: Engine, rules: Sequence[tuple[Test, str]]) -> tuple[Problem, ...]:
    return tuple(Problem(what, fix) for test, fix in rules if (what := test(engine)))


# Problems with which the stack cannot run


def _is_too_old(engine: Engine) -> str | None:
    if not engine.is_older_than(OLDEST_API):
        return None
    return f"its API is {engine.api}, and Prometheus and cAdvisor speak {_text(OLDEST_API)} and newer"


def _is_too_new(engine: Engine) -> str | None:
    oldest = engine.version.get("MinAPIVersion")
    if not oldest or _numbers(oldest) <= NEWEST_API:
        return None
    return f"it takes no API older than {oldest}, and Pulumi's Docker provider speaks {_text(NEWEST_API)}"


def _runs_windows(engine: Engine) -> str | None:
    kind = engine.info.get("OSType") or "linux"
    return f"its containers are of {kind}, and all images here are of linux" if kind != "linux" else None


def _is_podman(engine: Engine) -> str | None:
    if not engine.is_podman:
        return None
    return (
        "it is Podman behind Docker's API: cAdvisor finds no container, for their cgroups have other names, and after a "
        "start of the host nobody starts them again"
    )


def _remaps_users(engine: Engine) -> str | None:
    if not engine.secured_by("userns"):
        return None
    return (
        "it maps root of each container to another user of the host (userns-remap), who may open neither the engine's socket "
        "nor what cAdvisor reads: no container would be found, no log be shipped"
    )


def _is_a_snap(engine: Engine) -> str | None:
    if not engine.root.startswith("/var/snap/"):
        return None
    return (
        f"it is the snap of Docker (its data is in {engine.root}), which gives containers the snap's file system in place of the "
        "host's: disks would be measured wrong, and many mounts are refused"
    )


def _is_docker_desktop(engine: Engine) -> str | None:
    if "docker desktop" not in f"{engine.info.get('OperatingSystem')}".lower():
        return None
    return (
        "it is Docker Desktop, which cannot hand on mounts of its virtual machine (rslave), as node_exporter and cAdvisor "
        "have the host's file system"
    )


_NORMAL_ENGINE = (
    "install Docker's own packages on it (https://docs.docker.com/engine/install/), or docker.io of Debian or Ubuntu"
)
_ON_LINUX = (
    "use an engine on Linux: a host by ssh (docker.host in the stack file), or a virtual machine with one (colima, Lima, WSL "
    "with systemd)"
)

_REFUSED: tuple[tuple[Test, str], ...] = (
    (_is_podman, _NORMAL_ENGINE),
    (_runs_windows, "switch it to Linux containers"),
    (_is_too_old, "update Docker to 20.10 or newer"),
    (_is_too_new, "take a newer checkout of this project, or an older Docker"),
    (_is_docker_desktop, _ON_LINUX),
    (_is_a_snap, f"snap remove docker (its containers and volumes go too), then {_NORMAL_ENGINE}"),
    (_remaps_users, 'take "userns-remap" out of /etc/docker/daemon.json and restart Docker, or use another host'),
)


# Problems with which the stack does less


def _copies_layers(engine: Engine) -> str | None:
    if engine.driver not in {"vfs", "native"}:
        return None
    return f"the engine has no overlay file system here and copies every image layer ({engine.driver}): slow, and large on disk"


def _hides_containers(engine: Engine) -> str | None:
    if not engine.images_in_containerd or engine.driver == READ_BY_CADVISOR:
        return None
    return f"cAdvisor cannot read containerd's snapshotter {engine.driver}: no container is measured"


def _hides_disk_use(engine: Engine) -> str | None:
    if engine.images_in_containerd or engine.driver not in GRAPH_DRIVERS_UNMEASURED:
        return None
    return f"cAdvisor cannot tell what containers have on disk with the storage driver {engine.driver}"


def _cannot_limit_memory(engine: Engine) -> str | None:
    if engine.info.get("MemoryLimit") is not False:
        return None
    return "the engine cannot limit memory here: the memory ceiling is not in force (cgroup memory controller is off)"


def _cannot_limit_swap(engine: Engine) -> str | None:
    if engine.info.get("MemoryLimit") is False or engine.info.get("SwapLimit") is not False:
        return None
    return "the engine cannot limit swap here: containers may swap beyond their memory limit"


def _is_rootless(engine: Engine) -> str | None:
    if not engine.secured_by("rootless"):
        return None
    return (
        "the engine runs without root: node_exporter and cAdvisor see of the host what its user may see, and the kernel does "
        "not tell them whom it killed for memory"
    )


def _is_guarded_by_selinux(engine: Engine) -> str | None:
    if not engine.secured_by("selinux"):
        return None
    return (
        "the engine labels containers for SELinux, whose usual policy lets none of them open the engine's socket or read the "
        "host's files: logs and containers may be missing"
    )


def _keeps_no_logs(engine: Engine) -> str | None:
    driver = str(engine.info.get("LoggingDriver") or "json-file")
    if driver == "none" or (driver not in READABLE_LOGS and engine.is_older_than(DUAL_LOGGING_API)):
        return f"containers that name no log driver have {driver}, which the engine cannot read back: their lines are not shipped"
    return None


def _forwards_nothing(engine: Engine) -> str | None:
    if engine.info.get("IPv4Forwarding") is not False:
        return None
    return "the host forwards no packets (net.ipv4.ip_forward is 0): containers reach nobody outside, Slack neither"


def _is_in_a_virtual_machine(engine: Engine) -> str | None:
    system, name = str(engine.info.get("OperatingSystem") or ""), str(engine.info.get("Name") or "")
    machines = ("colima", "lima-", "rancher-desktop", "orbstack")
    if not (name.startswith(machines) or system.lower().startswith(("orbstack", "rancher desktop"))):
        return None
    return f"the engine is in the virtual machine {name}: what is measured as the host is that machine"


_DELEGATE = "boot with cgroup_enable=memory swapaccount=1; of an engine without root: cgroup v2, and systemd delegating memory to it"

_LOST: tuple[tuple[Test, str], ...] = (
    (_copies_layers, "keep its data on ext4 or xfs, with the kernel's module overlay"),
    (_hides_containers, 'take "storage-driver" out of /etc/docker/daemon.json, and restart Docker'),
    (_hides_disk_use, "nothing, or keep its data on ext4 or xfs, with the storage driver overlay2"),
    (_cannot_limit_memory, _DELEGATE),
    (_cannot_limit_swap, "boot with swapaccount=1, or without swap"),
    (_is_rootless, "use an engine that runs as root, where this host is to be watched and not only containers"),
    (
        _is_guarded_by_selinux,
        'take "selinux-enabled" out of /etc/docker/daemon.json, or give the three a policy of your own',
    ),
    (_keeps_no_logs, 'set "log-driver": "json-file" or "local" in /etc/docker/daemon.json, for new containers'),
    (_forwards_nothing, "sysctl -w net.ipv4.ip_forward=1"),
    (_is_in_a_virtual_machine, "nothing, where that is meant"),
)


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
