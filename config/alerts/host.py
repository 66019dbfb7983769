"""The host, as node_exporter 1.12 reports it: CPU, kernel, clock and units here, memory, disks and network in modules of their
own.
"""

from config.alerts import host_disks, host_memory, host_network
from config.alerts.rule import Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

CPU_USED = RecordingRule(
    "instance:node_cpu_used:ratio_rate5m",
    """
    1 - avg by (job, instance, service) (
      sum without (mode) (rate(node_cpu_seconds_total{job="node_exporter",mode=~"idle|iowait"}[5m]))
    )
    """,
)


def rules(scope: Scope) -> tuple[Rule, ...]:
    if Job.NODE_EXPORTER not in scope.watched:
        return ()
    limits = scope.thresholds
    return (
        *(CPU_USED, host_memory.USED, host_disks.USED),
        *_load(limits),
        *host_memory.alerts(limits),
        *host_disks.alerts(limits),
        host_memory.FAULTY,
        *_kernel(limits),
        *_units(limits),
        *_textfiles(),
        *host_network.alerts(limits),
    )


def _load(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostCpuHigh",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"{CPU_USED.record} > {ratio(limits.cpu)}",
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
        # `pid_max` counts threads too (proc(5)).
        Alert(
            name="HostThreadsHigh",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"""
            node_processes_threads{{job="node_exporter"}} / (
              node_processes_max_processes{{job="node_exporter"}} < node_processes_max_threads{{job="node_exporter"}}
              or node_processes_max_threads{{job="node_exporter"}}
            ) > {ratio(limits.threads)}
            """,
            summary="The host has {{ $value | humanizePercentage }} of its processes and threads",
            description="When none is left, no program can start a process or a thread, and nobody can log in. Some "
            "program starts them and does not end them.",
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


def _units(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HostUnitFailed",
            severity="warning",
            service="host",
            wait="15m",
            expr="""
            max by (job, instance, service, name) (
              node_systemd_unit_state{job="node_exporter",state="failed"}
            ) == 1
            """,
            summary="systemd's unit {{ $labels.name }} has failed",
            description="A service, timer or socket of the host has ended with an error, and systemd does not start it "
            "again. It may be a backup or the renewal of a certificate.",
        ),
        Alert(
            name="HostUnitRestarting",
            severity="warning",
            service="host",
            expr=f"""
            max by (job, instance, service, name) (
              increase(node_systemd_service_restart_total{{job="node_exporter"}}[15m])
            ) >= {limits.unit_restarts}
            """,
            summary='systemd has restarted {{ $labels.name }} {{ printf "%.0f" $value }} times in 15 minutes',
            description="The service of the host starts, dies and is started again. While systemd goes on trying, the "
            "unit does not count as failed.",
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
