"""Talks to the engine that the settings name, through the Docker API alone: unix, tcp and ssh hosts work alike."""

import functools
import os
import pwd
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, DockerException, InvalidConfigFile
from docker.models.containers import Container
from docker.tls import TLSConfig
from requests import RequestException

from config.docker_cli import SOCKET, config_file
from engine.preflight import Engine, judge

LIMIT = """"$@" & asks=$! times=0 pause=0.005
while kill -0 $asks 2>/dev/null; do
  case $times in 20) pause=0.1 ;; 118) kill -9 $asks; break ;; esac
  sleep $pause; times=$((times + 1))
done
wait $asks
"""
"""Runs its arguments for 10 s at most, in any shell. busybox' own `timeout` would leave a process behind: it watches from a
grandchild, which the first process of the container inherits, and most services never collect one. A check would leave a hundred
in Prometheus' container, until the host has no number left for a new process."""
LIMITED = ("sh", "-c", LIMIT, "limited")
"""Prefix of a command that asks a service from inside its container, with that limit. A service that is paused (`docker pause`)
or hangs accepts connections but does not answer: without a limit, the command would wait for ever. wget's own `-T` does not help:
Debian's busybox ends in a segmentation fault with it."""
WGET = (*LIMITED, "wget", "-q")
STDERR = 2
"""Number of stderr in the engine's frames."""
CUT_OFF = "the engine's answer ended in the middle"


def pauses(first: float, most: float) -> Iterator[float]:
    """Seconds to wait before each further question to a service that is not ready: from `first` to `most`, a quarter longer each
    time. A question is a process that the engine starts, which takes it a tenth of a second of CPU."""
    pause = first
    while True:
        yield pause
        pause = min(1.25 * pause, most)


def connect(settings: Mapping[str, Any], timeout: int = 60) -> docker.DockerClient:
    """A client of the engine that `settings.Docker` names. It waits `timeout` seconds for each answer.

    Raises:
        ConnectionError: an ssh host refuses the login, or its key is not the known one; a certificate is missing; the
            Docker CLI's config cannot be read.
    """
    tls: Any = None
    if settings.get("certificates"):
        folder = Path(settings["certificates"]).expanduser()
        for name in ("ca.pem", "cert.pem", "key.pem"):
            if not (folder / name).is_file():
                raise ConnectionError(f"docker.certificates: {folder / name} is not there")
        tls = _Certificates(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), ca_cert=str(folder / "ca.pem"), verify=True
        )
    address = settings["host"]
    if address.startswith("ssh://"):
        address = f"unix://{_tunnel(address, *settings['ssh_options']).socket}"
    try:
        return docker.DockerClient(base_url=address, tls=tls, timeout=timeout)
    except (InvalidConfigFile, ValueError, AttributeError, TypeError) as error:
        raise UnreadableConfigError(f"{config_file()}, the Docker CLI's config, cannot be read: {error}") from error


class UnreadableConfigError(ConnectionError):
    """The Docker CLI's config, the file with the logins of `docker login`, is broken."""


class _Certificates(TLSConfig):
    """The certificates of the settings. Otherwise `requests` would prefer a REQUESTS_CA_BUNDLE of the environment."""

    def configure_client(self, client: Any) -> None:
        super().configure_client(client)
        client.trust_env = False


@dataclass(frozen=True)
class _Tunnel:
    """A local socket that leads to a remote engine, as long as this process holds it."""

    folder: tempfile.TemporaryDirectory[str]
    ssh: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        return Path(self.folder.name) / "docker.sock"


@functools.cache
def _tunnel(host: str, *options: str) -> _Tunnel:
    """One login for all requests of this process. docker-py's own ssh logs in for each request, and takes no
    options."""
    _room_for_control_socket()
    parts = urlsplit(host)
    user = ["-l", parts.username] if parts.username else []
    socket = parts.path.rstrip("/") or SOCKET
    to = [*user, *(["-p", str(parts.port)] if parts.port else []), "--", str(parts.hostname)]
    folder = tempfile.TemporaryDirectory(prefix="nervous-")
    with tempfile.TemporaryFile() as complaints:
        ssh = subprocess.Popen(
            # Not over the shared connection, which carries ten sessions and falls back when it is full. `cat` ends with
            # this process, however that ends.
            ["ssh", "-T", "-oControlPath=none", "-oControlPersist=no", *options, "-oExitOnForwardFailure=yes", f"-L{folder.name}/docker.sock:{socket}", *to,
             "echo open && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )  # fmt: skip
        if not ssh.stdout or ssh.stdout.readline() != b"open\n":
            complaints.seek(0)
            raise ConnectionError(_reason(complaints.read().decode(errors="replace")))
    return _Tunnel(folder, ssh)


def _room_for_control_socket() -> None:
    """Makes `~/.ssh`, where ssh puts its control socket. ssh itself makes that folder only when it has learned a key.
    It takes the home folder from the user database, not from HOME."""
    Path(pwd.getpwuid(os.getuid()).pw_dir, ".ssh").mkdir(mode=0o700, exist_ok=True)


def _reason(complaints: str) -> str:
    """The complaints of ssh, in one line."""
    if "Host key verification failed" in complaints:
        changed = "IDENTIFICATION HAS CHANGED" in complaints
        return (
            f"its host key {'is not the one that is known' if changed else 'is not known'}: compare what "
            "`ssh-keyscan` prints with the host's own /etc/ssh/ssh_host_*_key.pub, and put it into docker.ssh.known_hosts "
            "or ~/.ssh/known_hosts"
        )
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    missing = [line for line in lines if line.startswith("no such identity")]
    return "; ".join([*missing, *lines[-1:]]) or "ssh ended without a word"


def must_serve(settings: Mapping[str, Any]) -> None:
    """Checks that the engine that `settings.Docker` names answers and can run the stack.

    Raises:
        ConnectionError: it does not, or cannot; in one line.
    """
    try:
        engine = Engine.ask(connect(settings, timeout=15))
    except (DockerException, OSError) as error:
        raise ConnectionError(f"the engine at {settings['host']} does not answer: {error}") from None
    for problem in judge(engine).refusals:
        raise ConnectionError(f"the engine at {settings['host']} cannot run this stack: {problem}")


def execute(service: Container, command: Sequence[str]) -> tuple[int, str]:
    """Runs `command` inside `service`. Returns exit code and output; code 1 if the service stopped meanwhile, or the
    command did not end."""
    try:
        code, out = run_inside(service, list(command))
    except (APIError, RequestException) as error:
        return 1, str(error)
    return code, out.decode(errors="replace")


def run_inside(service: Container, command: list[str]) -> tuple[int, bytes]:
    """Runs `command` inside `service`. Returns exit code and output. On a busy host `Container.exec_run` loses output
    that arrives together with the head of the engine's answer.

    docker-py reads past the buffer of its HTTP client (its issue 3332). Without `Upgrade` in the request, the engine
    sends the same stream as the body of an ordinary answer.
    """
    answer, ended = _begun(service, command)
    return ended(), b"".join(frames(answer.content))


def output(service: Container, command: list[str], complaints: list[bytes]) -> Iterator[bytes]:
    """Yields what `command` writes inside `service`, as it comes, for output that is too long for memory. Its stderr is
    appended to `complaints`.

    Raises:
        ChildProcessError: its exit code is not 0, or its output breaks off.
    """
    answer, ended = _begun(service, command, stream=True)
    stream = answer.raw
    while head := _exactly(stream, 8):
        kind, length = struct.unpack(">B3xL", head)
        text = _exactly(stream, length)
        if len(text) < length:
            raise ChildProcessError(CUT_OFF)
        if kind == STDERR:
            complaints.append(text)
        else:
            yield text
    if code := ended():
        complaint = b"".join(complaints).decode(errors="replace").strip()
        raise ChildProcessError(f"{complaint or command} (exit code {code})")


def _begun(service: Container, command: list[str], **how: bool) -> tuple[Any, Callable[[], int]]:
    """Starts `command`. Returns the engine's answer, whose body is what the command writes, and a function that returns
    the exit code once the command has ended."""
    client: Any = service.client
    api = client.api
    run = api.exec_create(service.id, command)["Id"]
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{run}/start",
        json={"Detach": False, "Tty": False},
        timeout=api.timeout,
        **how,
    )
    if not answer.ok:
        raise APIError(answer.text)
    return answer, lambda: api.exec_inspect(run)["ExitCode"] or 0


def _exactly(stream: Any, length: int) -> bytes:
    """`length` bytes of the stream; empty at its end.

    Raises:
        ChildProcessError: the stream breaks off.
    """
    parts: list[bytes] = []
    while (missing := length - sum(map(len, parts))) and (part := stream.read(missing)):
        parts.append(part)
    if parts and missing:
        raise ChildProcessError(CUT_OFF)
    return b"".join(parts)


def frames(stream: bytes) -> Iterator[bytes]:
    """Yields the texts in a stream of the engine's frames. A frame is a head of 8 bytes, whose last four are the length
    of the text, and the text."""
    while stream:
        (length,) = struct.unpack_from(">4xL", stream)
        yield stream[8 : 8 + length]
        stream = stream[8 + length :]


def fetch(service: Container, url: str, *headers: str) -> tuple[int, str]:
    """Exit code and page of `url`, fetched inside `service`, so no port must be reachable from here."""
    return execute(service, [*WGET, "-O", "-", *(f"--header={header}" for header in headers), url])
