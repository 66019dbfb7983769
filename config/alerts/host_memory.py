"""The host's memory, as node_exporter 1.12 reports it."""

from dataclasses import replace

from config.alerts.rule import Alert, RecordingRule, Rule, ratio
from config.settings.thresholds import Thresholds

_FELT = 0.001
"""Share of the time in which all processes wait for memory (PSI `full`). From here on users notice swapping. 250 pages a second
take a few microseconds each in compressed memory (zram, zswap), 0.1 % at most, and a hundred or more on a disk."""

# ZFS frees its cache on demand as the kernel does, but the kernel does not count that cache as available.
USED = RecordingRule(
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
)

FAULTY = Alert(
    name="HostMemoryFaulty",
    severity="warning",
    service="host",
    expr="""
    sum by (job, instance, service) (increase(node_edac_uncorrectable_errors_total{job="node_exporter"}[1h])) > 0
    """,
    summary='The host\'s memory had {{ printf "%.0f" $value }} errors that could not be corrected',
    description="A memory module is failing. The data in it was wrong: the kernel killed a process, or the process goes "
    "on with damaged data.",
)


def alerts(limits: Thresholds) -> tuple[Rule, ...]:
    high = Alert(
        name="HostMemoryHigh",
        severity="warning",
        service="host",
        wait="10m",
        expr=f"{USED.record} > {ratio(limits.memory)}",
        summary="The host uses {{ $value | humanizePercentage }} of its memory",
        description="Little memory is left for new work and for the page cache. When memory runs out, the kernel kills "
        "a process, and not always the one that used too much.",
    )
    return (
        high,
        # If the kernel measures pressure, full memory that no process waits for is no reason to wake anybody.
        replace(
            high,
            severity="critical",
            wait="5m",
            expr=f"""
            {USED.record} > {ratio(limits.memory_critical)}
            unless on (instance) node_pressure_memory_stalled_seconds_total{{job="node_exporter"}}
            """,
            description="Hardly any memory is left, and an out-of-memory kill is likely. This kernel does not measure "
            "how long processes wait for memory (PSI), so HostMemoryPressure cannot show how bad it is.",
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
            description="The host is thrashing: it spends its time looking for memory instead of working. Logins may "
            "already be slow. An out-of-memory kill is likely within minutes.",
        ),
        Alert(
            name="HostOomKill",
            severity="warning",
            service="host",
            expr='increase(node_vmstat_oom_kill{job="node_exporter"}[10m]) > 0',
            summary='The kernel killed {{ printf "%.0f" $value }} processes in ten minutes because memory ran out',
            description="The host or one container's limit had no memory left, so the kernel killed a process. If it "
            "was a container's main process, the container has restarted or is gone.",
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
            description="The kernel moves the same memory to disk and back: running processes use more memory than "
            "there is. All of them are slow while this lasts.",
        ),
    )
