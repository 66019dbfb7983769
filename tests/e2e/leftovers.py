"""What a killed test session leaves on the engine."""

import re
from datetime import UTC, datetime, timedelta

from docker import DockerClient

PREFIX = "ns-e2e-"
"""What the names of all test stacks begin with; six hexadecimal digits of the session follow."""

_OURS = re.compile(rf"/?{PREFIX}[0-9a-f]{{6}}(-.*)?")
_OLD = timedelta(hours=1)
"""No session takes that long."""


def remove(client: DockerClient) -> None:
    """Removes containers, networks and volumes of test sessions that began more than an hour ago."""
    for container in client.containers.list(all=True, ignore_removed=True):
        if _is_left(str(container.name), container.attrs["Created"]):
            container.remove(force=True, v=True)
    for network in client.networks.list():
        if _is_left(str(network.name), network.attrs["Created"]):
            network.remove()
    for volume in client.volumes.list():
        if _is_left(str(volume.name), volume.attrs["CreatedAt"]):
            volume.remove()


def _is_left(name: str, created: str) -> bool:
    if not _OURS.fullmatch(name):
        return False
    seconds = re.sub(r"\.\d+", "", created)  # the engine counts nanoseconds
    return datetime.now(UTC) - datetime.fromisoformat(seconds) > _OLD
