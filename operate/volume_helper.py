"""The container that reads or changes a volume of a stack, wherever its engine is. It can do nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import LogConfig

from config.container import STACK_LABEL
from config.settings import Settings
from engine.docker_api import execute
from operate import interrupts
from toolchain.images import pulling
from toolchain.report import ToolchainError

DATA = "/data"
"""Where the container has the volume."""
MEMORY = "256m"
"""Memory limit of the container."""


def image(client: DockerClient, reference: str) -> str:
    """Pulls the busybox image if the engine does not have it. Returns `reference`."""
    pulling.pull(client, {reference})
    return reference


@contextmanager
def helper(
    client: DockerClient, busybox: str, *, prefix: str, volume: str, writes: bool = False
) -> Iterator[Container]:
    """The running container that reads (or `writes`) `volume`. Its name is fixed, so a stack cannot have two backups at
    once.

    Raises:
        ToolchainError: there is one already.
    """
    container = None
    try:
        with interrupts.put_off():
            container = _created(client, busybox, prefix=prefix, volume=volume, writes=writes)
        container.start()
        yield container
    finally:
        if container:
            with interrupts.put_off():
                container.remove(force=True)


def _created(client: DockerClient, busybox: str, *, prefix: str, volume: str, writes: bool) -> Container:
    name = f"{prefix}-backup"
    try:
        return client.containers.create(
            busybox,
            entrypoint=["sleep", "1000000"],
            command=[],
            name=name,
            labels={STACK_LABEL: prefix},
            volumes={volume: {"bind": DATA, "mode": "rw" if writes else "ro"}},
            network_mode="none",
            user="0:0",
            cap_drop=["ALL"],
            cap_add=["DAC_OVERRIDE"] if writes else ["DAC_READ_SEARCH"],
            security_opt=["no-new-privileges:true"],
            mem_limit=MEMORY,
            memswap_limit=MEMORY,
            cpu_shares=128,  # a quarter of what the services have
            stop_signal="SIGKILL",
            log_config=LogConfig(type="none"),
        )
    except APIError as error:
        if error.status_code != 409:  # noqa: PLR2004 - HTTP: conflict
            raise
        raise ToolchainError(
            f"there is already a container {name}: another backup or restore of this stack is under way, or was killed",
            fix=f"wait for it; or, if none is running: docker rm -f {name}",
        ) from None


def change(client: DockerClient, settings: Settings, service: str, script: str) -> tuple[int, str]:
    """Runs a shell script in the folder of a service's data. Returns exit code and output."""
    busybox, volume = image(client, settings.image("busybox")), f"{settings.prefix}-{service}"
    with helper(client, busybox, prefix=settings.prefix, volume=volume, writes=True) as container:
        return execute(container, ["sh", "-c", f"cd {DATA} && {script}"])


@contextmanager
def stopped(container: Container, grace_seconds: int) -> Iterator[None]:
    """Stops a service for this block. Afterwards it runs again, even if the block failed."""
    try:
        with interrupts.put_off():
            container.stop(timeout=grace_seconds)
        yield
    finally:
        with interrupts.put_off():
            container.start()
