"""A Docker engine of today beside the machine's own, built from Go modules (`toolchain/present_engine`).

It lives in namespaces of its own: its network has nothing but loopback, so that no bridge or port of it meets those of the
machine's engine; its processes and mounts end with it, whatever ends the session that started it. What is left of a killed
session is a folder and empty cgroups (`remove_left`).
"""

import contextlib
import ctypes
import fcntl
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import docker

from config.settings.docker import Docker
from tests.support import leftovers
from toolchain import debian, engine_setup, golang, store
from toolchain.report import Step, ToolchainError

MODULE = Path(golang.__file__).with_name("present_engine")
STATIC = (
    *("github.com/moby/moby/v2/cmd/dockerd", "github.com/moby/moby/v2/cmd/docker-proxy"),
    *("github.com/containerd/containerd/v2/cmd/containerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"),
)  # fmt: skip
RUNC = "github.com/opencontainers/runc"
VERSION = "29.4.0"
"""What it calls itself. The module's own number would not do: cAdvisor refuses what is not x.y.z, and what comes without one
calls itself `library-import`."""
HEADERS = Path("/usr/include/seccomp.h")
CGROUPS = Path("/sys/fs/cgroup")
START_SECONDS = 60
STOP_SECONDS = 60
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of the kernel's sched.h."""

# Propagation as systemd sets it, but apart from the machine's own mounts; a shim's socket is always below /run/containerd.
NAMESPACES = ("setpriv", "--pdeathsig=KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL")
PREPARE = """\
set -e
mount -t proc proc /proc
mount --make-rshared /
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd
exec "$@"
"""


@dataclass(frozen=True)
class PresentEngine:
    """One that runs."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def docker(self) -> Docker:
        """How a stack file names it; where it keeps its data and has its containerd is left to be found."""
        return Docker(host=f"unix://{self.folder}/docker.sock")

    @contextmanager
    def network(self) -> Iterator[None]:
        """Lets this thread, and what it starts, reach the published ports; nothing else of the machine."""
        with network_of(self.process.pid):
            yield


@contextmanager
def network_of(process: int) -> Iterator[None]:
    """Lets this thread, and what it starts, be in the network of a process."""
    with Path("/proc/thread-self/ns/net").open() as own, Path(f"/proc/{process}/ns/net").open() as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


@contextmanager
def running() -> Iterator[PresentEngine]:
    """An empty one, gone with all that it had at the end."""
    name = leftovers.new_prefix()
    folder = Path(tempfile.gettempdir(), name)
    folder.mkdir(mode=0o711)
    (folder / "daemon.json").write_text("{}")
    binaries = build()
    process = start(folder, NAMESPACES, binaries / "dockerd", f"{binaries}:{os.environ['PATH']}")
    started = PresentEngine(folder, process)
    try:
        wait(started.docker, process, folder / "log")
        with started.network():
            loopback_up()
        yield started
    finally:
        end(process)
        remove(folder)


def start(folder: Path, namespaces: Sequence[str], engine: Path, path: str) -> "subprocess.Popen[bytes]":
    """Starts the program `engine` behind the command `namespaces`, which runs it apart from the machine's own engine. Data, socket
    and log are in `folder`, whose name its cgroups have. `path` is its PATH, without the folders of the system's programs."""
    command = [
        *namespaces,
        *("sh", "-c", PREPARE, "sh", str(engine)),
        *("--config-file", "daemon.json", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
        *("--host", f"unix://{folder}/docker.sock", "--pidfile", f"{folder}/docker.pid"),
        # systemd, where there is one, could not tell which process is meant.
        *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{folder.name}"),
    ]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PATH": f"{path}:{engine_setup.SBIN}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def build() -> Path:
    """The folder with its programs."""
    go = golang.toolchain()
    key = store.content_key(MODULE, VERSION, go.version, platform.machine())
    return store.product("present-engine", key, _build)


def _build(into: Path) -> None:
    go = golang.toolchain()
    if not HEADERS.exists():
        debian.install("libseccomp-dev", "pkg-config")
    with Step("an engine for tests: building from Go modules"):
        go.build(
            MODULE,
            STATIC,
            tags="netgo,exclude_graphdriver_btrfs,no_btrfs",
            ldflags=f"-s -w -X github.com/moby/moby/v2/dockerversion.Version={VERSION}",
            into=into,
            log="build-present-engine",
        )
        # Without seccomp it refuses every container that Docker starts.
        go.build(MODULE, [RUNC], tags="netgo,seccomp", ldflags="-s -w", into=into, log="build-runc", c=True)


def remove_left() -> None:
    """What killed sessions have left: their processes and mounts went with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{leftovers.PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another session does the same
            if leftovers.is_left(folder.name, datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat()):
                remove(folder)


def remove(folder: Path) -> None:
    """The folder and the cgroups of that name. The kernel may still be ending processes in them."""
    deadline = time.monotonic() + STOP_SECONDS
    groups = [path for path in (CGROUPS / folder.name, *CGROUPS.glob(f"*/{folder.name}")) if path.is_dir()]
    for group in groups:
        for below in sorted((path for path in (group, *group.rglob("*")) if path.is_dir()), reverse=True):
            while below.exists():
                try:
                    below.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
    shutil.rmtree(folder)


def wait(where: Docker, process: "subprocess.Popen[bytes]", log: Path) -> docker.DockerClient:
    """Waits until the engine that `process` runs answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return engine_setup.connect(where)
        except engine_setup.EngineUnreachableError:
            time.sleep(0.1)
    words = log.read_text(errors="replace")[-2000:]
    raise ToolchainError(f"the engine of {log.parent} did not start within {START_SECONDS} s:\n{words}")


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kills the first process of its namespace, which is over when all others are, and their mounts with them."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    try:
        process.wait(STOP_SECONDS)
    finally:
        process.kill()
        process.wait()


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def loopback_up() -> None:
    """A new network's loopback interface is down. The numbers are SIOCSIFFLAGS and IFF_UP of the kernel's headers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))
