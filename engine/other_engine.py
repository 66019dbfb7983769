"""Finds the engine that Docker's own tools would use if the settings name none. It may not be the default one."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.docker_cli import MISLEADING, cli_config, config_file
from config.settings.docker import Docker

DEFAULT = Docker().host


@dataclass(frozen=True)
class Named:
    """An engine, and what names it."""

    by: str
    """What names it, for messages: `DOCKER_HOST`, or `the context colima of the Docker CLI`."""
    host: str
    certificates: Path | None = None

    @property
    def setting(self) -> str:
        """The value of the key `docker` in a stack file that names this engine: `{host: "tcp://10.0.0.5:2376",
        certificates: /home/me/.docker}`."""
        folder = f", certificates: {self.certificates}" if self.certificates else ""
        return f"{{host: {json.dumps(self.host)}{folder}}}"


def named_engine() -> Named | None:
    """The engine that the environment or the Docker CLI's current context names; None if they name none.

    Raises:
        ValueError: the CLI's config cannot be read, or names a context that does not exist.
    """
    if host := os.environ.get("DOCKER_HOST"):
        certificates = os.environ.get("DOCKER_CERT_PATH") if host.startswith("tcp://") else None
        return Named("DOCKER_HOST", host, Path(certificates) if certificates else None)
    if name := os.environ.get("DOCKER_CONTEXT"):
        return _context(name, f"DOCKER_CONTEXT={name}")
    if name := str(cli_config().get("currentContext") or ""):
        return _context(name, f"the context {name} of the Docker CLI")
    return None


def differs(docker: Docker) -> Named | None:
    """The engine that Docker's tools would use, if `docker` names none and theirs is not its default; else None.

    Raises:
        ValueError: see `named`.
    """
    if "host" in docker.model_fields_set:
        return None
    other = named_engine()
    return other if other and _place(other.host) != _place(docker.host) else None


def question(docker: Docker, file: str) -> tuple[str, str] | None:
    """The question that is open about the engine of the stack file `file`, and how to settle it; None if there is none.

    Taking the default silently would put a stack on an engine that nobody meant.
    """
    try:
        other = differs(docker)
    except ValueError as error:
        return str(
            error
        ), f"fix it, or name the engine in {file}: nervous-system:docker: {{host: {json.dumps(DEFAULT)}}}"
    if not other:
        return None
    unclear = f"{file} names no engine, and {other.by} means another one than {docker.host}: {other.host}"
    default = f"{{host: {json.dumps(docker.host)}}}"
    key = "nervous-system:docker:"
    return unclear, f"put into {file}, below `config:`, which is meant:  {key} {other.setting}  or  {key} {default}"


def must_be_clear(docker: Docker, file: str) -> None:
    """Refuses an unclear engine when you run `pulumi up` by hand.

    Raises:
        ConnectionError: it is not clear which engine is meant, or the environment would mislead the provider.
    """
    if misleading := [name for name in MISLEADING if os.environ.get(name)]:
        raise ConnectionError(f"unset {' and '.join(misleading)}: the provider would use it for any engine")
    if unclear := question(docker, file):
        raise ConnectionError("; ".join(unclear))


def sockets() -> Iterator[Path]:
    """Yields the existing sockets of one user's engines: rootless Docker, Docker Desktop, colima, Rancher Desktop,
    OrbStack, podman.

    The paths are from their manuals, November 2026.
    """
    home = Path.home()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    for path in (
        runtime / "docker.sock",
        home / ".docker" / "run" / "docker.sock",
        home / ".docker" / "desktop" / "docker.sock",
        home / ".colima" / "default" / "docker.sock",
        home / ".config" / "colima" / "default" / "docker.sock",
        home / ".rd" / "docker.sock",
        home / ".orbstack" / "run" / "docker.sock",
        runtime / "podman" / "podman.sock",
    ):
        if path.is_socket():
            yield path


def _context(name: str, by: str) -> Named | None:
    """The engine of a context of the Docker CLI; None for the context `default`. docker-py looks for the folder of
    contexts only if there is a config.json.

    Raises:
        ValueError: there is no such context.
    """
    if name == "default":
        return None
    folder, identifier = config_file().parent / "contexts", hashlib.sha256(name.encode()).hexdigest()
    try:
        host = json.loads((folder / "meta" / identifier / "meta.json").read_text())["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{by}: the Docker CLI has no such context in {folder}") from None
    certificates = folder / "tls" / identifier / "docker"
    return Named(by, str(host), certificates if certificates.is_dir() else None)


def _place(host: str) -> str:
    """The address, in a form that is the same for two names of one socket."""
    scheme, _, path = host.partition("://")
    return os.path.realpath(path) if scheme == "unix" else host.rstrip("/")
