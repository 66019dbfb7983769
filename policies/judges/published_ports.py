"""Published ports: only the host itself reaches what a container serves.

Docker publishes a port past the host's firewall, and on every address of the host if none is given.
"""

import ipaddress
from collections.abc import Iterator, Mapping

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_resources import Properties, Resource

PUBLIC: Mapping[str, str] = {
    "caddy:443": "it is the public entry: TLS, in front of a service that asks for a password",
}
"""`<container>:<port inside>` that others may reach → why."""


def published(container: Properties, config: Config, name: str) -> Iterator[str]:
    """Violations for ports that others than this host can reach."""
    for port in container.get("ports") or ():
        inside, address = f"{port.get('internal'):g}", port.get("ip") or "0.0.0.0"  # noqa: S104 - as Docker completes it
        if not _is_loopback(address) and f"{name}:{inside}" not in config["allowed"]:
            yield (
                f"port {inside} is published on {address}, where everybody reaches it: publish it on 127.0.0.1, "
                f"or allow {name}:{inside} in the policy's config with a reason"
            )
    if container.get("publishAllPorts"):
        yield "publish_all_ports opens every port of the image to everybody: publish single ports on 127.0.0.1"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _check(resource: Resource, config: Config) -> Iterator[str]:
    return published(resource.props, config, resource.name)


PORTS = resource_policy(
    "ports-on-loopback",
    "Ports are published on loopback only.",
    _check,
    fix="Publish on 127.0.0.1, and reach the port with ssh -L or through a reverse proxy with a login.",
    config={"allowed": allow_list(PUBLIC, "<container>:<port inside> that others may reach → why.")},
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (PORTS,)
