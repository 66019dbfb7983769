"""Checks that every service has the files that the settings make, byte for byte, and names those that were changed by
hand."""

import io
import tarfile
from collections.abc import Iterator

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.containers import container
from check.finding import Finding
from config.additions import Additions
from config.container import DIRECTORY
from config.services import descriptions
from config.settings import Settings


def findings(client: DockerClient, settings: Settings, additions: Additions) -> Iterator[Finding]:
    """Yields one for each service that has files. Files with secrets are not compared."""
    for service in settings.services:
        config = descriptions.describe(service, settings, additions).config
        if config is None:
            continue
        try:
            running = container(client, settings, service)
        except NotFound:
            continue  # `containers` reports that
        other = [name for name, text in config.files.items() if text_of(running, f"{DIRECTORY}/{name}") != text]
        yield Finding(
            f"the files of {service} are as declared",
            kept=not other,
            detail=f"changed by hand, or never delivered: {', '.join(other)}"
            if other
            else f"{len(config.files)} files",
        )


def text_of(running: Container, path: str) -> str | None:
    """The text of a file inside a container; None if there is no such file. The container may be stopped, and needs no
    tools."""
    try:
        stream, _ = running.get_archive(path)
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return file.read().decode(errors="replace") if file else None
