"""Which paths of the host a container sees, and which of them hold sockets or secrets.

A container sees a path through a bind mount, or through a volume that is a bind mount in disguise: its name is a path, or its
driver `local` has a `device`. A read-only mount stops neither a connection to a socket nor the reading of a key.
"""

import re
from collections.abc import Iterator

from policies.readers.declared_resources import VOLUME, Properties, Resource

PROCESS_ROOT = re.compile(r"/proc/[^/]+/(task/[^/]+/)?(root|cwd)(?=/|$)")
"""A process' view of the whole file system."""
LINKS = (("/var/run", "/run"), ("/var/lock", "/run/lock"))
"""Symbolic links that every host has: path → target."""

ENGINES = frozenset(
    ["docker", "containerd", "podman", "crio", "cri-o", "cri-dockerd", "buildkit", "balena", "balena-engine", "k3s", "rke2",
     "guest-services", "lxd", "lxc", "incus", "libvirt", "kubelet", "nerdctl", "snap.docker"]
)  # fmt: skip
ENGINE_SOCKET = re.compile(
    r"(docker|dockerd|docker-debug|containerd|podman|crio|cri-dockerd|dockershim|buildkitd|balena(-engine)?)\.(sock|socket)(\.ttrpc)?"
)
ANY_SOCKET = re.compile(r"(.+\.)?(sock|socket)(\..+)?|.+[-_](sock|socket)")
SOCKET_FOLDERS = re.compile(
    rf"/|/var(/lib|/snap)?|/run|/run/(user|systemd|dbus)(/.*)?|/run/({'|'.join(map(re.escape, sorted(ENGINES)))})(/.*)?"
    r"|/var/(lib|snap)/(lxd|incus|kubelet|rancher)(/.*)?"
    r"|/tmp|/tmp/(\.X11-unix|ssh-[^/]+)(/.*)?"
    r"|(/.+)?/\.(docker|colima|lima|rd|orbstack)(/.*)?|/(root|home|home/[^/]+)"
)
"""Folders with the socket of an engine, of its containerd, or of a service manager: those of distributions, those that engines
bring, and those of engines that run without root."""
_ENGINE_DATA = r"docker|containerd|containers|kubelet|rancher|lxc|lxd|incus|libvirt|balena-engine|buildkit"
SECRET = re.compile(
    r"/|/root(/.*)?|/home(/[^/]+)?|/home/.*/\.[^/]+(/.*)?"
    r"|/etc|/etc/g?shadow-?|/etc/(ssh|sudoers|sudoers\.d|docker|kubernetes|rancher|letsencrypt|wireguard|openvpn|ipsec\.d|ppp"
    r"|security|krb5\.keytab|credstore|credstore\.encrypted|NetworkManager|cloud|vault|swanctl)(/.*)?"
    r"|/etc/(ssl|pki|pki/tls)|/etc/(.+/)?(private|secrets?|keys)(/.*)?|/etc/.+\.(key|keytab|p12|pfx|jks)"
    rf"|/var|/var/lib|/var/lib/({_ENGINE_DATA}|private|systemd|cloud|sss)(/.*)?|/var/(backups|snap|spool|mail)(/.*)?"
    r"|/run/(secrets|credentials|netns)(/.*)?"
    r"|(/var)?/tmp|/sys/(kernel/(debug|tracing|security)|firmware)(/.*)?"
    r"|/proc/(self|thread-self|\d+|kcore|kmem|kpage\w+|bus|acpi)(/.*)?|/dev(?!/disk(/|$))(/.*)?"
)
"""Paths that a container may not even read: keys, passwords, other containers' data, other processes, devices, and every folder
above them."""

OWN = re.compile(
    rf"/(srv|mnt|media|data)/.+|/var/lib/(?!({_ENGINE_DATA}|systemd|dpkg|apt|private|cloud|snapd|rpm|sss)/)[^/]+/.+"
)
"""Paths that a container may write to: folders in which services keep their data."""

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
"""What the engine accepts as the name of a volume."""


def seen(resource: Resource) -> Iterator[tuple[str, bool]]:
    """Each path of the host that `resource` (a container or a volume) sees, and whether it is read-only."""
    props = resource.props
    if resource.resource_type == VOLUME:
        yield from _of_driver(props.get("driverOpts") or {})
        return
    for mount in props.get("mounts") or ():
        kind, read_only = str(mount.get("type")).lower(), bool(mount.get("readOnly"))
        source = str(mount.get("source") or "") if kind != "tmpfs" else ""
        if kind == "bind" or _is_path(source):
            yield normal(source), read_only
        yield from _of_driver((mount.get("volumeOptions") or {}).get("driverOptions") or {}, read_only=read_only)
    for volume in props.get("volumes") or ():
        source = str(volume.get("hostPath") or volume.get("volumeName") or "")
        if volume.get("hostPath") or _is_path(source):
            yield normal(source), bool(volume.get("readOnly"))


def _is_path(name: str) -> bool:
    return "/" in name or name.startswith(("~", "."))


def _of_driver(options: Properties, *, read_only: bool = False) -> Iterator[tuple[str, bool]]:
    if is_bind(options):
        yield normal(str(options.get("device") or "")), read_only or "ro" in flags(options)


def flags(options: Properties) -> list[str]:
    """Mount options of the driver `local`: `["ro", "bind"]` for `o=ro,bind`."""
    return [one.strip().lower() for one in str(options.get("o") or "").split(",") if one.strip()]


def is_bind(options: Properties) -> bool:
    """Whether the driver `local` mounts a folder of the host as the volume."""
    if not options.get("device"):
        return False
    return str(options.get("type") or "none").lower() in {"none", "bind"} or bool({"bind", "rbind"} & {*flags(options)})


def normal(path: str) -> str:
    """`path` without `.`, `..`, doubled slashes and anything after a colon, as the engine cleans it. A relative path stays as it is."""
    if not path.startswith("/"):
        return path
    parts: list[str] = []
    for part in path.partition(":")[0].split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def real(path: str) -> str:
    """Where `path`, cleaned by `normal`, leads through the links that every host has."""
    path = PROCESS_ROOT.sub("", path) or "/"
    for link, target in LINKS:
        if path == link or path.startswith(f"{link}/"):
            path = target + path.removeprefix(link)
    return path


def holds_socket(path: str) -> bool:
    """Whether mounting `path` exposes a socket, or a folder with the socket of an engine."""
    return bool(SOCKET_FOLDERS.fullmatch(real(path))) or is_socket(path)


def is_socket(path: str) -> bool:
    """Whether `path` has the name of a socket."""
    return bool(ANY_SOCKET.fullmatch(real(path).rpartition("/")[2]))


def is_engine_socket(path: str) -> bool:
    """Whether `path` is certainly the socket of an engine, or a folder with one."""
    where = real(path)
    return bool(SOCKET_FOLDERS.fullmatch(where) or ENGINE_SOCKET.fullmatch(where.rpartition("/")[2]))


def is_secret(path: str) -> bool:
    """Whether a container may not even read `path`, because it is a secret or holds one."""
    return bool(SECRET.fullmatch(real(path)) or PROCESS_ROOT.match(path))


def is_own(path: str) -> bool:
    """Whether a service may write to `path`."""
    return bool(OWN.fullmatch(real(path))) and not is_secret(path)
