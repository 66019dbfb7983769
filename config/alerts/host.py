"""The host itself: CPU, memory, disks, clock, and its network as cAdvisor sees it.

Needs the collectors in `COLLECTORS` of node_exporter 1.12 and the root cgroup's network of cAdvisor (`id="/"`).
"""

from dataclasses import replace

from config.alerts.rule import Alert, Group, Job, RecordingRule, Rule, Watched, ratio
from config.settings.thresholds import Thresholds

COLLECTORS = (
    "cpu", "edac", "filefd", "filesystem", "mdadm", "meminfo", "pressure", "stat", "textfile", "timex", "vmstat", "zfs",
)  # fmt: skip
"""What these rules read; `stat` is where the boot time comes from."""

_DISKS = 'job="node_exporter",fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|autofs|fuse.lxcfs"'
"""File systems on disks: no memory, no images, no container layers (they are on one of the others)."""

_WRITABLE = f"unless on (job, instance, service, mountpoint) node_filesystem_readonly{{{_DISKS}}} == 1"
"""What is read-only cannot fill up: a DVD is full from the start."""

_BROKEN = "input/output error|structure needs cleaning|no such device|no such device or address|remote I/O error"
"""What the kernel answers (errno) about a file system whose disk is gone or damaged, when node_exporter asks for its size."""

_FELT = 0.001
"""Share of the time in which all processes wait for memory (PSI `full`) from where on swapping is felt. 250 pages a second in
compressed memory (zram, zswap) cost a few microseconds each, 0.1 % at most; on a disk, a hundred and more."""

_LAYER_2 = 10
"""Packets per second that may be dropped on arrival and are no loss: since Linux 2.6.37 `rx_dropped` counts frames that no
protocol here takes too (spanning tree, LLDP, other VLANs), which a provider's network sends to every port."""

_INTERFACES = 'job="cadvisor",id="/",interface!~"(br-|docker|ifb|veth|virbr).*|lo"'
"""The host's own interfaces: Docker's bridges carry the same packets once more, under names that change."""


def group(limits: Thresholds, watched: Watched) -> Group:
    rules: tuple[Rule, ...] = ()
    if Job.NODE_EXPORTER in watched:
        rules += _recordings() + _compute(limits) + _memory(limits) + _disks(limits) + _kernel(limits)
        rules += _textfiles()
    if Job.CADVISOR in watched:
        rules += _network(limits)
    return Group("host", rules)


def _recordings() -> tuple[Rule, ...]:
    return (
        RecordingRule(
            "instance:node_cpu_used:ratio_rate5m",
            """
            1 - avg by (job, instance, service) (
              sum without (mode) (rate(node_cpu_seconds_total{job="node_exporter",mode=~"idle|iowait"}[5m]))
            )
            """,
        ),
        # The cache of ZFS gives way like the kernel's own, and the kernel does not count it as available.
        RecordingRule(
            "instance:node_memory_used:ratio",
            """
            1 - (
              (
                node_memory_MemAvailable_bytes{job="node_exporter"}
                + clamp_min(node_zfs_arc_size{job="node_exporter"} - node_zfs_arc_c_min{job="node_exporter"}, 0)
              )
              or node_memory_MemAvailable_bytes{job="node_exporter"}
            ) / node_memory_MemTotal_bytes{job="node_exporter"}
            """,
        ),
        # As `df` counts: what only root may still use is no free space.
        RecordingRule(
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
        ),
    )


def _compute(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostCpuHigh",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"instance:node_cpu_used:ratio_rate5m > {ratio(limits.cpu)}",
            summary="CPU of the host is {{ $value | humanizePercentage }} in use",
            description="The host has had little CPU to spare for ten minutes: everything on it answers later. "
            "If it stays like this, requests queue up and time out.",
        ),
        Alert(
            name="HostCpuStolen",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            avg by (job, instance, service) (rate(node_cpu_seconds_total{{job="node_exporter",mode="steal"}}[5m]))
              > {ratio(limits.cpu_steal)}
            """,
            summary="The hypervisor keeps {{ $value | humanizePercentage }} of the CPU from this host",
            description="Other guests on the same machine, or the plan's CPU allowance, take time that this host asked "
            "for. Nothing on the host itself can mend that: the provider can.",
        ),
        Alert(
            name="HostIoPressure",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            rate(node_pressure_io_stalled_seconds_total{{job="node_exporter"}}[5m]) > {ratio(limits.io_stalled)}
            or (
              avg by (job, instance, service) (rate(node_cpu_seconds_total{{job="node_exporter",mode="iowait"}}[5m]))
                > {ratio(limits.io_stalled)}
              unless on (instance) node_pressure_io_stalled_seconds_total{{job="node_exporter"}}
            )
            """,
            summary="Everything waits for the disk {{ $value | humanizePercentage }} of the time",
            description="In this share of the time no process could go on because all waited for disk I/O. Databases "
            "and Prometheus' own storage feel it first. A kernel without PSI tells the CPU's time spent on waiting instead.",
        ),
    )


def _memory(limits: Thresholds) -> tuple[Rule, ...]:
    high = Alert(
        name="HostMemoryHigh",
        severity="warning",
        service="host",
        wait="10m",
        expr=f"instance:node_memory_used:ratio > {ratio(limits.memory)}",
        summary="Memory of the host is {{ $value | humanizePercentage }} in use",
        description="Little memory is left for new work and for the page cache. When it runs out the kernel kills "
        "a process, and not always the one that is to blame.",
    )
    return (
        high,
        # Where the kernel measures pressure, a full memory that nobody waits for is no reason to get up.
        replace(
            high,
            severity="critical",
            wait="5m",
            expr=f"""
            instance:node_memory_used:ratio > {ratio(limits.memory_critical)}
            unless on (instance) node_pressure_memory_stalled_seconds_total{{job="node_exporter"}}
            """,
            description="Hardly any memory is left, and an out-of-memory kill is likely. This kernel does not measure how "
            "long processes wait for memory (PSI), so HostMemoryPressure cannot tell how bad it is.",
        ),
        Alert(
            name="HostMemoryPressure",
            severity="critical",
            service="host",
            wait="5m",
            expr=f"""
            rate(node_pressure_memory_stalled_seconds_total{{job="node_exporter"}}[5m])
              > {ratio(limits.memory_stalled)}
            """,
            summary="Everything waits for memory {{ $value | humanizePercentage }} of the time",
            description="The host spends its time on finding memory instead of working: it is thrashing. Logging in may "
            "already be slow, and an out-of-memory kill is likely within minutes.",
        ),
        Alert(
            name="HostOomKill",
            severity="warning",
            service="host",
            expr='increase(node_vmstat_oom_kill{job="node_exporter"}[10m]) > 0',
            summary='The kernel killed {{ printf "%.0f" $value }} processes for want of memory in ten minutes',
            description="A process was killed because the host, or one container's limit, had no memory left. If it was "
            "a container's main process the container restarted or is gone.",
        ),
        Alert(
            name="HostSwapping",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"""
            rate(node_vmstat_pswpin{{job="node_exporter"}}[5m]) > {limits.swap_pages:g}
            and rate(node_vmstat_pswpout{{job="node_exporter"}}[5m]) > {limits.swap_pages:g}
            unless on (instance) rate(node_pressure_memory_stalled_seconds_total{{job="node_exporter"}}[5m]) < {_FELT}
            """,
            summary="The host swaps {{ $value | humanize }} pages a second in, and as many out",
            description="The same memory is moved to disk and back: there is less memory than the running processes use. "
            "All of them are slow while it lasts.",
        ),
    )


def _disks(limits: Thresholds) -> tuple[Rule, ...]:
    used = "instance_mountpoint:node_filesystem_used:ratio"
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
    """Disks and memory that fail while nothing else shows it: the next fault loses data."""
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
        Alert(
            name="HostMemoryFaulty",
            severity="warning",
            service="host",
            expr="""
            sum by (job, instance, service) (increase(node_edac_uncorrectable_errors_total{job="node_exporter"}[1h])) > 0
            """,
            summary='The memory of the host had {{ printf "%.0f" $value }} errors that could not be corrected',
            description="A memory module is failing. What was in it is wrong: a process was killed, or goes on with damaged "
            "data.",
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
    and on (job, instance, service, mountpoint) instance_mountpoint:node_filesystem_used:ratio > {ratio(used)}
    and on (job, instance, service, mountpoint) node_filesystem_avail_bytes{{{_DISKS}}} offset {known_for}
    """


def _kernel(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostFileDescriptorsLow",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"""
            node_filefd_allocated{{job="node_exporter"}} / node_filefd_maximum{{job="node_exporter"}}
              > {ratio(limits.file_descriptors)}
            """,
            summary="The kernel has given out {{ $value | humanizePercentage }} of its file handles",
            description="When none is left, no process can open a file or accept a connection. Some process opens "
            "without closing.",
        ),
        # 16 s is what the kernel says when nothing has disciplined the clock for long (NTP_PHASE_LIMIT, adjtimex(2)).
        Alert(
            name="HostClockSkewed",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"""
            abs(node_timex_offset_seconds{{job="node_exporter"}}) > {limits.clock_offset}
            or (
              node_timex_maxerror_seconds{{job="node_exporter"}} >= 16
              and on (job, instance) max_over_time(node_timex_sync_status{{job="node_exporter"}}[5m]) == 0
            )
            """,
            summary="The clock is off, or nobody keeps it: {{ $value | humanizeDuration }}",
            description="Traces, logs and metrics no longer line up, tokens and certificates are judged by a wrong time, "
            "and samples may be refused as out of order. The value is the offset, or 16 s and more without any source.",
        ),
        Alert(
            name="HostRebooted",
            severity="info",
            service="host",
            expr='time() - node_boot_time_seconds{job="node_exporter"} < 15m',
            summary="The host started {{ $value | humanizeDuration }} ago",
            description="Planned or not: every service went down with it. If nobody did this on purpose, the previous "
            "boot's kernel log says why.",
        ),
    )


def _textfiles() -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostTextfileUnread",
            severity="warning",
            service="host",
            wait="15m",
            expr='node_textfile_scrape_error{job="node_exporter"} == 1',
            summary="A file with metrics of the host cannot be read",
            description="node_exporter finds a file in /var/lib/node_exporter that it may not open, that is no metrics, or that "
            "repeats those of another one. What the file tells is missing, and alerts made of it are silent.",
        ),
    )


def _network(limits: Thresholds) -> tuple[Rule, ...]:
    def rate(way: str, kind: str) -> str:
        return f"rate(container_network_{way}_{kind}{{{_INTERFACES}}}[5m])"

    def packets(kind: str) -> str:
        return f"{rate('receive', kind)}\n                + {rate('transmit', kind)}"

    return (
        Alert(
            name="HostNetworkErrors",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            max by (job, instance, service, interface) (
              (
                {packets("errors_total")}
                + {rate("transmit", "packets_dropped_total")}
                + clamp_min({rate("receive", "packets_dropped_total")} - {_LAYER_2}, 0)
              ) / (
                {packets("packets_total")}
                > 10
              )
            ) > {ratio(limits.network_errors)}
            """,
            summary="{{ $labels.interface }} loses {{ $value | humanizePercentage }} of its packets",
            description="Packets are damaged or dropped on the way in or out of the host: connections stall and are "
            "repeated. Judged from ten packets a second on; of those dropped on arrival, ten a second are no loss.",
        ),
    )
