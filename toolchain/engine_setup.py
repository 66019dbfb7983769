"""The Docker engine: use it if it runs, otherwise install the distribution's package and start it.

Only the engine of this machine is ever installed or started. One that is reached over tcp or ssh is only checked.
"""

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException
from pydantic import ValidationError

from config.settings.docker import Docker
from engine import docker_api, other_engine, preflight
from toolchain import debian
from toolchain.paths import state_dir
from toolchain.report import Step, ToolchainError, note

LOCAL_SOCKET = other_engine.DEFAULT
LOCAL_SOCKETS = {LOCAL_SOCKET, "unix:///run/docker.sock"}
START_SECONDS = 90
PULL_SECONDS = 600
"""Timeout of one call to the engine. Loading a large image takes long."""
MOUNTS = Path("/proc/self/mountinfo")
SYSTEMD = Path("/run/systemd/system")
# dockerd is in sbin, which is not on the PATH of an ordinary Debian user.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def configured() -> Docker:
    """The engine that Docker's own tools would use: for commands without a stack file.

    Raises:
        ToolchainError: DOCKER_HOST or the context of the Docker CLI is not valid.
    """
    try:
        named = other_engine.named_engine()
    except ValueError as error:
        raise ToolchainError(str(error), fix="fix it, or set DOCKER_HOST") from None
    if not named:
        return Docker()
    try:
        return Docker(host=named.host, certificates=named.certificates and str(named.certificates))
    except ValidationError as error:
        message = f"{named.by}: {error.errors()[0]['msg']}"
        raise ToolchainError(
            message, fix="set DOCKER_HOST right, or choose another context of the Docker CLI"
        ) from None


def connect(where: Docker, *, timeout: int = PULL_SECONDS) -> docker.DockerClient:
    """Return a client of the engine, after one ping.

    Raises:
        EngineUnreachableError: the engine does not answer. The error names the fix.
        ToolchainError: the configuration of the Docker CLI cannot be read.
    """
    try:
        client = docker_api.connect(where.model_dump(), timeout)
        client.ping()
    except docker_api.UnreadableConfigError as error:
        raise ToolchainError(str(error), fix="fix or remove it: `docker login` writes a new one") from None
    except (DockerException, OSError) as error:
        raise EngineUnreachableError(where.host, error) from error
    return client


class EngineUnreachableError(ToolchainError):
    """The engine does not answer. `down` is true if it is a local engine that does not run."""

    def __init__(self, host: str, cause: BaseException) -> None:
        reasons = _causes(cause)
        text = " / ".join(str(reason) for reason in reasons)
        self.down = host.startswith("unix://") and any(
            isinstance(reason, FileNotFoundError | ConnectionRefusedError) for reason in reasons
        )
        if any(isinstance(reason, PermissionError) for reason in reasons):
            message = f"this user may not use the Docker engine at {host}"
            fix = f"sudo usermod -aG docker {os.environ.get('USER', '$USER')}, then log in again (or: newgrp docker)"
        elif self.down:
            message, fix = f"no Docker engine runs at {host}", ".venv/bin/python -m toolchain engine starts it"
        else:
            message = f"the Docker engine at {host} does not answer: {text.splitlines()[0] if text else cause!r}"
            fix = "the address stands in docker.host of the stack file; docs/environments.md says how to reach a host"
        super().__init__(message, fix=fix)


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and all its causes. The client wraps the operating system's error several times."""
    result: list[BaseException] = []
    queue = [error]
    while queue:
        current = queue.pop()
        if current is None or current in result:
            continue
        result.append(current)
        queue += [current.__cause__, current.__context__]
        queue += [arg for arg in current.args if isinstance(arg, BaseException)]
        queue.append(
            getattr(current, "reason", None) if isinstance(getattr(current, "reason", None), BaseException) else None
        )
    return result


def ensure(where: Docker | None = None) -> docker.DockerClient:
    """Return a client of a running engine, by default the one that Docker's own tools use. Start or install it if
    needed.

    Raises:
        ToolchainError: the engine cannot run this stack; or it does not answer and must not be started here, because it
            is on another machine, or this user already runs another one.
    """
    where = where or configured()
    host = where.host
    with Step("Docker engine") as step:
        if host in LOCAL_SOCKETS:
            _share_mounts()
        try:
            client = connect(where)
        except EngineUnreachableError as error:
            if not (error.down and host in LOCAL_SOCKETS):
                raise
            if "host" not in where.model_fields_set:
                _must_be_alone()
            if not _dockerd():
                debian.install("docker.io", "iptables", "ca-certificates")
            client = _start(where)
        engine = preflight.Engine.ask(client)
        step.result = str(engine)
    verdict = preflight.judge(engine)
    for problem in verdict.refusals:
        raise ToolchainError(f"the engine at {host} cannot run this stack: {problem.what}", fix=problem.fix)
    for problem in verdict.losses:
        note(f"{problem.what} ({problem.fix})")
    return client


def _must_be_alone() -> None:
    """Make sure that no other engine of this user listens: a second one beside it would be a surprise.

    Raises:
        ToolchainError: another engine listens.
    """
    if socket := next(other_engine.sockets(), None):
        raise ToolchainError(
            f"no Docker engine runs at {LOCAL_SOCKET}, but one listens at {socket}",
            fix=f"to use it, put into the stack file, below `config:`:  nervous-system:docker: {{host: 'unix://{socket}'}}  "
            f"(DOCKER_HOST for commands without a stack); for an engine of the system beside it:  {{host: '{LOCAL_SOCKET}'}}",
        )


def _dockerd() -> str | None:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:{SBIN}")


def _start(where: Docker) -> docker.DockerClient:
    # With systemd, a package that was just installed is already being started.
    if SYSTEMD.is_dir():
        subprocess.run(debian.as_root("systemctl", "start", "docker"), check=False, capture_output=True)
        return _wait(where, Daemon("journalctl -u docker", None))
    attempt: Attempt | None = Attempt()
    while attempt:
        daemon = _background(attempt)
        try:
            return _wait(where, daemon)
        except DaemonExitedError as error:
            attempt = attempt.after(error.output)
            if not attempt:
                raise
            note(f"the engine did not start; trying again {attempt.why}")
    raise AssertionError


@dataclass(frozen=True)
class Attempt:
    """A way to start dockerd without a service manager, and the next one to try if this machine lacks what it needs."""

    options: tuple[str, ...] = ()
    legacy_iptables: bool = False
    why: str = ""

    def after(self, output: str) -> "Attempt | None":
        """The next attempt, chosen by the output with which dockerd ended. None if there is none left."""
        if "--iptables=false" in self.options or not any(
            word in output for word in ("iptables", "nf_tables", "failed to create NAT chain")
        ):
            return None
        if not self.legacy_iptables and shutil.which("iptables-legacy", path=SBIN):
            return Attempt(legacy_iptables=True, why="with iptables-legacy: this kernel has no nf_tables")
        return Attempt(
            options=("--iptables=false", "--ip6tables=false"),
            why="without iptables: containers reach each other and loopback, but not the internet",
        )


@dataclass(frozen=True)
class Daemon:
    """A dockerd that is starting. `log_start` is the offset in its log, in bytes, at which this start begins."""

    log: str
    process: subprocess.Popen[bytes] | None
    log_start: int = field(default=0)


class DaemonExitedError(ToolchainError):
    def __init__(self, output: str, log: str) -> None:
        self.output = output
        reason = [line for line in output.splitlines() if "failed to start daemon" in line] or output.splitlines()[-5:]
        super().__init__(
            "dockerd ended at once:\n" + "\n".join(f"    {line}" for line in reason) + f"\n  Full output: {log}",
            fix="repair what it names, or start an engine in another way and run again",
        )


def _share_mounts() -> None:
    """Share mounts as systemd does. Otherwise the engine refuses the exporters' `rslave` mounts of the host."""
    if not MOUNTS.exists():  # macOS: the engine runs in a virtual machine
        return
    root = next(line.split() for line in MOUNTS.read_text().splitlines() if line.split()[4] == "/")
    if not any(field.startswith("shared:") for field in root):
        subprocess.run(debian.as_root("mount", "--make-rshared", "/"), check=False, capture_output=True)


def _background(attempt: Attempt) -> Daemon:
    """Start dockerd in its own session, so that it outlives this command and the terminal."""
    log = state_dir() / "engine.log"
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    if attempt.legacy_iptables:
        shims = Path(tempfile.mkdtemp(prefix="iptables-legacy-", dir=state_dir()))
        for name in ("iptables", "ip6tables"):
            (shims / name).symlink_to(shutil.which(f"{name}-legacy", path=SBIN) or f"{name}-legacy")
        path = f"{shims}:{path}"
    dockerd = _dockerd()
    if not dockerd:
        raise ToolchainError(
            "the package docker.io brought no dockerd", fix="install a Docker engine by hand, then run again"
        )
    with log.open("ab") as out:
        start = out.tell()
        process = subprocess.Popen(
            debian.as_root("env", f"PATH={path}", dockerd, *attempt.options),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            start_new_session=True,
        )
    return Daemon(str(log), process, start)


def _wait(where: Docker, daemon: Daemon) -> docker.DockerClient:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            return connect(where)
        except EngineUnreachableError as error:
            if not error.down:  # it runs, but this user may not use it
                raise
        if daemon.process and daemon.process.poll() is not None:
            output = Path(daemon.log).read_bytes()[daemon.log_start :].decode(errors="replace")
            raise DaemonExitedError(output, daemon.log)
        time.sleep(0.1)
    raise ToolchainError(f"the Docker engine did not answer within {START_SECONDS} s", fix=f"see its log: {daemon.log}")
