"""Cleans up after a killed deployment, before the next one; and finds resources that the engine has lost meanwhile."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from config.container import NOT_ITS_OWN, STACK_LABEL
from config.settings import networks
from config.sizes import MIB
from toolchain.report import Step, ToolchainError, note

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"


class Cli(Protocol):
    """The part of `operate.program.Program` that is needed here."""

    name: str

    def ask(self, *arguments: str) -> str:
        """Runs the CLI, and returns what it prints."""


def repair(program: Cli, backend: str, prefix: str, client: DockerClient) -> tuple[str, ...]:
    """Makes the stack ready for `pulumi up`. Returns the options that the command needs.

    A lock is removed if its process on this machine is dead. With a backend elsewhere that cannot be known, and the CLI
    says what to do. A resource that the killed deployment was creating is removed from the engine if the state does not know
    it, because its name would be in the way. Of the resources in the state, only containers that did not run to their end are
    removed, to run again (`unjudged_containers`). No volume is removed.
    """
    if is_abandoned(locks(backend), program.name):
        note("a deployment on this machine was killed: removing its lock")
        program.ask("cancel", "--yes", "--stack", program.name)
    deployment = json.loads(program.ask("stack", "export", "--stack", program.name)).get("deployment") or {}
    begun = unfinished_creations(deployment)
    if begun is not None:
        note("a deployment was killed while it made changes: reading the state back from the engine first")
        _remove(begun, known_ids(deployment), prefix, client)
        with Step("reading the state back"):
            program.ask("refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", program.name)
        return ()
    containers = {str(container.id): container for container in client.containers.list(all=True, ignore_removed=True)}
    if not_judged := unjudged_containers(deployment, containers):
        note(f"did not run to their end, and run again: {', '.join(str(container.name) for container in not_judged)}")
        for container in not_judged:
            container.remove(force=True, v=True)
            del containers[str(container.id)]
    gone = lost_resources(deployment, containers, client)
    if gone:
        note(f"removed, stopped or given another memory limit by hand, and brought back: {', '.join(gone)}")
    return ("--refresh",) if gone else ()


def locks(backend: str) -> Path | None:
    """The folder with the locks of a backend in the file system; None for any other backend."""
    folder = _folder(backend)
    return folder / "locks" if folder else None


def _folder(backend: str) -> Path | None:
    parts = urlsplit(backend)
    return Path(url2pathname(parts.path), ".pulumi") if parts.scheme == "file" else None


def restore_state(backend: str, project: str, stack: str) -> bool:
    """Replaces a damaged state by the CLI's own copy from before the last change. Returns whether it did.

    Raises:
        ToolchainError: the copy is damaged too, or there is none.
    """
    folder = _folder(backend)
    file = folder / "stacks" / project / f"{stack}.json" if folder else None
    if file is None or not file.exists() or _whole(file):
        return False
    copy = file.with_name(f"{file.name}.bak")
    if not _whole(copy):
        raise ToolchainError(
            f"the state of {stack} is damaged, and so is its copy: {file}",
            fix="restore it from a backup; or remove the stack's containers and network, move the file away, and deploy anew: "
            "data volumes are found by their names",
        )
    damaged = file.with_name(f"{file.name}.damaged")
    file.rename(damaged)
    shutil.copy2(copy, file)
    note(f"the state of {stack} is damaged: using the previous one (the damaged file is {damaged})")
    return True


def _whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def is_abandoned(folder: Path | None, stack: str) -> bool:
    """Whether every lock of `stack` belongs to a dead process of this machine; False if there is no lock."""
    files = list(folder.glob(f"**/{stack}/*.json")) if folder else []
    return bool(files) and not any(_held(file) for file in files)


def _held(file: Path) -> bool:
    try:
        lock = json.loads(file.read_text())
        pid, host = int(lock["pid"]), lock["hostname"]
    except (OSError, ValueError, KeyError, TypeError):
        return True  # unknown, so it counts as held
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):  # another program may have its pid by now
        return Path(f"/proc/{pid}/comm").read_text().startswith("pulumi")
    return True


def unfinished_creations(deployment: Mapping[str, Any]) -> dict[str, set[str]] | None:
    """The resources that a killed deployment was creating: type → names. None if no deployment was killed."""
    operations = deployment.get("pending_operations") or []
    if not operations:
        return None
    result: dict[str, set[str]] = {}
    for operation in operations:
        resource = operation["resource"]
        name = resource.get("inputs", {}).get("name")
        if operation["type"] == "creating" and name:
            result.setdefault(resource["type"], set()).add(name)
    return result


def known_ids(deployment: Mapping[str, Any]) -> set[str]:
    """Ids of all resources in the state."""
    return {resource["id"] for resource in deployment.get("resources") or [] if resource.get("id")}


def _remove(begun: Mapping[str, Iterable[str]], state_ids: set[str], prefix: str, client: DockerClient) -> None:
    for name in begun.get(CONTAINER, ()):
        with contextlib.suppress(NotFound):
            container = client.containers.get(name)
            if container.id not in state_ids and container.labels.get(STACK_LABEL) == prefix:
                container.remove(force=True, v=True)
    for name in begun.get(NETWORK, ()):
        for network in client.networks.list(names=[name]):
            network.reload()
            if (
                network.name in networks.own_networks(prefix)
                and network.id not in state_ids
                and not network.attrs["Containers"]
            ):
                network.remove()


def lost_resources(
    deployment: Mapping[str, Any], containers: Mapping[str, Container], client: DockerClient
) -> list[str]:
    """Names of resources in the state that the engine no longer has, and of services that do not run or have another memory
    limit. `containers`: id → container, all of the engine's."""
    there = {
        VOLUME: {str(volume.name) for volume in client.volumes.list()},
        NETWORK: {str(network.id) for network in client.networks.list()},
    }
    gone = []
    for resource in deployment.get("resources") or []:
        identifier, kind, inputs = resource.get("id"), resource["type"], resource.get("inputs", {})
        if kind == CONTAINER:
            container = containers.get(str(identifier))
            away = container is None or (inputs.get("mustRun") and not _as_declared(container, inputs))
        else:
            away = kind in there and identifier not in there[kind]
        if away:
            gone.append(str(inputs.get("name", identifier)))
    return gone


def unjudged_containers(deployment: Mapping[str, Any], containers: Mapping[str, Container]) -> list[Container]:
    """Containers that judge config files once, and did not run to their own end: the engine could not start them, or
    something killed them. The state has that as their verdict, and would keep it for ever. `containers`: as for
    `lost_resources`."""
    result = []
    for resource in deployment.get("resources") or []:
        inputs, container = resource.get("inputs", {}), containers.get(str(resource.get("id")))
        runs_once = resource["type"] == CONTAINER and not inputs.get("mustRun", True) and inputs.get("start", True)
        if container and runs_once and not _came_to_its_end(container):
            result.append(container)
    return result


def _came_to_its_end(container: Container) -> bool:
    """Whether the exit code is the program's own. A container that still runs may get there, so it counts too."""
    if container.status == "exited":
        return int(container.attrs["State"]["ExitCode"]) < NOT_ITS_OWN
    return container.status != "created"


def _as_declared(container: Container, inputs: Mapping[str, Any]) -> bool:
    runs = container.status in {"running", "restarting"}
    return runs and container.attrs["HostConfig"]["Memory"] == int(inputs.get("memory", 0)) * MIB
