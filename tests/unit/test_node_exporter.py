"""node_exporter's flags: what it looks at on the host."""

import re
from pathlib import PurePosixPath

import pytest
import yaml

from config.container import Mount
from config.services.metrics.node_exporter import container, metric_relabel_configs
from tests.support.program import EVERYTHING, config_of, settings_of
from tests.unit.relabel import relabelled

COMMAND = container(settings_of()).command
FLAGS = dict(flag.partition("=")[::2] for flag in COMMAND)

COLLECTORS = {
    "bonding": "bonding",
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
    "netstat": "netstat",
    "network": "netdev",
    "nf": "conntrack",
    "pressure": "pressure",
    "processes": "processes",
    "systemd": "systemd",
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


def test_it_sees_the_hosts_files_and_the_network_of_the_hosts_first_process() -> None:
    assert container(settings_of()).mounts == (Mount("/", "/host"), Mount("/proc/1/net", "/host/proc/net"))
    paths = [value for flag, value in FLAGS.items() if flag.startswith("--path.")]
    assert len(paths) == 4
    assert all(path.startswith("/host") for path in paths)


@pytest.mark.parametrize("collector", ["netdev", "arp"])
def test_the_hosts_network_is_read_from_files_for_over_netlink_it_would_be_the_containers(collector: str) -> None:
    assert f"--collector.{collector}" in COMMAND
    assert f"--no-collector.{collector}.netlink" in COMMAND


@pytest.mark.parametrize("collector", ["tcpstat", "network_route", "qdisc", "wifi", "ethtool"])
def test_no_collector_asks_the_kernel_about_the_containers_own_network(collector: str) -> None:
    """They use netlink or ioctl (node_exporter 1.12, `collector/`)."""
    assert f"--collector.{collector}" not in COMMAND


@pytest.mark.parametrize(
    "flag",
    ["--collector.netdev.device-exclude", "--collector.netclass.ignored-devices", "--collector.arp.device-exclude"],
)
@pytest.mark.parametrize(
    ("interface", "hidden"),
    [
        *((name, False) for name in ("eth0", "ens3", "enp1s0", "wlan0", "wg0", "bond0", "lo", "br0", "br-lan")),
        *((name, True) for name in ("veth12ab", "br-0123456789ab", "docker0", "docker_gwbridge", "virbr0", "ifb0")),
    ],
)
def test_interfaces_of_the_engines_making_are_left_out(flag: str, interface: str, hidden: bool) -> None:  # noqa: FBT001
    assert excluded(flag, interface) is hidden


def test_it_asks_the_hosts_systemd_unless_the_host_has_none() -> None:
    assert "--collector.systemd" in COMMAND
    assert container(settings_of()).environment == {
        "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/host/run/dbus/system_bus_socket"
    }
    without = container(settings_of({"docker": {"systemd": False}}))
    assert "--collector.systemd" not in without.command
    assert not without.environment


def series(metric: str, **labels: str) -> dict[str, str] | None:
    """What becomes of a series of node_exporter."""
    return relabelled({"__name__": metric, **labels}, metric_relabel_configs())


def test_tracked_connections_are_counted_in_the_hosts_network_and_not_in_the_containers() -> None:
    assert series("node_nf_conntrack_entries") is None
    assert series("node_lnstat_entries_total", subsystem="nf_conntrack", cpu="0") == {
        "__name__": "node_nf_conntrack_entries"
    }
    assert series("node_lnstat_entries_total", subsystem="nf_conntrack", cpu="1") is None
    assert series("node_lnstat_entries_total", subsystem="arp_cache", cpu="0") is None
    assert series("node_nf_conntrack_entries_limit") == {"__name__": "node_nf_conntrack_entries_limit"}
    assert series("node_cpu_seconds_total", cpu="0") == {"__name__": "node_cpu_seconds_total", "cpu": "0"}


@pytest.mark.parametrize(
    ("state", "stays"),
    [("failed", True), ("active", True), ("inactive", False), ("activating", False), ("deactivating", False)],
)
def test_two_of_the_five_states_of_a_unit_are_kept(state: str, stays: bool) -> None:  # noqa: FBT001
    assert (series("node_systemd_unit_state", name="cron.service", state=state) is not None) is stays
    assert series("node_systemd_units", state=state)


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("node_zfs_arc_size", True),
        ("node_zfs_zpool_state", True),
        ("node_zfs_arc_c_min", True),
        ("node_zfs_abd_struct_size", False),
    ],
)
def test_the_series_of_the_cache_and_the_pools_of_zfs_are_kept(name: str, stays: bool) -> None:  # noqa: FBT001
    assert series(name) == ({"__name__": name} if stays else None)


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("process_resident_memory_bytes", True),
        ("go_goroutines", False),
        ("promhttp_metric_handler_requests_total", False),
    ],
)
def test_the_series_of_node_exporters_own_process_are_kept(name: str, stays: bool) -> None:  # noqa: FBT001
    assert (series(name) is not None) is stays
