"""Checks that users' containers cannot reach what keeps data. A container in each network tries every port.

The container is removed at the end. A refused connection answers at once; one that the engine drops takes a second.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from docker import DockerClient
from docker.errors import DockerException, NotFound

from check.finding import Finding
from config import ports
from config.container import STACK_LABEL
from config.row import Zone
from config.settings import Settings
from config.settings.networks import own_networks

PORTS = tuple(sorted({*ports.METRICS.values(), *(n for n in vars(ports).values() if isinstance(n, int))}))
"""All ports on which any service of a stack listens."""
OPEN = frozenset({("otel_collector", ports.OTLP_GRPC), ("otel_collector", ports.OTLP_HTTP)})
"""Services and ports that users' containers may reach."""
TRY = """for address in "$@"; do
  (nc -w 1 "${address%:*}" "${address#*:}" -e true > /dev/null 2>&1 < /dev/null && echo "$address") &
done; wait
"""
_OTHER_PORTS = {"engine_door": ports.DOCKER_API, "rollback_door": ports.ROLLBACKS}
PATIENCE_SECONDS = 60
"""Limit for the container that tries the ports."""

Address = tuple[str, str, int]
"""Service, IP address, port."""


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields three: the stack's own networks hold no other containers, users' networks reach only OTLP, and the edge
    network reaches nothing inside. And if there is a door to the engine, that nothing else reaches it."""
    yield _strangers(client, settings)
    addresses = _addresses(client, settings)
    inside, edge, _, door = own_networks(settings.prefix)
    users = settings.users_networks
    everywhere = [
        *addresses.get(inside, ()),
        *addresses.get(edge, ()),
        *(a for n in users for a in addresses.get(n, ())),
        *addresses.get(door, ()),
    ]
    yield _apart(client, settings, "users", users, everywhere)
    yield _apart(client, settings, "edge", [edge], addresses.get(inside, ()))
    if door in addresses:
        yield _apart(client, settings, "inside", [inside, edge], addresses[door])


def _strangers(client: DockerClient, settings: Settings) -> Finding:
    """Looks for containers that joined the stack's own networks by hand, or before these were the stack's alone.
    Nothing separates them from the services."""
    strangers = []
    inside, edge, _, door = own_networks(settings.prefix)
    own = [inside, edge, *([door] if "healer" in settings.services else [])]
    for name in own:
        with contextlib.suppress(NotFound):
            network = client.networks.get(name)
            strangers += [each for each in network.containers if each.labels.get(STACK_LABEL) != settings.prefix]
    names = ", ".join(sorted({str(each.name) for each in strangers}))
    fix = f"{names}: move to {settings.apps_network}, or name its own network in `networks`"
    return Finding(
        f"no container of yours is in {' and '.join(own)}", kept=not strangers, detail=fix if strangers else ""
    )


def _addresses(client: DockerClient, settings: Settings) -> dict[str, list[Address]]:
    """Network → the addresses to try in it. In users' networks, where a service listens on one address only, that is
    every port; elsewhere the service's own port, because the engine drops connections to all ports alike."""
    result: dict[str, list[Address]] = {}
    for service in settings.services:
        with contextlib.suppress(NotFound):
            attributes = client.containers.get(f"{settings.prefix}-{service}").attrs
            for network, joined in attributes["NetworkSettings"]["Networks"].items():
                own = (ports.metrics_port(service) or _OTHER_PORTS.get(service, ports.ELASTICSEARCH),)
                tried = PORTS if network in settings.users_networks else own
                result.setdefault(network, []).extend((service, joined["IPAddress"], port) for port in tried)
    return result


def _apart(
    client: DockerClient, settings: Settings, kind: Zone, networks: Sequence[str], addresses: Iterable[Address]
) -> Finding:
    words = {
        "users": "your containers reach nothing of the stack but OTLP",
        "edge": "what speaks with them reaches nothing inside",
        "inside": "nothing but healer reaches the doors to the engine",
    }
    targets = {f"{address}:{port}": (service, port) for service, address, port in addresses}
    try:
        reached = {targets[line] for line in _tried(client, settings, networks, list(targets))}
    except (DockerException, OSError) as error:
        return Finding(words[kind], kept=False, detail=f"cannot be tried from {', '.join(networks)}: {error}")
    wrong = sorted(reached - OPEN)
    open_ports = ", ".join(f"{service}:{port}" for service, port in wrong)
    summary = f"{len(targets)} addresses tried from {', '.join(networks)}"
    return Finding(words[kind], kept=not wrong, detail=f"open: {open_ports}" if wrong else summary)


def _tried(client: DockerClient, settings: Settings, networks: Sequence[str], addresses: list[str]) -> list[str]:
    """The `addresses` (`host:port`) that accept a connection from a container in all of `networks`."""
    name = f"{settings.prefix}-separation"
    with contextlib.suppress(NotFound):  # left by a check that was killed
        client.containers.get(name).remove(force=True, v=True)
    options: dict[str, Any] = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "read_only": True}
    probe = client.containers.create(
        settings.image("busybox"),
        entrypoint=["/bin/sh", "-c", TRY, "sh"],
        command=addresses,
        name=name,
        user="65534:65534",
        labels={STACK_LABEL: settings.prefix},
        network=networks[0],
        mem_limit="64m",
        memswap_limit="64m",
        **options,
    )
    try:
        for network in networks[1:]:
            client.networks.get(network).connect(probe)
        probe.start()
        probe.wait(timeout=PATIENCE_SECONDS)
        return probe.logs(stdout=True, stderr=False).decode().split()
    finally:
        probe.remove(force=True, v=True)
