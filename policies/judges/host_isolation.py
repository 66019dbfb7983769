"""Host isolation: what a container, volume or network may see of its host and change on it, apart from sockets.

Lists name what is harmless. Everything else is refused, so a capability or option that is new tomorrow is refused too.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, in_list, resource_policy
from policies.readers.declared_resources import CONTAINER, NETWORK, VOLUME, Properties, Resource
from policies.readers.host_paths import NAME, flags, is_bind, is_own, is_secret, is_socket, seen

_OWN = "it takes its files from its own vault and validator, whose ids are known only after the update"
ALLOWED: Mapping[str, str] = {
    "cadvisor:CAP_SYS_PTRACE": "it reads the network of each process",
    "cadvisor:CAP_DAC_READ_SEARCH": "it measures folders that root cannot read without capabilities",
    "cadvisor:CAP_SYSLOG": "it reads from the kernel's log which processes were killed for memory",
    "cadvisor:/dev/kmsg": "it reads the kernel's log",
    "cadvisor:read /": "it measures cgroups and file systems",
    "node_exporter:read /": "it measures file systems, kernel and network as nobody, who cannot read keys",
    **{
        f"{service}-loader:from_container": _OWN
        for service in (
            "alertmanager", "alloy", "api_proxy", "caddy", "edge_door", "grafana", "jaeger", "jaeger_es_index_cleaner", "loki",
            "otel_collector", "prometheus", "promtail", "scrape_proxy", "*_exporter", "*_exporter-[234]",
        )
    },
}  # fmt: skip
"""`<resource>:<key of the message>` → why it must. A `*` matches any characters."""

CAPABILITIES = frozenset(
    ["AUDIT_WRITE", "CHOWN", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
     "SETUID", "SYS_CHROOT"]
)  # fmt: skip
"""Capabilities that reach nothing outside the container (capabilities(7)). MKNOD, DAC_OVERRIDE and NET_RAW are not among them,
although Docker grants them by default: with NET_RAW a container can answer in its neighbours' place."""

SECURITY = re.compile(
    r"no-new-privileges(:true)?|seccomp:builtin|apparmor:docker-default|label:level:.+|label:type:container_t"
)
SYSCTLS = re.compile(
    r"net([./][\w-]+)+|fs[./]mqueue[./]\w+|kernel[./](msg(max|mnb|mni)|sem|shm(all|max|mni|_rmid_forced))"
)
"""Sysctls of the container's own namespaces (docker run --sysctl)."""

NAMESPACES: Mapping[str, tuple[str, frozenset[str]]] = {
    "networkMode": ("network", frozenset()),  # _is_network judges its names
    "pidMode": ("pid", frozenset()),
    "ipcMode": ("ipc", frozenset(["private", "none", "shareable"])),
    "usernsMode": ("users", frozenset()),
    "cgroupnsMode": ("cgroup", frozenset(["private"])),
    "utsMode": ("uts", frozenset()),  # which the provider does not have yet
}
"""Input → its name in the allow-list, and the values that are harmless. Not set is harmless too."""

NETWORK_OPTIONS = re.compile(
    r"com\.docker\.network\.(driver\.mtu|container_iface_prefix|bridge\.(enable_icc|enable_ip_masquerade|inhibit_ipv4"
    r"|gateway_mode_ipv[46]=(nat|isolated)))"
)
"""Harmless options of a bridge. The others open ports, publish them elsewhere, or take a bridge that the host already has."""
TMPFS = re.compile(r"(rw|ro|no(exec|suid|dev|atime)|exec|(size|mode|uid|gid|nr_inodes|nr_blocks)=\w+%?)?")
"""Harmless options of a folder in memory. The engine passes others on to mount(2), among them `bind`."""
_ELSEWHERE = re.compile(r"addr=(?!127\.|0\.0\.0\.0|localhost|::1|\[::1\])")
DRIVER_OPTIONS = frozenset(["type", "o", "device", "size"])
"""Options of the driver `local`."""
PROPAGATION = frozenset([None, "", "private", "rprivate", "slave", "rslave"])
"""How mounts pass between host and container, where none passes to the host."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    for key, problem in _problems(resource, config):
        if not in_list(f"{resource.name}:{key}", config["allowed"]):
            yield f"{problem}: leave it out, or allow {resource.name}:{key} in the policy's config with a reason"


def _problems(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    """The key that would allow each problem of `resource`, and the problem."""
    if resource.resource_type == NETWORK:
        yield from _in_network(resource.props)
        return
    if resource.resource_type == VOLUME:
        yield from _in_driver(resource.props.get("driver"), resource.props.get("driverOpts") or {})
    else:
        yield from _in_container(resource, config)
    yield from _in_paths(resource, config)


def _in_container(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    container = resource.props
    if container.get("privileged"):
        yield "privileged", "it is privileged, which makes it root on the host"
    yield from _in_namespaces(container)
    for capability in (container.get("capabilities") or {}).get("adds") or ():
        short = str(capability).upper().removeprefix("CAP_")
        if short not in CAPABILITIES:
            yield f"CAP_{short}", f"CAP_{short} may let it read or change things outside the container"
    for option in container.get("securityOpts") or ():
        if not SECURITY.fullmatch(str(option).replace("=", ":")):
            yield str(option), f"{str(option)[:60]} removes a protection or replaces it"
    for name in container.get("sysctls") or {}:
        if not SYSCTLS.fullmatch(str(name)):
            yield str(name), f"the sysctl {name} belongs to the host's kernel"
    if (runtime := container.get("runtime")) and runtime != "runc":
        yield f"runtime {runtime}", f"runtime {runtime} is another program on the host, which runs as root"
    yield from _in_devices(container)
    yield from _in_uploads(container)
    yield from _in_memory(container)
    yield from _in_mounts(resource, config)


def _in_namespaces(container: Properties) -> Iterator[tuple[str, str]]:
    for key, (short, harmless) in NAMESPACES.items():
        mode = str(container.get(key) or "").strip()
        if not mode or mode in harmless or (key == "networkMode" and _is_network(mode)):
            continue
        owner = "the host's own namespace" if mode == "host" else "a namespace that is not its own"
        yield short, f"{key} is {mode}: it runs in {owner}"
    for network in container.get("networksAdvanced") or ():
        if not _is_network(str(network.get("name"))):
            yield "network", f"the network {network.get('name')} is not its own"
    if container.get("cgroupParent"):
        yield "cgroup", f"cgroupParent {container.get('cgroupParent')} is a cgroup of the host"


def _is_network(mode: str) -> bool:
    return mode.strip().lower() != "host" and ":" not in mode and "/" not in mode


def _in_devices(container: Properties) -> Iterator[tuple[str, str]]:
    for device in container.get("devices") or ():
        path, rights = str(device.get("hostPath")), str(device.get("permissions") or "rwm")
        yield (path if rights == "r" else f"{path} {rights}"), f"the device {path} belongs to the host"
    for key in ("deviceCgroupRules", "deviceRequests", "gpus"):
        if container.get(key):
            yield key, f"{key} gives it devices of the host"


def _in_uploads(container: Properties) -> Iterator[tuple[str, str]]:
    """`source` is read on the deploying machine, where only the files beside the program belong to the program."""
    for upload in container.get("uploads") or ():
        source = str(upload.get("source") or "")
        parts = [part for part in source.split("/") if part != "."]
        if source.startswith(("/", "~", "$")) or any(part.startswith((".", "Pulumi.")) for part in parts):
            yield source, f"it gets the file {source} of the deploying machine"


def _in_mounts(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    for mount in resource.props.get("mounts") or ():
        yield from _in_mount(mount)
    may_borrow = in_list(f"{resource.name}:from_container", config["allowed"])
    for volume in resource.props.get("volumes") or ():
        if ":" in str(volume.get("containerPath") or ""):
            yield (
                "containerPath",
                f"the path {volume.get('containerPath')} has a colon, which may turn it into another mount",
            )
        if not may_borrow and volume.get("fromContainer"):
            yield "from_container", "from_container gives it all volumes of another container"
        if not volume.get("hostPath"):
            yield from _in_name(str(volume.get("volumeName") or ""))


def _in_mount(mount: Properties) -> Iterator[tuple[str, str]]:
    kind = mount.get("type")
    if kind not in {"bind", "volume", "tmpfs"}:
        yield f"mount {kind}", f"a mount of the type {kind} cannot be judged"
    propagation = (mount.get("bindOptions") or {}).get("propagation")
    if propagation not in PROPAGATION:
        yield f"propagation {propagation}", f"what it mounts appears on the host too (propagation {propagation})"
    options = mount.get("volumeOptions") or {}
    part = str(options.get("subpath") or "")
    if part.startswith("/") or ".." in part.split("/"):
        yield f"subpath {part}", f"the part {part} of a volume leads out of it"
    yield from _in_driver(options.get("driverName"), options.get("driverOptions") or {})
    if kind == "volume":
        yield from _in_name(str(mount.get("source") or ""))


def _in_memory(container: Properties) -> Iterator[tuple[str, str]]:
    for folder, flagged in (container.get("tmpfs") or {}).items():
        for flag in str(flagged).split(","):
            if not TMPFS.fullmatch(flag.strip()):
                yield f"tmpfs {flag}", f"the option {flag} of {folder} may mount something else than memory"


def _in_name(name: str) -> Iterator[tuple[str, str]]:
    if name and not NAME.fullmatch(name):
        yield f"volume {name}", f"the volume {name} is a path of the host, and not a name"


def _in_driver(driver: object, options: Properties) -> Iterator[tuple[str, str]]:
    if driver not in {None, "", "local"}:
        yield f"driver {driver}", f"the volume driver {driver} is a program on the host, which may mount anything"
        return
    for option in sorted({*options} - DRIVER_OPTIONS):
        yield f"option {option}", f"the option {option} of a volume is unknown"
    device = options.get("device")
    if (device or options.get("type")) and not is_bind(options):
        kind = str(options.get("type")).lower()
        in_memory = kind == "tmpfs" and device in {"tmpfs", None}
        on_server = kind in {"nfs", "nfs4", "cifs"} and any(_ELSEWHERE.match(flag) for flag in flags(options))
        if not in_memory and not on_server and not (kind == "cifs" and str(device).startswith("//")):
            yield f"device {device}", f"a volume of the type {kind} on {device} is a device or file system of the host"


def _in_paths(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    for path, read_only in seen(resource):
        if not path.startswith("/"):
            yield path, f"{path or 'nothing'} is not an absolute path: it may lead anywhere"
        elif read_only and is_socket(path):
            continue  # judged by the policy docker-socket; that of an engine without root is in the folder of its user
        elif read_only and is_secret(path) and not _may_read(resource.name, path, config):
            yield (
                f"read {path}",
                f"it may read {path} of the host, which holds keys, passwords or other containers' data",
            )
        elif not read_only and not is_own(path):
            yield path, f"it may write to {path} of the host: mount it read-only"


def _may_read(name: str, path: str, config: Config) -> bool:
    """Whether the allow-list has `read` for `path` or for a folder above it."""
    above = [path, *map(str, PurePosixPath(path).parents)]
    return any(f"{name}:read {folder}" in config["allowed"] for folder in above)


def _in_network(network: Properties) -> Iterator[tuple[str, str]]:
    driver = network.get("driver")
    if driver not in {None, "", "bridge"}:
        yield f"driver {driver}", f"a network of the driver {driver} bypasses the engine's firewall"
    if network.get("ipamDriver") not in {None, "", "default"}:
        yield (
            f"ipam {network.get('ipamDriver')}",
            f"the addresses come from {network.get('ipamDriver')}, a program on the host",
        )
    for option, value in (network.get("options") or {}).items():
        if not NETWORK_OPTIONS.fullmatch(f"{option}={value}" if "gateway_mode" in option else option):
            yield option, f"the option {option} may open closed ports"


HOST = resource_policy(
    "apart-from-the-host",
    "No container, volume or network is part of the host, or can change it.",
    _check,
    kinds=(CONTAINER, VOLUME, NETWORK),
    fix="Leave out privileged, namespaces of others, strong capabilities, devices and folders of the system.",
    config={
        "allowed": allow_list(
            ALLOWED,
            "<resource>:<privileged, network, pid, ipc, users, cgroup, CAP_…, from_container, an option, a path or device; "
            "or read and a path, which includes everything below it> → why it must.",
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (HOST,)
