"""What a container may do to its host, beside the engine's socket.

Lists say what is harmless; whatever is not on them is refused, so that tomorrow's capability or option is refused too.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pulumi_policy import Policy, Severity

from declared import CONTAINER, NETWORK, VOLUME, Config, Properties, Resource, each, reasons
from host_paths import NAME, flags, is_bind, is_own, is_secret, seen

_VAULT = "it takes its files from its own vault, whose id nobody knows before"
ALLOWED: Mapping[str, str] = {
    "cadvisor:CAP_SYS_PTRACE": "it reads which network a process is in",
    "cadvisor:CAP_DAC_READ_SEARCH": "it measures folders that are closed to root without capabilities",
    "cadvisor:CAP_SYSLOG": "it reads from the kernel's log who was killed for memory",
    "cadvisor:/dev/kmsg": "the same log, to read",
    "cadvisor:read /": "it measures cgroups and file systems",
    "node_exporter:read /": "it measures file systems, as nobody, to whom keys are closed",
    **{
        f"{service}-loader:from_container": _VAULT
        for service in (
            "alertmanager", "api_proxy", "caddy", "elasticsearch_exporter", "grafana", "loki", "mongodb_exporter",
            "postgres_exporter", "redis_exporter", "scrape_proxy",
        )
    },
}  # fmt: skip

CAPABILITIES = frozenset(
    ["AUDIT_WRITE", "CHOWN", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
     "SETUID", "SYS_CHROOT"]
)  # fmt: skip
"""Capabilities that reach nothing outside the container (capabilities(7)). Not among them, though Docker gives them by
default: MKNOD, DAC_OVERRIDE, and NET_RAW, by which a container answers for its neighbours."""

SECURITY = re.compile(
    r"no-new-privileges(:true)?|seccomp:builtin|apparmor:docker-default|label:level:.+|label:type:container_t"
)
SYSCTLS = re.compile(r"net[./].+|fs[./]mqueue[./].+|kernel[./](msg(max|mnb|mni)|sem|shm(all|max|mni|_rmid_forced))")
"""Those that belong to the container's own namespaces (docker run --sysctl)."""

NAMESPACES: Mapping[str, tuple[str, frozenset[str]]] = {
    "networkMode": ("network", frozenset()),  # by names, below
    "pidMode": ("pid", frozenset()),
    "ipcMode": ("ipc", frozenset(["private", "none", "shareable"])),
    "usernsMode": ("users", frozenset()),
    "cgroupnsMode": ("cgroup", frozenset(["private"])),
}
"""Input → its name in the allow-list, and what it may be besides not set."""

NETWORK_OPTIONS = re.compile(
    r"com\.docker\.network\.(driver\.mtu|container_iface_prefix|bridge\.(name|enable_icc|enable_ip_masquerade|inhibit_ipv4"
    r"|gateway_mode_ipv[46]=(nat|isolated)))"
)
"""The other options of a bridge open ports or publish them elsewhere."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    """What is not allowed of `resource`, by the key that would allow it."""
    for key, what in _problems(resource, config):
        if f"{resource.name}:{key}" not in config["allowed"]:
            yield f"{what}: leave it out, or allow {resource.name}:{key} in the policy's config with a reason"


def _problems(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    if resource.resource_type == NETWORK:
        yield from _of_network(resource.props)
        return
    if resource.resource_type == VOLUME:
        yield from _of_driver(resource.props.get("driver"), resource.props.get("driverOpts") or {})
    else:
        yield from _of_container(resource, config)
    yield from _of_paths(resource, config)


def _of_container(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    container = resource.props
    if container.get("privileged"):
        yield "privileged", "it is privileged, that is root on the host"
    yield from _of_namespaces(container)
    for capability in (container.get("capabilities") or {}).get("adds") or ():
        short = str(capability).upper().removeprefix("CAP_")
        if short not in CAPABILITIES:
            yield f"CAP_{short}", f"with CAP_{short} it may change or look into what is not its own"
    for option in container.get("securityOpts") or ():
        if not SECURITY.fullmatch(str(option).replace("=", ":")):
            yield str(option), f"{str(option)[:60]} takes the guard off, or puts another in its place"
    for name in container.get("sysctls") or {}:
        if not SYSCTLS.fullmatch(str(name)):
            yield str(name), f"the sysctl {name} is of the host's kernel"
    if (runtime := container.get("runtime")) and runtime != "runc":
        yield f"runtime {runtime}", f"runtime {runtime} is another program of the host that runs it as root"
    yield from _of_devices(container)
    yield from _of_uploads(container)
    yield from _of_mounts(resource, config)


def _of_namespaces(container: Properties) -> Iterator[tuple[str, str]]:
    for key, (short, harmless) in NAMESPACES.items():
        mode = str(container.get(key) or "")
        if not mode or mode in harmless or (key == "networkMode" and _is_network(mode)):
            continue
        whose = "the host's own namespace" if mode == "host" else "a namespace that is not its own"
        yield short, f"{key} is {mode}: it is in {whose}"
    for network in container.get("networksAdvanced") or ():
        if not _is_network(str(network.get("name"))):
            yield "network", f"the network {network.get('name')} is not its own"
    if container.get("cgroupParent"):
        yield "cgroup", f"cgroupParent {container.get('cgroupParent')} is another part of the host's"


def _is_network(mode: str) -> bool:
    return mode.lower() != "host" and ":" not in mode and "/" not in mode


def _of_devices(container: Properties) -> Iterator[tuple[str, str]]:
    for device in container.get("devices") or ():
        path, rights = str(device.get("hostPath")), str(device.get("permissions") or "rwm")
        yield (path if rights == "r" else f"{path} {rights}"), f"the device {path} is the host's"
    for key in ("deviceCgroupRules", "deviceRequests", "gpus"):
        if container.get(key):
            yield key, f"{key} gives it devices of the host"


def _of_uploads(container: Properties) -> Iterator[tuple[str, str]]:
    """A file is read on the machine of the deployment: only what is beside the program is the program's."""
    for upload in container.get("uploads") or ():
        if (source := upload.get("source")) and (str(source).startswith(("/", "~")) or ".." in str(source).split("/")):
            yield str(source), f"it is given {source} of the machine of the deployment"


def _of_mounts(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    container = resource.props
    for mount in container.get("mounts") or ():
        kind = mount.get("type")
        if kind not in {"bind", "volume", "tmpfs"}:
            yield f"mount {kind}", f"a mount of the type {kind} cannot be judged"
        options = mount.get("volumeOptions") or {}
        yield from _of_driver(options.get("driverName"), options.get("driverOptions") or {})
        if kind == "volume":
            yield from _of_name(str(mount.get("source") or ""))
    may_borrow = f"{resource.name}:from_container" in config["allowed"]
    for volume in container.get("volumes") or ():
        if ":" in str(volume.get("containerPath") or ""):
            yield (
                "containerPath",
                f"the path {volume.get('containerPath')} has a colon, by which it may be another mount",
            )
        if not may_borrow and volume.get("fromContainer"):
            yield "from_container", "from_container gives it all volumes of another container"
        if not volume.get("hostPath"):
            yield from _of_name(str(volume.get("volumeName") or ""))


def _of_name(name: str) -> Iterator[tuple[str, str]]:
    if name and not NAME.fullmatch(name):
        yield f"volume {name}", f"the volume {name} is no name, but a path of the host"


def _of_driver(driver: object, options: Properties) -> Iterator[tuple[str, str]]:
    if driver not in {None, "", "local"}:
        yield f"driver {driver}", f"the volume driver {driver} is a program of the host that mounts what it likes"
    elif (device := options.get("device")) and not is_bind(options):
        kind = str(options.get("type")).lower()
        in_memory = kind == "tmpfs" and device == "tmpfs"
        on_server = kind in {"nfs", "nfs4", "cifs"} and any(flag.startswith("addr=") for flag in flags(options))
        if not in_memory and not on_server and not (kind == "cifs" and str(device).startswith("//")):
            yield f"device {device}", f"a volume of the type {kind} on {device} is a device or file system of the host"


def _of_paths(resource: Resource, config: Config) -> Iterator[tuple[str, str]]:
    for path, read_only in seen(resource):
        if not path.startswith("/"):
            yield path, f"{path or 'nothing'} is no absolute path: nobody knows where it leads"
        elif read_only and is_secret(path) and not _may_read(resource.name, path, config):
            yield f"read {path}", f"it may read {path} of the host, where keys, passwords or other containers' data are"
        elif not read_only and not is_own(path):
            yield path, f"it may write to {path} of the host: mount it read-only"


def _may_read(name: str, path: str, config: Config) -> bool:
    """By its own entry or by that of a folder above."""
    above = [path, *map(str, PurePosixPath(path).parents)]
    return any(f"{name}:read {folder}" in config["allowed"] for folder in above)


def _of_network(network: Properties) -> Iterator[tuple[str, str]]:
    driver = network.get("driver")
    if driver not in {None, "", "bridge"}:
        yield f"driver {driver}", f"a network of the driver {driver} reaches past the engine's firewall"
    for option, value in (network.get("options") or {}).items():
        if not NETWORK_OPTIONS.fullmatch(f"{option}={value}" if "gateway_mode" in option else option):
            yield option, f"the option {option} may open what is closed"


HOST = each(
    "apart-from-the-host",
    "No container, volume or network is part of the host, or able to change it.",
    _check,
    kinds=(CONTAINER, VOLUME, NETWORK),
    fix="Leave out privileged, foreign namespaces, strong capabilities, devices and folders of the system.",
    config={
        "allowed": reasons(
            ALLOWED,
            "<resource>:<privileged, network, pid, ipc, users, cgroup, CAP_…, from_container, an option, a path or device; "
            "read and a path with all below it> → why it must.",
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (HOST,)
