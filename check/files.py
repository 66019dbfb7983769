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
        found = texts_in(running, DIRECTORY)
        other = [name for name, text in config.files.items() if found.get(name) != text]
        yield Finding(
            f"the files of {service} are as declared",
            kept=not other,
            detail=f"changed by hand, or never delivered: {', '.join(other)}"
            if other
            else f"{len(config.files)} files",
        )


def texts_in(running: Container, folder: str) -> dict[str, str]:
    """Path → text of the files in a folder of a container; none if there is no such folder. The container may be stopped, and
    needs no tools. One request for all files: each is a process of the engine."""
    try:
        stream, _ = running.get_archive(f"{folder}/.")
    except NotFound:
        return {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        texts = ((member.name.removeprefix("./"), archive.extractfile(member)) for member in archive)
        return {path: file.read().decode(errors="replace") for path, file in texts if file}
