"""Checks the networks of a stack on its engine before anything changes: your own ones, and those of the stack."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from docker import DockerClient
from docker.errors import NotFound

from config.container import STACK_LABEL
from config.settings.networks import own_networks
from toolchain.report import ToolchainError


def must_find(client: DockerClient, wanted: Iterable[str], key: str) -> None:
    """Checks that the engine has the networks `wanted`, and that services can join them. Otherwise a running service
    would be removed for one that cannot start.

    Raises:
        ToolchainError: a network is missing, or cannot be joined. The message begins with `key`.
    """
    there = {network.name: network.attrs for network in client.networks.list()}
    if missing := [name for name in wanted if name not in there]:
        raise ToolchainError(
            f"{key}: {', '.join(missing)}: no such network on the engine",
            fix="start the services first that it belongs to, or correct the name: docker network ls",
        )
    problems = [f"{name} {wrong}" for name in wanted if (wrong := _wrong(there[name]))]
    if problems:
        raise ToolchainError(
            f"{key}: {', '.join(problems)}",
            fix="name a network that `docker network create`, or Compose, has made, and put your services in it",
        )


def _wrong(network: Mapping[str, Any]) -> str:
    """Why no container of the stack can join this network; empty if one can."""
    driver, options = network.get("Driver"), network.get("Options") or {}
    if driver in {"host", "null"} or options.get("com.docker.network.bridge.default_bridge") == "true":
        return "is one of Docker's own, in which names lead nowhere"
    if network.get("Ingress") or network.get("ConfigOnly"):
        return "is none that a container can join"
    if driver == "overlay" and not network.get("Attachable"):
        return "is of a swarm, and its own services alone can join it (docker network create --attachable)"
    return "" if driver in {"bridge", "overlay"} else f"is of the driver {driver}, and bridge or overlay is wanted"


def must_be_free(client: DockerClient, prefix: str, volumes: Collection[str]) -> None:
    """Checks, before anything is removed, that only the stack's own containers are in its networks and use these
    volumes.

    Raises:
        ToolchainError: other containers are or do. The message names them.
    """
    in_the_way: dict[str, list[str]] = {}
    for network in client.networks.list(names=list(own_networks(prefix))):
        if network.name in own_networks(prefix):  # the filter also matches parts of names
            network.reload()
            for identifier in network.attrs["Containers"] or {}:
                _note(in_the_way, client, identifier, prefix, f"the network {network.name}")
    for volume in volumes:
        for container in client.containers.list(all=True, filters={"volume": volume}, ignore_removed=True):
            _note(in_the_way, client, str(container.id), prefix, f"the volume {volume}")
    if in_the_way:
        lines = "\n".join(f"    {name}: {', '.join(used)}" for name, used in sorted(in_the_way.items()))
        shop = (
            f" (the shop: make shop-down STACK={prefix.removeprefix('nervous-')})" if f"{prefix}-shop" in lines else ""
        )
        raise ToolchainError(
            f"containers that are not the stack's are in the way, and nothing has been removed:\n{lines}",
            fix=f"stop or remove them{shop}, or take them out: docker network disconnect <network> <container>",
        )


def _note(in_the_way: dict[str, list[str]], client: DockerClient, identifier: str, prefix: str, used: str) -> None:
    try:
        container = client.containers.get(identifier)
    except NotFound:  # gone meanwhile, or not a container: a swarm has endpoints of its own
        return
    if container.labels.get(STACK_LABEL) != prefix:
        in_the_way.setdefault(str(container.name), []).append(used)
