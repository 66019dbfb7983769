"""Sets aside, before a deployment, data that a service can no longer read, so that the service starts without it.

A file that was damaged by a power cut or a bad disk keeps some services from ever starting. The services themselves say
what is damaged. Nothing is removed: the data stay in the volume, under another name.
"""

import re
import shlex
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from config.container import Container as Description
from config.services import descriptions
from config.settings import Settings
from operate import volume_helper
from toolchain.report import Step, ToolchainError, note

SETTLED_SECONDS = 10
"""A service that has run this long has read its data."""
TRIES = 5
"""Attempts for each service, because it names one file at a time."""


def set_aside(settings: Settings, client: DockerClient) -> None:
    """Sets aside the data that keep services of the stack from starting, and starts these services.

    Raises:
        ToolchainError: the data cannot be moved.
    """
    for service in descriptions.keepers(settings):
        for _ in range(TRIES):
            parts = sorted(_named(service, last_words(client, f"{settings.prefix}-{service.service}")))
            if not parts:
                break
            _move(settings, client, service.service, parts)


def last_words(client: DockerClient, name: str) -> str:
    """The log of a container's last run, if that run was short and the engine keeps restarting the container; else
    empty."""
    try:
        container = client.containers.get(name)
    except NotFound:
        return ""
    while _starts_again(container) and not container.attrs["State"]["Restarting"]:
        if (datetime.now(UTC) - _began(container)).total_seconds() > SETTLED_SECONDS:
            return ""
        time.sleep(0.5)
        container.reload()
    if not container.attrs["State"]["Restarting"]:
        return ""
    return container.logs(since=int(_began(container).timestamp())).decode(errors="replace")


def _starts_again(container: Container) -> bool:
    return bool(container.attrs["RestartCount"]) and container.attrs["State"]["Running"]


def _began(container: Container) -> datetime:
    return datetime.fromisoformat(container.attrs["State"]["StartedAt"])


def _named(service: Description, words: str) -> Iterator[str]:
    """Yields the parts of the data that a service says it cannot read. Paths that lead out of its folder are left
    out."""
    for pattern, parts in service.damaged_paths.items():
        if match := re.search(pattern, words):
            yield from (path for part in parts if ".." not in (path := match.expand(part)).split("/"))


def _move(settings: Settings, client: DockerClient, service: str, parts: list[str]) -> None:
    container = client.containers.get(f"{settings.prefix}-{service}")
    marked = f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    moves = " && ".join(f"{{ [ ! -e {old} ] || mv {old} {old}.{marked}; }}" for old in map(shlex.quote, parts))
    with Step(f"{service}: setting its damaged data aside"), volume_helper.stopped(container, grace_seconds=0):
        code, output = volume_helper.change(client, settings, service, moves)
        if code:
            raise ToolchainError(
                f"{service} cannot read {', '.join(parts)} in its volume {settings.prefix}-{service}: {output.strip()}"
            )
    note(
        f"{service} could not read {', '.join(parts)} in its volume: it is set aside as .{marked}, and the service starts without it"
    )
