"""The host itself: CPU, memory, disks, clock, and its network as cAdvisor sees it.

Needs the collectors in `COLLECTORS` of node_exporter 1.12 and the root cgroup's network of cAdvisor (`id="/"`).
"""

from config.alerts.rule import Alert, Group, Job, RecordingRule, Rule, Watched, ratio
from config.alerts.thresholds import Thresholds

COLLECTORS = ("cpu", "filefd", "filesystem", "meminfo", "pressure", "stat", "textfile", "timex", "vmstat")
"""What these rules read; `stat` is where the boot time comes from."""

_DISKS = 'job="node_exporter",fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|autofs|fuse.lxcfs"'
"""File systems that can fill up: no memory, no read-only images, no container layers (they are on one of the others)."""

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
        RecordingRule(
            "instance:node_memory_used:ratio",
            """
            1 - node_memory_MemAvailable_bytes{job="node_exporter"}
              / node_memory_MemTotal_bytes{job="node_exporter"}
            """,
        ),
        # As `df` counts: what only root may still use is no free space.
        RecordingRule(
            "instance_mountpoint:node_filesystem_used:ratio",
            f"""
            max by (job, instance, service, mountpoint) (
              1 - node_filesystem_avail_bytes{{{_DISKS}}}
                / (node_filesystem_size_bytes - node_filesystem_free_bytes + node_filesystem_avail_bytes > 0)
            )
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
            """,
            summary="Everything waits for the disk {{ $value | humanizePercentage }} of the time",
            description="In this share of the time no process could go on because all waited for disk I/O. Databases "
            "and Prometheus' own storage feel it first.",
        ),
    )


def _memory(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostMemoryHigh",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"instance:node_memory_used:ratio > {ratio(limits.memory)}",
            summary="Memory of the host is {{ $value | humanizePercentage }} in use",
            description="Little memory is left for new work and for the page cache. When it runs out the kernel kills "
            "a process, and not always the one that is to blame.",
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
    critical = Alert(
        name=full.name,
        severity="critical",
        service="host",
        wait="5m",
        expr=f"{used} > {ratio(limits.disk_critical)}",
        summary=full.summary,
        description=full.description,
    )
    return (
        full,
        critical,
        Alert(
            name="HostDiskFillsUp",
            severity="warning",
            service="host",
            wait="30m",
            expr=_full_within(limits.disk_fills, judged_by="6h", known_for="3h"),
            summary=f"{{{{ $labels.mountpoint }}}} will be full in less than {limits.disk_fills}",
            description="At the pace of the last six hours the file system runs out of space in the time named. "
            "There is time to find out what grows.",
        ),
        Alert(
            name="HostDiskFillsUp",
            severity="critical",
            service="host",
            wait="15m",
            expr=_full_within(limits.disk_fills_critical, judged_by="1h", known_for="30m"),
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
              1 - node_filesystem_files_free{{{_DISKS}}} / (node_filesystem_files > 0)
            ) > {ratio(limits.inodes)}
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
              and min_over_time(node_filesystem_readonly[1d]) == 0
            )
            """,
            summary="{{ $labels.mountpoint }} has become read-only",
            description="The kernel remounts a file system read-only when the disk reports errors. Everything that "
            "writes there fails now, and the disk may be dying.",
        ),
    )


def _full_within(span: str, *, judged_by: str, known_for: str) -> str:
    """Half full, and heading for full. A line through the first minutes after an install would say anything."""
    return f"""
    min by (job, instance, service, mountpoint) (
      predict_linear(node_filesystem_avail_bytes{{{_DISKS}}}[{judged_by}], {span})
    ) < 0
    and on (job, instance, service, mountpoint) instance_mountpoint:node_filesystem_used:ratio > 0.5
    and on (job, instance, service, mountpoint) node_filesystem_avail_bytes offset {known_for}
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
    def packets(kind: str) -> str:
        received, sent = (
            f"rate(container_network_{way}_{kind}{{{_INTERFACES}}}[5m])" for way in ("receive", "transmit")
        )
        return f"{received}\n                + {sent}"

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
                + {packets("packets_dropped_total")}
              ) / (
                {packets("packets_total")}
                > 10
              )
            ) > {ratio(limits.network_errors)}
            """,
            summary="{{ $labels.interface }} loses {{ $value | humanizePercentage }} of its packets",
            description="Packets are damaged or dropped on the way in or out of the host: connections stall and are "
            "repeated. Judged from ten packets a second on.",
        ),
    )
