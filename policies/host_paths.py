"""What of its host a container sees: by binds, by volumes that are binds under another name, and what of it is not for it.

A volume is the host's own folder where its name is a path, or where the driver `local` is given a `device`. A read-only
mount stops neither a connection to a socket nor the reading of a key.
"""

import re
from collections.abc import Iterator

from declared import VOLUME, Properties, Resource

PROCESS_ROOT = re.compile(r"/proc/[^/]+/(task/[^/]+/)?(root|cwd)(?=/|$)")
"""A process' view of the whole host."""
LINKS = (("/var/run", "/run"), ("/var/lock", "/run/lock"))

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
    r"|(/.+)?/\.(docker|colima|lima|rd|orbstack)(/.*)?|/(root|home|home/[^/]+)"
)
"""Folders of the host that hold the socket of an engine, of the containerd below it, or of what starts services: as
distributions have them, as engines bring their own, and as users run them without root."""
_ENGINE_DATA = r"docker|containerd|containers|kubelet|rancher|lxc|lxd|incus|libvirt|balena-engine|buildkit"
SECRET = re.compile(
    r"/|/root(/.*)?|/home(/[^/]+)?|/home/.*/\.[^/]+(/.*)?"
    r"|/etc|/etc/g?shadow-?|/etc/(ssh|sudoers|sudoers\.d|docker|kubernetes|rancher|letsencrypt|wireguard|openvpn|ipsec\.d|ppp"
    r"|security|krb5\.keytab|credstore|credstore\.encrypted|NetworkManager|cloud|vault|swanctl)(/.*)?"
    r"|/etc/(ssl|pki|pki/tls)|/etc/(.+/)?(private|secrets?|keys)(/.*)?|/etc/.+\.(key|keytab|p12|pfx|jks)"
    rf"|/var|/var/lib|/var/lib/({_ENGINE_DATA}|private|systemd|cloud|sss)(/.*)?|/var/(backups|snap|spool|mail)(/.*)?"
    r"|/run/(secrets|credentials|netns)(/.*)?"
    r"|/proc/(self|thread-self|\d+|kcore|kmem|kpage\w+|bus|acpi)(/.*)?|/dev(?!/disk(/|$))(/.*)?"
)
"""What is not even for reading: keys, passwords, what other containers keep, other processes, devices; and what is above."""

OWN = re.compile(
    rf"/(srv|mnt|media|data)/.+|/var/lib/(?!({_ENGINE_DATA}|systemd|dpkg|apt|private|cloud|snapd|rpm|sss)/)[^/]+/.+"
)
"""What may be written to: folders where services of their own keep data."""

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
"""What the engine takes for the name of a volume."""


def seen(resource: Resource) -> Iterator[tuple[str, bool]]:
    """Each path of the host that `resource` (a container or a volume) sees, and whether only for reading."""
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
    """The mount options that the driver `local` is given."""
    return [one.strip().lower() for one in str(options.get("o") or "").split(",") if one.strip()]


def is_bind(options: Properties) -> bool:
    """Whether the driver `local` makes a folder of the host a volume."""
    if not options.get("device"):
        return False
    return str(options.get("type") or "none").lower() in {"none", "bind"} or bool({"bind", "rbind"} & {*flags(options)})


def normal(path: str) -> str:
    """`path` as the engine cleans it; a relative one stays one."""
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
    """Where a normal `path` leads by the links that every host has."""
    path = PROCESS_ROOT.sub("", path) or "/"
    for link, target in LINKS:
        if path == link or path.startswith(f"{link}/"):
            path = target + path.removeprefix(link)
    return path


def holds_socket(path: str) -> bool:
    """Whether who sees `path` of the host sees a socket, or a folder that has one of an engine."""
    where = real(path)
    return bool(SOCKET_FOLDERS.fullmatch(where) or ANY_SOCKET.fullmatch(where.rpartition("/")[2]))


def is_engines(path: str) -> bool:
    """Whether it is an engine's for sure."""
    where = real(path)
    return bool(SOCKET_FOLDERS.fullmatch(where) or ENGINE_SOCKET.fullmatch(where.rpartition("/")[2]))


def is_secret(path: str) -> bool:
    """Whether `path` of the host is not even for reading, or holds what is not."""
    return bool(SECRET.fullmatch(real(path)) or PROCESS_ROOT.match(path))


def is_own(path: str) -> bool:
    """Whether a service may write to `path` of the host."""
    return bool(OWN.fullmatch(real(path))) and not is_secret(path)
