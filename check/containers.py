"""Checks that every container runs, is healthy, and has the memory limit that the settings give it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.finding import Finding
from config.settings import Settings
from config.sizes import MIB
from engine.docker_api import execute

SETTLED_SECONDS = 60
"""A container that has run this long since it was killed for memory has survived its start."""


def container(client: DockerClient, settings: Settings, service: str) -> Container:
    """The container of `service`.

    Raises:
        docker.errors.NotFound: there is none.
    """
    return client.containers.get(f"{settings.prefix}-{service}")


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields two for each service, its state and its memory limit; only the state if there is no container."""
    for service in settings.services:
        try:
            running = container(client, settings, service)
        except NotFound:
            yield Finding(f"{service} runs", kept=False, detail=f"no container {settings.prefix}-{service}")
            continue
        attributes = running.attrs
        state, health = attributes["State"], health_of(running)
        killed = ", was killed for memory" if _killed_lately(state) else ""
        yield Finding(
            f"{service} is healthy",
            kept=state["Status"] == "running" and not killed and health in {"healthy", "no check in its image"},
            detail=f"{state['Status']}, {health}{killed}",
        )
        host = attributes["HostConfig"]
        limit, wanted = host["Memory"], settings.memory_mib(service) * MIB
        yield Finding(
            f"{service} is limited to {wanted // MIB} MiB",
            kept=limit == wanted and host["MemorySwap"] in {wanted, -1},  # -1: the kernel does not count swap
            detail=f"{limit // MIB} MiB in force" if limit > 0 else "no limit in force",
        )


def _killed_lately(state: Mapping[str, Any]) -> bool:
    """Whether the container was killed for memory, and does not run or has run for less than `SETTLED_SECONDS` since.
    The engine keeps the flag of an earlier run as long as the container exists, however well it runs now."""
    if not state.get("OOMKilled"):
        return False
    began = datetime.fromisoformat(state["StartedAt"])
    return state["Status"] != "running" or (datetime.now(UTC) - began).total_seconds() < SETTLED_SECONDS


def health_of(running: Container) -> str:
    """What the engine says of a container's health, or `no check in its image`. If the engine has no result yet, the check is
    run from here: the engine runs it after a minute for the first time, or after seconds if it is 25 or newer.
    """
    state = running.attrs["State"]
    health = str(state.get("Health", {}).get("Status", "no check in its image"))
    return "healthy" if state["Status"] == "running" and _not_asked_yet(state) and _well(running) else health


def _not_asked_yet(state: Mapping[str, Any]) -> bool:
    """Whether the engine has no result of its health check yet. It calls a container that was paused (for a backup)
    unhealthy although no check has failed."""
    health = state.get("Health", {})
    return health.get("Status") == "starting" or (health.get("Status") == "unhealthy" and not health["FailingStreak"])


def _well(running: Container) -> bool:
    command = running.attrs["Config"]["Healthcheck"]["Test"][1:]  # after the word CMD
    return execute(running, command)[0] == 0
