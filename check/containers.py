"""Every container runs, is well, and is held by the limit that the settings give it."""

from collections.abc import Iterator

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.finding import Finding
from components.engine import execute
from config.settings import Settings
from config.units import MIB


def container(client: DockerClient, settings: Settings, service: str) -> Container:
    """The container of `service`.

    Raises:
        docker.errors.NotFound: there is none.
    """
    return client.containers.get(f"{settings.prefix}-{service}")


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Two for each service: its state, and its memory limit."""
    for service in settings.services:
        try:
            running = container(client, settings, service)
        except NotFound:
            yield Finding(f"{service} runs", kept=False, detail=f"no container {settings.prefix}-{service}")
            continue
        attributes = running.attrs
        state = attributes["State"]
        health = state.get("Health", {}).get("Status", "no check in its image")
        # The engine asks after 30 s for the first time: until then its question is asked from here.
        if health == "starting" and state["Status"] == "running" and _well(running):
            health = "healthy"
        killed = ", was killed for memory" if state.get("OOMKilled") else ""
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


def _well(running: Container) -> bool:
    command = running.attrs["Config"]["Healthcheck"]["Test"][1:]  # after the word CMD
    return execute(running, command)[0] == 0
