"""The host's disks and file systems, as node_exporter 1.12 reports them."""

from dataclasses import replace

from config.alerts.rule import Alert, RecordingRule, Rule, ratio
from config.settings.thresholds import Thresholds

_DISKS = 'job="node_exporter",fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|autofs|fuse.lxcfs"'
"""File systems on disks, without those in memory, images and container layers (a layer is on one of the others)."""

_WRITABLE = f"unless on (job, instance, service, mountpoint) node_filesystem_readonly{{{_DISKS}}} == 1"
"""A read-only file system cannot fill up: a DVD is full from the start."""

_BROKEN = "input/output error|structure needs cleaning|no such device|no such device or address|remote I/O error"
"""The kernel's errors (errno) when node_exporter asks for the size of a file system whose disk is gone or damaged."""

# As `df` counts: space reserved for root is not free.
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
        "start. Free space now, while you still can.",
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
            description="At the pace of the last six hours the file system will be full within the time named. You have "
            "time to find out what grows.",
        ),
        Alert(
            name="HostDiskFillsUp",
            severity="critical",
            service="host",
            wait="15m",
            expr=_full_within(limits.disk_fills_critical, judged_by="1h", known_for="30m", used=_NO_DUMP),
            summary=f"{{{{ $labels.mountpoint }}}} will be full in less than {limits.disk_fills_critical}",
            description="At the pace of the last hour the file system will be full within the time named. Something "
            "writes without end: a log, a dump or a runaway query.",
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
            description="When all inodes are used, nobody can create a file, however much space is left. Many small "
            "files cause this: sessions, mail queues, image layers.",
        ),
        # A mount that is read-only on purpose has not been writable within the last day.
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
            description="The kernel remounts a file system read-only when the disk reports errors. Every write there "
            "fails now, and the disk may be dying.",
        ),
        *_unreadable(),
        *_redundancy(),
    )


def _unreadable() -> tuple[Rule, Rule]:
    """node_exporter has no other series for a file system whose size it cannot read, so no other rule covers it."""

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
        description="The disk is gone or damaged, or the file system has shut itself down to protect its data. Every "
        "read and write there fails.",
    )
    return broken, replace(
        broken,
        severity="warning",
        wait="15m",
        expr=error(f'device_error!~"{_BROKEN}|"'),
        summary="{{ $labels.mountpoint }} is not watched: {{ $labels.device_error }}",
        description="node_exporter may not or cannot look there. Nobody will be told when this file system is full or "
        "has become read-only.",
    )


def _redundancy() -> tuple[Rule, ...]:
    """Arrays that have lost a disk. Nothing else shows it, and the next failure loses data."""
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
            summary='{{ $labels.device }} is missing {{ printf "%.0f" $value }} of its disks',
            description="The array works without them, or has stopped. The other disks are often of the same age. If "
            "one more fails before you replace the first, the data is lost.",
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
            description="A spare has taken over, so the array is complete. There may be no spare for the next failure.",
        ),
        Alert(
            name="HostZfsPoolDegraded",
            severity="critical",
            service="host",
            wait="5m",
            expr="""
            max by (job, instance, service, zpool, state) (
              node_zfs_zpool_state{job="node_exporter",state!="online"}
            ) == 1
            """,
            summary="The ZFS pool {{ $labels.zpool }} is {{ $labels.state }}",
            description="A degraded pool works without a disk, and the next failure may lose data. In any other state "
            "nobody can read or write there.",
        ),
    )


_NO_DUMP = 85
"""Percent in use from which a disk that fills up is worth waking somebody. Below, a nightly dump looks the same for an hour and
then goes away by itself. Above, there is still time left at the measured pace."""


def _full_within(span: str, *, judged_by: str, known_for: str, used: float) -> str:
    """An expression: more than `used` percent full, and full within `span` at the pace of `judged_by`.

    The file system must be known for `known_for`: a trend through the first minutes after an install means nothing.
    """
    return f"""
    min by (job, instance, service, mountpoint) (
      predict_linear(node_filesystem_avail_bytes{{{_DISKS}}}[{judged_by}], {span})
    ) < 0
    and on (job, instance, service, mountpoint) {USED.record} > {ratio(used)}
    and on (job, instance, service, mountpoint) node_filesystem_avail_bytes{{{_DISKS}}} offset {known_for}
    """
