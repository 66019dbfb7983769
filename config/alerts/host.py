"""The host: CPU, kernel, clock and network here, memory and disks in modules of their own.

The network is the root cgroup's, as cAdvisor measures it (`id="/"`). Everything else comes from node_exporter 1.12.
"""

from config.alerts import host_disks, host_memory
from config.alerts.rule import Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.alerts.thresholds import Thresholds

_LAYER_2 = 10
"""Packets per second that may be dropped on arrival and are no loss: since Linux 2.6.37 `rx_dropped` counts frames that no
protocol here takes too (spanning tree, LLDP, other VLANs), which a provider's network sends to every port."""

_INTERFACES = 'job="cadvisor",id="/",interface!~"(br-|docker|ifb|veth|virbr).*|lo"'
"""The host's own interfaces: Docker's bridges carry the same packets once more, under names that change."""

_CPU_USED = RecordingRule(
    "instance:node_cpu_used:ratio_rate5m",
    """
    1 - avg by (job, instance, service) (
      sum without (mode) (rate(node_cpu_seconds_total{job="node_exporter",mode=~"idle|iowait"}[5m]))
    )
    """,
)


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits, chosen = scope.thresholds, list[Rule]()
    if Job.NODE_EXPORTER in scope.watched:
        chosen += [_CPU_USED, host_memory.USED, host_disks.USED, *_load(limits), *host_memory.alerts(limits)]
        chosen += [*host_disks.alerts(limits), host_memory.FAULTY, *_kernel(limits), *_textfiles()]
    if Job.CADVISOR in scope.watched:
        chosen += _network(limits)
    return tuple(chosen)


def _load(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostCpuHigh",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"{_CPU_USED.record} > {ratio(limits.cpu)}",
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
