"""The host's disks and file systems, by node_exporter 1.12."""

from dataclasses import replace

from config.alerts.rule import Alert, RecordingRule, Rule, ratio
from config.alerts.thresholds import Thresholds

_DISKS = 'job="node_exporter",fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|autofs|fuse.lxcfs"'
"""File systems on disks: no memory, no images, no container layers (they are on one of the others)."""

_WRITABLE = f"unless on (job, instance, service, mountpoint) node_filesystem_readonly{{{_DISKS}}} == 1"
"""What is read-only cannot fill up: a DVD is full from the start."""

_BROKEN = "input/output error|structure needs cleaning|no such device|no such device or address|remote I/O error"
"""What the kernel answers (errno) about a file system whose disk is gone or damaged, when node_exporter asks for its size."""

# As `df` counts: what only root may still use is no free space.
USED = RecordingRule(
    "instance_mountpoint:node_filesystem_used:ratio",
    f"""
    max by (job, instance, service, mountpoint) (
      1 - node_filesystem_avail_bytes{{{_DISKS}}}
        / (
          node_filesystem_size_bytes{{{_DISKS}}} - node_filesystem_free_bytes{{{_DISKS}}}
            + node_filesystem_avail_bytes{{{_DISKS}}} > 0
        )
    ) {_WRITABLE}
    """,
)


def alerts(limits: Thresholds) -> tuple[Rule, ...]:
    used = USED.record
    full = Alert(
        name="HostDiskFull",
        severity="warning",
        service="host",
        wait="5m",
        expr=f"{used} > {ratio(limits.disk)}",
        summary="{{ $labels.mountpoint }} is {{ $value | humanizePercentage }} full",
        description="When the disk is full, databases stop writing, Prometheus stops storing and containers fail to "
        "start. Deleting is easier while there is room left.",
    )
    critical = replace(full, severity="critical", expr=f"{used} > {ratio(limits.disk_critical)}")
    return (
        full,
        critical,
        Alert(
            name="HostDiskFillsUp",
            severity="warning",
            service="host",
            wait="30m",
            expr=_full_within(limits.disk_fills, judged_by="6h", known_for="3h", used=50),
            summary=f"{{{{ $labels.mountpoint }}}} will be full in less than {limits.disk_fills}",
            description="At the pace of the last six hours the file system runs out of space in the time named. "
            "There is time to find out what grows.",
        ),
        Alert(
            name="HostDiskFillsUp",
            severity="critical",
            service="host",
            wait="15m",
            expr=_full_within(limits.disk_fills_critical, judged_by="1h", known_for="30m", used=_NO_DUMP),
            summary=f"{{{{ $labels.mountpoint }}}} will be full in less than {limits.disk_fills_critical}",
            description="At the pace of the last hour the file system runs out of space in the time named. "
            "Something writes without end: a log, a dump, a runaway query.",
        ),
        Alert(
            name="HostInodesLow",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            max by (job, instance, service, mountpoint) (
              1 - node_filesystem_files_free{{{_DISKS}}} / (node_filesystem_files{{{_DISKS}}} > 0)
            ) > {ratio(limits.inodes)}
            {_WRITABLE}
            """,
            summary="{{ $labels.mountpoint }} has used {{ $value | humanizePercentage }} of its inodes",
            description="No new file can be created once all inodes are used, whatever space is left. Many small files "
            "do this: sessions, mail queues, image layers.",
        ),
        # Mounts that are read-only on purpose were never writable within the last day.
        Alert(
            name="HostFilesystemReadOnly",
            severity="critical",
            service="host",
            wait="1m",
            expr=f"""
            max by (job, instance, service, mountpoint) (
              node_filesystem_readonly{{{_DISKS}}} == 1
              and min_over_time(node_filesystem_readonly{{{_DISKS}}}[1d]) == 0
            )
            """,
            summary="{{ $labels.mountpoint }} has become read-only",
            description="The kernel remounts a file system read-only when the disk reports errors. Everything that "
            "writes there fails now, and the disk may be dying.",
        ),
        *_unreadable(),
        *_redundancy(),
    )


def _unreadable() -> tuple[Rule, Rule]:
    """node_exporter has no other series of a file system whose size it cannot read, so no other rule speaks of it."""

    def error(which: str) -> str:
        return f"""
            max by (job, instance, service, mountpoint, device_error) (
              node_filesystem_device_error{{{_DISKS},{which}}}
            ) == 1
            """

    broken = Alert(
        name="HostFilesystemUnreadable",
        severity="critical",
        service="host",
        wait="2m",
        expr=error(f'device_error=~"{_BROKEN}"'),
        summary="{{ $labels.mountpoint }} cannot be read: {{ $labels.device_error }}",
        description="The disk is gone or damaged, or the file system has shut itself down to save what is there. Everything "
        "that reads or writes there fails.",
    )
    return broken, replace(
        broken,
        severity="warning",
        wait="15m",
        expr=error(f'device_error!~"{_BROKEN}|"'),
        summary="{{ $labels.mountpoint }} is not watched: {{ $labels.device_error }}",
        description="node_exporter may not or cannot look there, so nobody will be told when this file system is full or has "
        "become read-only.",
    )


def _redundancy() -> tuple[Rule, ...]:
    """Arrays that have lost a disk while nothing else shows it: the next fault loses data."""
    by = "by (job, instance, service, device)"
    disks, needed, state = (f'node_md_{what}{{job="node_exporter"%s}}' for what in ("disks", "disks_required", "state"))
    degraded = f"""
            max {by} ({needed % ""}) - max {by} ({disks % ',state="active"'}) > 0
            or max {by} ({state % ',state="inactive"'}) == 1
            """
    return (
        Alert(
            name="HostRaidDegraded",
            severity="critical",
            service="host",
            wait="5m",
            expr=degraded,
            summary='{{ $labels.device }} lacks {{ printf "%.0f" $value }} of its disks',
            description="The array works without them, or has stopped. The disks that are left are often of the same age: "
            "when one more fails before the first is replaced, the data is gone.",
        ),
        Alert(
            name="HostRaidDiskFailed",
            severity="warning",
            service="host",
            wait="5m",
            expr=f"""
            max {by} ({disks % ',state="failed"'}) > 0
            unless (
              {degraded.strip()}
            )
            """,
            summary='{{ $labels.device }} has {{ printf "%.0f" $value }} failed disks',
            description="A spare has taken over, so the array is whole. There may be no spare for the next one.",
        ),
    )


_NO_DUMP = 85
"""Percent in use, from where on a disk that fills is worth a night's sleep. Below, a nightly dump looks the same for an hour
and is deleted by itself; between here and full there is still time, at the pace that it is judged by."""


def _full_within(span: str, *, judged_by: str, known_for: str, used: float) -> str:
    """More than `used` percent full, and heading for full. A line through the first minutes after an install would say
    anything."""
    return f"""
    min by (job, instance, service, mountpoint) (
      predict_linear(node_filesystem_avail_bytes{{{_DISKS}}}[{judged_by}], {span})
    ) < 0
    and on (job, instance, service, mountpoint) {USED.record} > {ratio(used)}
    and on (job, instance, service, mountpoint) node_filesystem_avail_bytes{{{_DISKS}}} offset {known_for}
    """
