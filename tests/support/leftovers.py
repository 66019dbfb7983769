"""Removes the containers that a killed test session left on the engine, and knows which ones a living session still uses."""

import contextlib
import hashlib
import os
import re
import secrets
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError

PREFIX = "ns-e2e-"
"""What the names of all test stacks begin with."""

_OURS = re.compile(rf"/?({PREFIX}(?P<place>[0-9a-f]{{4}})?[0-9a-f]{{6}})(-.*)?")
_OLD = timedelta(hours=1)
"""No session takes that long."""

_claims: list[socket.socket] = []


def new_prefix() -> str:
    """A name for a stack that begins with `PREFIX`, and is this process's as long as it lives."""
    while True:
        prefix = f"{PREFIX}{_place()}{secrets.token_hex(3)}"
        if claim := _claim(prefix):
            _claims.append(claim)
            return prefix


def remove(client: DockerClient) -> None:
    """Removes containers, networks and volumes of test sessions that have ended.

    Whether one has is known of those that this kernel could tell of: begun after its start, in this network namespace. Of
    others it is believed an hour after they began. What cannot be removed yet, or is being removed, is left to the next one.
    """
    for container in client.containers.list(all=True, ignore_removed=True):
        if is_left(str(container.name), container.attrs["Created"]):
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)
    for network in client.networks.list():
        if is_left(str(network.name), network.attrs["Created"]):
            with contextlib.suppress(APIError):
                network.remove()
    for volume in client.volumes.list():
        if is_left(str(volume.name), volume.attrs["CreatedAt"]):
            unmount(Path(volume.attrs["Mountpoint"]))
            with contextlib.suppress(APIError):
                volume.remove()


def unmount(folder: Path) -> None:
    """A volume that is a small disk of its own, as in drills, cannot be removed before it is an ordinary folder again."""
    while os.path.ismount(folder):  # False also where one may not look, as in the engine's own folder
        subprocess.run(["umount", "--lazy", folder], check=True)


def is_left(name: str, created: str) -> bool:
    """Whether something on the engine is of a test session that has ended. `created` as the engine says it."""
    match = _OURS.fullmatch(name)
    if not match:
        return False
    if match["place"] == _place():
        claim = _claim(match[1])
        if claim:
            claim.close()
        return claim is not None
    seconds = re.sub(r"\.\d+", "", created)  # the engine counts nanoseconds
    return datetime.now(UTC) - datetime.fromisoformat(seconds) > _OLD


def _claim(prefix: str) -> socket.socket | None:
    """A name that one process can hold, which the kernel takes back when that ends; None if another one holds it."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0nervous-system-{prefix}")
    except OSError:
        claim.close()
        return None
    return claim


def _place() -> str:
    """Four digits for where such a name is known: this start of the kernel, this network namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    namespace = Path("/proc/self/ns/net").readlink()
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:4]
