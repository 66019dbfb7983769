"""The Docker socket: only a few containers see it, and none can replace it.

A process that reaches the Docker socket, or the socket of the containerd below it, is root on the host. A read-only mount does
not prevent that, because a socket is not a file.
"""

from collections.abc import Iterator, Mapping

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_resources import CONTAINER, VOLUME, Resource
from policies.readers.host_paths import holds_socket, is_engine_socket, seen

SOCKET_HOLDERS: Mapping[str, str] = {
    "socket_proxy": "it passes read-only paths of the API on to all other containers",
    "engine_door": "it passes the requests on that `actions` names, to who acts alone",
    "rollback_door": "it makes a container that `actions` names anew, of the image that ran before, for who acts alone",
    "cadvisor": "it asks the engine and its containerd which container a cgroup belongs to, and serves neither API",
    "node_exporter": "it measures all file systems, and runs as nobody, whom the socket refuses",
}
"""Containers that see the socket → why they must."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    allowed = config["allowed"]
    for path, read_only in seen(resource):
        if not holds_socket(path):
            continue
        socket = "the Docker socket" if is_engine_socket(path) else "a socket of the host"
        if resource.name not in allowed and f"{resource.name}:{path}" not in allowed:
            yield (
                f"it sees {socket} in {path}, which may make it root on the host, read-only or not: send its requests through a "
                f"proxy that only reads, or allow {resource.name}:{path} in the policy's config with a reason"
            )
        elif not read_only:
            yield f"it sees {socket} in {path}, and could replace it: mount it read-only"


SOCKET = resource_policy(
    "docker-socket",
    "Only named containers see the Docker socket or another socket of the host, and only read-only.",
    _check,
    kinds=(CONTAINER, VOLUME),
    fix="Ask the engine through a proxy that only passes reads on.",
    config={
        "allowed": allow_list(SOCKET_HOLDERS, "<container>, or <container>:<path>, that sees the socket → why it must.")
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (SOCKET,)
