"""Exposure: what listens, and who reaches the engine.

Docker publishes a port past the host's firewall, on every address unless told which. Whoever reaches the Docker socket, or
that of the containerd below it, is root on the host, read-only mount or not: a socket is no file.
"""

import ipaddress
from collections.abc import Iterator, Mapping

from pulumi_policy import Policy, Severity

from declared import CONTAINER, VOLUME, Config, Properties, Resource, each, reasons
from host_paths import holds_socket, is_engines, seen

SOCKET_HOLDERS: Mapping[str, str] = {
    "socket_proxy": "it lets read-only paths of the API through, for all others",
    "cadvisor": "it asks the engine and its containerd which container a cgroup belongs to, and serves no API of theirs",
    "node_exporter": "it measures all file systems, and runs as nobody, whom the socket refuses",
}

PUBLIC: Mapping[str, str] = {
    "caddy:443": "it is there to be reached: TLS, in front of a service that asks for a password",
}


def published(container: Properties, config: Config, name: str) -> Iterator[str]:
    """Ports that others than this host can reach."""
    for port in container.get("ports") or ():
        inside, address = f"{port.get('internal'):g}", port.get("ip") or "0.0.0.0"  # noqa: S104 - as Docker completes it
        if not _is_loopback(address) and f"{name}:{inside}" not in config["allowed"]:
            yield (
                f"port {inside} is published on {address}, where everybody reaches it: publish it on 127.0.0.1, "
                f"or allow {name}:{inside} in the policy's config with a reason"
            )
    if container.get("publishAllPorts"):
        yield "publish_all_ports opens every port of the image to everybody: publish single ones on 127.0.0.1"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_ports(resource: Resource, config: Config) -> Iterator[str]:
    return published(resource.props, config, resource.name)


def _check_socket(resource: Resource, config: Config) -> Iterator[str]:
    allowed = config["allowed"]
    for path, read_only in seen(resource):
        if not holds_socket(path):
            continue
        socket = "the Docker socket" if is_engines(path) else "a socket of the host"
        if resource.name not in allowed and f"{resource.name}:{path}" not in allowed:
            yield (
                f"it sees {socket} in {path}, by which it may be root on the host, read-only or not: let it ask through a proxy "
                f"that only reads, or allow {resource.name}:{path} in the policy's config with a reason"
            )
        elif not read_only:
            yield f"it sees {socket} in {path}, which it could replace: mount it read-only"


PORTS = each(
    "ports-on-loopback",
    "Ports are published on loopback only.",
    _check_ports,
    fix="Publish on 127.0.0.1, and reach it by ssh -L or a reverse proxy that asks who is there.",
    config={"allowed": reasons(PUBLIC, "<container>:<port inside> that others may reach → why.")},
    severity=Severity.CRITICAL,
)

SOCKET = each(
    "docker-socket",
    "Only named containers see the Docker socket or another of the host, and only read-only.",
    _check_socket,
    kinds=(CONTAINER, VOLUME),
    fix="Ask the engine through a proxy that lets only reads through.",
    config={
        "allowed": reasons(SOCKET_HOLDERS, "<container>, or <container>:<path>, that sees the socket → why it must.")
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (PORTS, SOCKET)
