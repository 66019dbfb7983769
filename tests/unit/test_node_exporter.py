"""node_exporter's flags: what it looks at on the host."""

import re
from pathlib import PurePosixPath

import pytest
import yaml

from config.container import Mount
from config.services.metrics.node_exporter import container
from tests.support.program import EVERYTHING, config_of, settings_of

COMMAND = container(settings_of()).command
FLAGS = dict(flag.partition("=")[::2] for flag in COMMAND)

COLLECTORS = {
    "boot": "stat",
    "cpu": "cpu",
    "disk": "diskstats",
    "edac": "edac",
    "filefd": "filefd",
    "filesystem": "filesystem",
    "hwmon": "hwmon",
    "load1": "loadavg",
    "md": "mdadm",
    "memory": "meminfo",
    "pressure": "pressure",
    "textfile": "textfile",
    "time": "time",
    "timex": "timex",
    "uname": "uname",
    "vmstat": "vmstat",
    "zfs": "zfs",
}
"""Second word of a metric's name → the collector that makes it, on Linux."""


def test_every_collector_that_the_alerts_read_from_is_on_and_no_default_is() -> None:
    texts = [text for name, text in config_of("prometheus", settings_of(EVERYTHING)).files.items() if "rules/" in name]
    rules = [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    recorded = {word for rule in rules for word in rule.get("record", "").split(":")}
    read = {name for rule in rules for name in re.findall(r"\bnode_\w+", rule["expr"])} - recorded - {"node_exporter"}
    needed = {COLLECTORS[name.split("_")[1]] for name in read}
    assert len(needed) >= 6
    assert "--collector.disable-defaults" in COMMAND
    assert {name for name in needed if f"--collector.{name}" not in COMMAND} == set()


def excluded(flag: str, value: str) -> bool:
    return bool(re.search(FLAGS[flag], value))


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/", False),
        ("/home", False),
        ("/data", False),
        ("/boot", False),
        ("/var/lib/docker", False),
        ("/developer", False),
        ("/var/lib/docker/overlay2/abc/merged", True),
        ("/var/lib/docker/containers/abc/mounts/shm", True),
        ("/var/lib/docker/zfs/graph/0af1", True),
        ("/var/lib/docker/btrfs/subvolumes/0af1", True),
        ("/var/lib/docker/containerd/daemon/io.containerd.snapshotter.v1.zfs/snapshots/7", True),
        ("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs", True),
        ("/var/lib/docker/volumes", False),
        ("/var/lib/docker/volumes/pgdata/_data", False),
        ("/var/lib/docker/overlay2", False),
        ("/var/lib/containerd", False),
        ("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs", False),
        ("/run/user/1000", True),
        ("/run", True),
        ("/proc/sys/fs/binfmt_misc", True),
        ("/sys/kernel/debug", True),
        ("/dev/shm", True),  # noqa: S108 - a mount point of the host
        ("/boot/efi", True),
        ("/snap/core/1", True),
    ],
)
def test_disks_are_watched_and_what_is_mounted_for_containers_is_not(path: str, hidden: bool) -> None:  # noqa: FBT001
    assert excluded("--collector.filesystem.mount-points-exclude", path) is hidden


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/data/docker", False),
        ("/data/docker/volumes/pgdata/_data", False),
        ("/data/docker/zfs/graph/0af1", True),
        ("/data/docker/btrfs/subvolumes/0af1", True),
        ("/data/docker/overlay2/abc/merged", True),
    ],
)
def test_layers_are_left_out_wherever_the_engine_keeps_them(path: str, hidden: bool) -> None:  # noqa: FBT001
    command = container(settings_of({"docker": {"data_root": "/data/docker"}})).command
    [pattern] = [flag.partition("=")[2] for flag in command if "mount-points-exclude" in flag]
    assert bool(re.search(pattern, path)) is hidden


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [
        *((kind, False) for kind in ("ext4", "xfs", "btrfs", "vfat", "zfs", "nfs4", "fuseblk")),
        *((kind, True) for kind in ("tmpfs", "overlay", "proc", "cgroup", "cgroup2", "fuse.lxcfs", "fuse.mergerfs")),
    ],
)
def test_file_systems_without_a_disk_are_left_out(kind: str, hidden: bool) -> None:  # noqa: FBT001
    assert excluded("--collector.filesystem.fs-types-exclude", kind) is hidden


@pytest.mark.parametrize(
    ("device", "hidden"),
    [
        *((device, False) for device in ("sda", "vda", "xvda", "nvme0n1", "md0")),
        *(
            (device, True)
            for device in ("sda1", "vda15", "xvda1", "nvme0n1p2", "loop0", "dm-0", "ram0", "zram0", "fd0")
        ),
    ],
)
def test_disks_are_counted_once_and_not_by_partition(device: str, hidden: bool) -> None:  # noqa: FBT001
    assert excluded("--collector.diskstats.device-exclude", device) is hidden


def test_a_host_without_the_folder_for_text_files_is_no_error_and_one_that_gets_it_later_needs_no_restart() -> None:
    """It logs an error at each scrape where its pattern finds nothing (node_exporter 1.12, `textfile.go`)."""
    pattern, [empty] = FLAGS["--collector.textfile.directory"], container(settings_of()).empty
    assert PurePosixPath(empty).match(pattern)
    assert PurePosixPath("/host/var/lib/node_exporter").match(pattern)


def test_it_sees_the_host_through_one_window() -> None:
    assert container(settings_of()).mounts == (Mount("/", "/host"),)
    paths = [value for flag, value in FLAGS.items() if flag.startswith("--path.")]
    assert len(paths) == 4
    assert all(path.startswith("/host") for path in paths)
