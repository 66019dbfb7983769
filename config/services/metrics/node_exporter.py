"""node_exporter: the host's CPUs, memory, disks, network, units and clock."""

import re
from typing import Any

from config.container import Container, Mount, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["node_exporter"]

# Not among them: `interrupts` (a series for each interrupt and CPU), `powersupplyclass` (batteries), and `tcpstat`, which asks
# the kernel by netlink and so would count the container's own connections. With 400 processes and 800 threads a scrape takes 38 ms
# of CPU (0.25 % of a core), 28 of them for `processes`. Memory was 21 MiB with eighteen collectors, and is with all of them.
_COLLECTORS = (
    "arp", "bonding", "btrfs", "conntrack", "cpu", "cpufreq", "diskstats", "edac", "entropy", "filefd", "filesystem", "hwmon",
    "kernel_hung", "lnstat", "loadavg", "mdadm", "meminfo", "netclass", "netdev", "netstat", "nfs", "nfsd", "os",
    "pressure", "processes", "schedstat", "sockstat", "softnet", "stat", "textfile", "thermal_zone", "time", "timex",
    "udp_queues", "uname", "vmstat", "xfs", "zfs",
)  # fmt: skip
VIRTUAL_INTERFACES = r"veth.*|br-[0-9a-f]{12}|docker.*|ifb.*|cali.*|virbr.*"
"""Interfaces of containers and virtual machines, and Docker's bridges, under names that change. They carry the same packets
as the host's own, or none of them."""
_PSEUDO_FILESYSTEMS = (
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|erofs|fuse\\..+|fusectl|hugetlbfs|iso9660|mqueue|nsfs|"
    "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tmpfs|tracefs"
)

_TEXTFILES = "/var/lib/node_exporter"
"""Folder on the host for your own `*.prom` files."""

_NETWORK = Mount("/proc/1/net", "/host/proc/net")
"""The network of the host's first process. `/proc/net` is a link to that of the process that reads it. runc follows it as the
process that becomes the image's entrypoint, so the mount covers what node_exporter would read. `make check` tests that."""
SYSTEM_BUS = "/run/dbus/system_bus_socket"
"""The host's D-Bus, on which systemd tells the states of its units."""


def _layers(settings: Settings) -> str:
    """Pattern for what the engine and its containerd mount per container and layer. It does not match a separate disk
    for volumes or for all layers."""
    stores = r"(aufs|btrfs|containers|devicemapper|fuse-overlayfs|overlay2?|plugins|rootfs|vfs|zfs)/.+"
    return rf"{re.escape(settings.docker.data_root)}/{stores}|/.*/io\.containerd\.[^/]+/.+"


def container(settings: Settings) -> Container:
    """Reads the host's file systems, kernel and counters of the network as nobody. It is in none of the host's
    namespaces: it sends and receives nothing there."""
    # A unit that is started again and again never counts as failed: only its restarts tell.
    systemd = ("systemd", "systemd.enable-restarts-metrics") if settings.docker.systemd else ()
    return Container(
        service="node_exporter",
        command=(
            "--path.rootfs=/host",
            "--path.procfs=/host/proc",
            "--path.sysfs=/host/sys",
            "--path.udev.data=/host/run/udev/data",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in (*_COLLECTORS, *systemd)),
            # Over netlink they would get the container's own interfaces.
            "--no-collector.arp.netlink",
            "--no-collector.netdev.netlink",
            f"--collector.arp.device-exclude=^({VIRTUAL_INTERFACES})$",
            f"--collector.netdev.device-exclude=^({VIRTUAL_INTERFACES})$",
            f"--collector.netclass.ignored-devices=^({VIRTUAL_INTERFACES})$",
            f"--collector.filesystem.fs-types-exclude=^({_PSEUDO_FILESYSTEMS})$",
            f"--collector.filesystem.mount-points-exclude=^(/(dev|proc|run|sys|boot/efi|snap/.+)($|/)|{_layers(settings)})",
            "--collector.diskstats.device-exclude=^(z?ram|loop|fd|dm-|(h|s|v|xv)d[a-z]+|nvme\\d+n\\d+p)\\d+$",
            # This pattern always matches: the host's folder if it exists, and an empty one beside it. With a plain
            # name, a missing folder would be an error at each scrape, and could not be told from a file that cannot be
            # read.
            f"--collector.textfile.directory=/*{_TEXTFILES}",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/"),
        environment={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path=/host{SYSTEM_BUS}"} if systemd else {},
        mounts=(Mount("/", "/host"), _NETWORK),
        empty=(f"/empty{_TEXTFILES}",),
    )


def metric_relabel_configs() -> list[dict[str, Any]]:
    """Rules for what is mistaken or too much on its page.

    - The count of tracked connections comes from the page of the host's network. The kernel's own number, which the
      collector `conntrack` reads, is always that of the reader's network.
    - Of the series about node_exporter itself, those of its runtime go.
    - Of several hundred ZFS series those stay that show how much memory its cache can release, and the states of its
      pools.
    - Of the five states of a unit of systemd two stay. `node_systemd_units` counts all of them.
    """
    entries = "node_nf_conntrack_entries"
    return [
        {"source_labels": ["__name__"], "regex": entries, "action": "drop"},
        {
            "source_labels": ["__name__", "subsystem", "cpu"],
            "regex": "node_lnstat_entries_total;nf_conntrack;0",
            "target_label": "__name__",
            "replacement": entries,
        },
        {"source_labels": ["__name__"], "regex": "node_lnstat_.+", "action": "drop"},
        *(
            {"source_labels": ["__name__"], "regex": entries, "target_label": label, "replacement": ""}
            for label in ("subsystem", "cpu")
        ),
        {"source_labels": ["__name__"], "regex": "(go|promhttp)_.+", "action": "drop"},
        {
            "source_labels": ["__name__", "state"],
            "regex": "node_systemd_unit_state;(activating|deactivating|inactive)",
            "action": "drop",
        },
        {
            "source_labels": ["__name__"],
            "regex": "node_zfs_(arc_(size|c_min)|zpool_state)",
            "target_label": "__tmp_keep",
            "replacement": "yes",
        },
        {"source_labels": ["__name__", "__tmp_keep"], "regex": "node_zfs_.+;", "action": "drop"},
        {"regex": "__tmp_keep", "action": "labeldrop"},
    ]
