"""The host's memory, by node_exporter 1.12."""

from dataclasses import replace

from config.alerts.rule import Alert, RecordingRule, Rule, ratio
from config.alerts.thresholds import Thresholds

_FELT = 0.001
"""Share of the time in which all processes wait for memory (PSI `full`) from where on swapping is felt. 250 pages a second in
compressed memory (zram, zswap) cost a few microseconds each, 0.1 % at most; on a disk, a hundred and more."""

# The cache of ZFS gives way like the kernel's own, and the kernel does not count it as available.
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
    summary='The memory of the host had {{ printf "%.0f" $value }} errors that could not be corrected',
    description="A memory module is failing. What was in it is wrong: a process was killed, or goes on with damaged "
    "data.",
)


def alerts(limits: Thresholds) -> tuple[Rule, ...]:
    high = Alert(
        name="HostMemoryHigh",
        severity="warning",
        service="host",
        wait="10m",
        expr=f"{USED.record} > {ratio(limits.memory)}",
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
            {USED.record} > {ratio(limits.memory_critical)}
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
