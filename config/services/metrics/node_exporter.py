"""node_exporter: the host's CPUs, memory, disks and clock."""

import re
from typing import Any

from config.container import Container, Mount, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["node_exporter"]

# It stays in the stack's network, because in the host's it would be reachable from outside. Collectors that would
# report the container's network instead of the host's are left out. The host's interfaces come from cAdvisor.
_COLLECTORS = (
     "cpu", "diskstats", "edac", "filefd", "filesystem", "hwmon", "loadavg", "mdadm", "meminfo", "os",
    "pressure", "stat", "textfile", "time", "timex", "uname", "vmstat", "zfs",
)  # fmt: skip
_PSEUDO_FILESYSTEMS = (
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|erofs|fuse\\..+|fusectl|hugetlbfs|iso9660|mqueue|nsfs|"
    "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tmpfs|tracefs"
)

_TEXTFILES = "/var/lib/node_exporter"
"""Folder on the host for your own `*.prom` files."""


def _layers(settings: Settings) -> str:
    """Pattern for what the engine and its containerd mount per container and layer. It does not match a separate disk
    for volumes or for all layers."""
    stores = r"(aufs|btrfs|containers|devicemapper|fuse-overlayfs|overlay2?|plugins|rootfs|vfs|zfs)/.+"
    return rf"{re.escape(settings.docker.data_root)}/{stores}|/.*/io\.containerd\.[^/]+/.+"


def container(settings: Settings) -> Container:
    """Reads the host's file systems, and has no access to the host's network or processes."""
    return Container(
        service="node_exporter",
        command=(
            "--path.rootfs=/host",
            "--path.procfs=/host/proc",
            "--path.sysfs=/host/sys",
            "--path.udev.data=/host/run/udev/data",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in _COLLECTORS),
            f"--collector.filesystem.fs-types-exclude=^({_PSEUDO_FILESYSTEMS})$",
            f"--collector.filesystem.mount-points-exclude=^(/(dev|proc|run|sys|boot/efi|snap/.+)($|/)|{_layers(settings)})",
            "--collector.diskstats.device-exclude=^(z?ram|loop|fd|dm-|(h|s|v|xv)d[a-z]+|nvme\\d+n\\d+p)\\d+$",
            # This pattern always matches: the host's folder if it exists, and an empty one beside it. With a plain
            # name, a missing folder would be an error at each scrape, and could not be told from a file that cannot be
            # read.
            f"--collector.textfile.directory=/*{_TEXTFILES}",
            "--web.disable-exporter-metrics",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/"),
        mounts=(Mount("/", "/host"),),
        empty=(f"/empty{_TEXTFILES}",),
    )


def metric_relabel_configs() -> list[dict[str, Any]]:
    """Rules that keep two of several hundred ZFS series: those that show how much memory its cache can release."""
    return [
        {
            "source_labels": ["__name__"],
            "regex": "node_zfs_arc_(size|c_min)",
            "target_label": "__tmp_keep",
            "replacement": "yes",
        },
        {"source_labels": ["__name__", "__tmp_keep"], "regex": "node_zfs_.+;", "action": "drop"},
        {"regex": "__tmp_keep", "action": "labeldrop"},
    ]
