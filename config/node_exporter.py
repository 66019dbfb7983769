"""node_exporter: the host's processors, memory, disks and clock."""

import re
from typing import Any

from config.container import Container, Mount, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["node_exporter"]

# In the host's network it would be reachable from outside, so it stays in the stack's; the collectors that would then
# tell of the container's network instead of the host's are left out. The host's interfaces come from cAdvisor.
_COLLECTORS = (
     "cpu", "diskstats", "edac", "filefd", "filesystem", "hwmon", "loadavg", "mdadm", "meminfo", "os",
    "pressure", "stat", "textfile", "time", "timex", "uname", "vmstat", "zfs",
)  # fmt: skip
_PSEUDO_FILESYSTEMS = (
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|erofs|fuse\\..+|fusectl|hugetlbfs|iso9660|mqueue|nsfs|"
    "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tmpfs|tracefs"
)

_TEXTFILES = "/var/lib/node_exporter"
"""The host's folder for `*.prom` files of the user."""


def _layers(settings: Settings) -> str:
    """What the engine and its containerd mount for each container and layer, as a pattern. A disk of its own for volumes, or for
    all layers together, is none of them."""
    stores = r"(aufs|btrfs|containers|devicemapper|fuse-overlayfs|overlay2?|plugins|rootfs|vfs|zfs)/.+"
    return rf"{re.escape(settings.docker.data_root)}/{stores}|/.*/io\.containerd\.[^/]+/.+"


def container(settings: Settings) -> Container:
    """Sees the host's file systems read-only; neither the host's network nor its processes."""
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
            # A pattern that always finds a folder: the host's if there is one, beside an empty one. By its name, a missing one
            # would be an error at each scrape, and no file that cannot be read would be told from it.
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
    """ZFS has several hundred series; two are kept, which say how much of its cache gives way."""
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
