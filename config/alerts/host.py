"""The host: CPU, kernel, clock and network here, memory and disks in modules of their own.

The network is the root cgroup's, as cAdvisor measures it (`id="/"`). Everything else comes from node_exporter 1.12.
"""

from config.alerts import host_disks, host_memory
from config.alerts.rule import Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_LAYER_2 = 10
"""Packets per second dropped on arrival that are no loss. Since Linux 2.6.37 `rx_dropped` also counts frames of protocols that
the host does not use (spanning tree, LLDP, other VLANs). A provider's network sends them to every port."""

_INTERFACES = 'job="cadvisor",id="/",interface!~"(br-|docker|ifb|veth|virbr).*|lo"'
"""The host's own interfaces. Docker's bridges carry the same packets again, under names that change."""

_CPU_USED = RecordingRule(
    "instance:node_cpu_used:ratio_rate5m",
    """
    1 - avg by (job, instance, service) (
      sum without (mode) (rate(node_cpu_seconds_total{job="node_exporter",mode=~"idle|iowait"}[5m]))
    )
    """,
)


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits, host_rules = scope.thresholds, list[Rule]()
    if Job.NODE_EXPORTER in scope.watched:
        host_rules += [_CPU_USED, host_memory.USED, host_disks.USED, *_load(limits), *host_memory.alerts(limits)]
        host_rules += [*host_disks.alerts(limits), host_memory.FAULTY, *_kernel(limits), *_textfiles()]
    if Job.CADVISOR in scope.watched:
        host_rules += _network(limits)
    return tuple(host_rules)


def _load(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostCpuHigh",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"{_CPU_USED.record} > {ratio(limits.cpu)}",
            summary="The host uses {{ $value | humanizePercentage }} of its CPU",
            description="The host has had little CPU to spare for ten minutes, so every service on it is slower. If "
            "this goes on, requests queue up and time out.",
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
            summary="The hypervisor takes {{ $value | humanizePercentage }} of this host's CPU",
            description="The host waits for CPU time that goes to other guests on the same machine, or that the plan's "
            "allowance no longer covers. You cannot fix this on the host. The provider can.",
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
            description="During this share of the time every process waited for disk I/O. Databases and Prometheus' own "
            "storage suffer first. A kernel without PSI reports the CPU time spent waiting instead.",
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
            summary="The kernel has {{ $value | humanizePercentage }} of its file handles in use",
            description="When none is left, no process can open a file or accept a connection. Some process opens files "
            "and does not close them.",
        ),
        # The kernel reports an error of 16 s if nothing has synchronised the clock for long (NTP_PHASE_LIMIT, adjtimex(2)).
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
            summary="The host's clock is wrong or not synchronised: {{ $value | humanizeDuration }}",
            description="Traces, logs and metrics no longer line up, tokens and certificates are checked against a "
            "wrong time, and Prometheus may refuse samples as out of order. The value is the offset, or at "
            "least 16 s if the clock has no time source.",
        ),
        Alert(
            name="HostRebooted",
            severity="info",
            service="host",
            expr='time() - node_boot_time_seconds{job="node_exporter"} < 15m',
            summary="The host started {{ $value | humanizeDuration }} ago",
            description="Every service stopped with it. If nobody planned this, look for the reason in the kernel log "
            "of the previous boot.",
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
            summary="node_exporter cannot read a file with metrics of the host",
            description="A file in /var/lib/node_exporter is not readable, does not hold metrics, or repeats those of "
            "another file. Its metrics are missing, and alerts that need them cannot fire.",
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
            description="The host damages or drops packets on the way in or out, so connections stall and repeat what "
            "was lost. The alert needs ten packets a second. Of the packets dropped on arrival, it ignores "
            "ten a second.",
        ),
    )
