"""The engine as the settings name it, spoken to by the Docker API alone: unix, tcp and ssh hosts are alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException
from docker.models.containers import Container
from docker.tls import TLSConfig


def connect(settings: Mapping[str, Any], timeout: int = 60) -> docker.DockerClient:
    """The engine that `settings.Docker` names."""
    tls: Any = None
    if settings.get("certificates"):
        folder = Path(settings["certificates"]).expanduser()
        tls = TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), ca_cert=str(folder / "ca.pem"), verify=True
        )
    return docker.DockerClient(base_url=settings["host"], tls=tls, use_ssh_client=True, timeout=timeout)


def must_answer(settings: Mapping[str, Any]) -> None:
    """Raises ConnectionError, in one line, when the engine that `settings.Docker` names does not answer."""
    try:
        connect(settings, timeout=15).ping()
    except (DockerException, OSError) as error:
        raise ConnectionError(f"the engine at {settings['host']} does not answer: {error}") from None


def execute(service: Container, command: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of `command` inside `service`; 1 when it stopped meanwhile."""
    try:
        code, out = service.exec_run(list(command))
    except APIError as error:
        return 1, str(error)
    return code or 0, out.decode(errors="replace") if isinstance(out, bytes) else ""


def fetch(service: Container, url: str) -> tuple[int, str]:
    """Exit code and page of `url`, asked inside `service`: no port must be reachable from here."""
    return execute(service, ["wget", "-q", "-O", "-", url])
