"""Exposure: what listens, and what a container may do to its host.

Docker publishes a port past the host's firewall, on every address unless told which. Whoever reaches the Docker socket, or
that of the containerd below it, is root on the host, read-only mount or not: a socket is no file.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pulumi_policy import Policy, Severity

from declared import Config, Properties, Resource, each, reasons

SOCKETS = re.compile(r".*/(docker|containerd|podman|crio|dockerd|buildkitd)(-debug)?\.sock(\.ttrpc)?")
SOCKET_FOLDERS = re.compile(
    r"/|/var|(/var)?/run(/docker(/containerd)?|/containerd|/podman|/crio|/buildkit|/user(/\d+(/docker(/containerd)?|/podman)?)?"
    r"|/snap\.docker(/containerd)?)?"
)
"""Folders of the host that hold the socket of an engine, or of the containerd below it: as distributions have them, as Docker
brings its own, and as users run them without root."""

SOCKET_HOLDERS: Mapping[str, str] = {
    "socket_proxy": "it lets read-only paths of the API through, for all others",
    "cadvisor": "it asks the engine and its containerd which container a cgroup belongs to, and serves no API of theirs",
    "node_exporter": "it measures all file systems, and runs as nobody, whom the socket refuses",
}

PUBLIC: Mapping[str, str] = {
    "caddy:443": "it is there to be reached: TLS, in front of a service that asks for a password",
}

SYSTEM_FOLDERS = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
)

CAPABILITIES: Mapping[str, str] = {
    "cadvisor:CAP_SYS_PTRACE": "it reads which network a process is in",
}
STRONG = frozenset(
    [
        "ALL",
        "SYS_ADMIN",
        "SYS_MODULE",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_BOOT",
        "SYS_TIME",
        "NET_ADMIN",
        "DAC_OVERRIDE",
        "BPF",
        "PERFMON",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "LINUX_IMMUTABLE",
    ]
)
"""Capabilities by which a container can change its host, or read what is not its own."""


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


def host_paths(container: Properties) -> Iterator[tuple[str, bool]]:
    """Each path of the host that `container` sees, and whether only for reading."""
    for mount in container.get("mounts") or ():
        if mount.get("type") == "bind":
            yield _normal(str(mount.get("source"))), bool(mount.get("readOnly"))
    for volume in container.get("volumes") or ():
        if volume.get("hostPath"):
            yield _normal(str(volume.get("hostPath"))), bool(volume.get("readOnly"))


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return str(PurePosixPath(*parts))


def holds_socket(path: str) -> bool:
    """Whether who sees `path` of the host sees the engine's socket."""
    return bool(SOCKET_FOLDERS.fullmatch(path) or SOCKETS.fullmatch(path))


def _check_ports(resource: Resource, config: Config) -> Iterator[str]:
    return published(resource.props, config, resource.name)


def _check_socket(resource: Resource, config: Config) -> Iterator[str]:
    for path, read_only in host_paths(resource.props):
        if not holds_socket(path):
            continue
        if resource.name not in config["allowed"]:
            yield (
                f"it sees the Docker socket in {path}, by which it is root on the host: let it ask through a proxy that only "
                "reads, or allow it in the policy's config with a reason"
            )
        elif not read_only:
            yield f"it sees the Docker socket in {path}, which it could replace: mount it read-only"


def _check_host(resource: Resource, config: Config) -> Iterator[str]:
    container, allowed = resource.props, config["allowed"]
    instead = f"leave it out, or allow it in the policy's config as {resource.name}:"
    if container.get("privileged") and f"{resource.name}:privileged" not in allowed:
        yield f"it is privileged, that is root on the host: {instead}privileged with a reason"
    for namespace, what in (
        ("networkMode", "network"),
        ("pidMode", "pid"),
        ("ipcMode", "ipc"),
        ("usernsMode", "users"),
    ):
        if container.get(namespace) == "host" and f"{resource.name}:{what}" not in allowed:
            yield f"{namespace} is host: it is in the host's own namespace: {instead}{what} with a reason"
    for capability in (container.get("capabilities") or {}).get("adds") or ():
        short = str(capability).upper().removeprefix("CAP_")
        if short in STRONG and f"{resource.name}:CAP_{short}" not in allowed:
            yield f"with CAP_{short} it can change or look into what is not its own: {instead}CAP_{short} with a reason"
    for option in container.get("securityOpts") or ():
        if (
            str(option).replace("=", ":").endswith((":unconfined", "label:disable"))
            and f"{resource.name}:{option}" not in allowed
        ):
            yield f"{option} takes the guard off: {instead}{option} with a reason"
    for path, read_only in host_paths(container):
        top = "/" + path.strip("/").partition("/")[0]
        system = top == "/" or (top in SYSTEM_FOLDERS and path.count("/") <= 2)  # noqa: PLR2004 - /etc, /etc/cron.d
        if system and not read_only and f"{resource.name}:{path}" not in allowed:
            yield f"it may write to {path} of the host: mount it read-only, or allow {resource.name}:{path} with a reason"


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
    "Only named containers see the Docker socket, and only read-only.",
    _check_socket,
    fix="Ask the engine through a proxy that lets only reads through.",
    config={"allowed": reasons(SOCKET_HOLDERS, "Containers that see the socket → why they must.")},
    severity=Severity.CRITICAL,
)

HOST = each(
    "apart-from-the-host",
    "No container is privileged, in a namespace of the host, or able to change it.",
    _check_host,
    fix="Leave out privileged, host namespaces, strong capabilities and writable folders of the system.",
    config={
        "allowed": reasons(
            CAPABILITIES,
            "<container>:<privileged, network, pid, ipc, users, CAP_…, an option or a path> → why it must.",
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (PORTS, SOCKET, HOST)
