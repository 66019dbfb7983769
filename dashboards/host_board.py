"""The dashboard of the host and its containers: use and saturation of resources, and which service uses them."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, host_network, host_system, panel_links, panels, units
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel
from dashboards.queries import PromQL, top
from dashboards.signal_series import CHOSEN, CONTAINER_MEMORY

LINKS = panel_links.host_links()
NODE = 'job="node_exporter"'
CONTAINERS = f'job="cadvisor",name!="",{CHOSEN}'
ENGINE = f'job="containers",{CHOSEN}'
VALUES = 'label_values(container_last_seen{name!=""}, service)'


def dashboard() -> Dashboard:
    return board(
        "host",
        "Host and containers",
        "Use, saturation and errors of the host's CPU, memory, disks and network, then of the containers.",
        Row((cpu_now(), memory_now(), disk_now(), stalled_now(), containers_now(), restarts_now())),
        Row((cpu(), memory(), pressure())),
        Row((disks(), disk_io(), host_network.traffic()), "Disks and network"),
        Row(
            (host_network.interfaces(), host_network.losses(), host_network.connections()),
            "Interfaces and connections",
            closed=True,
        ),
        Row((host_network.tcp(), host_network.listen_queues(), host_network.sockets()), "TCP", closed=True),
        Row(
            (host_system.processes(), host_system.failed_units(), host_system.container_quota()),
            "Processes, units and quotas",
            closed=True,
        ),
        Row((container_cpu(), container_memory(), container_of_limit()), "Containers"),
        Row(
            (container_network(), container_throttled(), container_stalled()),
            "Containers: network and waiting",
            closed=True,
        ),
        variables=(choice("service", "Service", "The services whose containers are shown.", VALUES),),
    )


def _share(title: str, description: str, expr: str, setting: str) -> AnyPanel:
    threshold = AlertThreshold((setting,))
    return panels.stat(
        title,
        f"{description} {threshold.sentence()}",
        units.SHARE,
        PromQL(expr),
        size=(4, 5),
        links=LINKS,
        steps=panels.alert_steps(threshold),
    )


def cpu_now() -> AnyPanel:
    return _share(
        "CPU",
        "CPU in use, as a share of all cores, averaged over five minutes.",
        "max(instance:node_cpu_used:ratio_rate5m)",
        "cpu",
    )


def memory_now() -> AnyPanel:
    return _share(
        "Memory", "Memory that is not available to new work.", "max(instance:node_memory_used:ratio)", "memory"
    )


def disk_now() -> AnyPanel:
    expr = "max(instance_mountpoint:node_filesystem_used:ratio)"
    return _share("Fullest disk", "Use of the fullest file system, as `df` counts it.", expr, "disk")


def stalled_now() -> AnyPanel:
    expr = f"max(rate(node_pressure_io_stalled_seconds_total{{{NODE}}}[$__rate_interval]))"
    description = "Share of time in which every process waited for the disk (PSI `full`)."
    return _share("Waiting for disk", description, expr, "io_stalled")


def containers_now() -> AnyPanel:
    return panels.stat(
        "Containers",
        "Running containers of the chosen services.",
        units.counted("running"),
        PromQL(f"count(container_last_seen{{{CONTAINERS}}})"),
        size=(4, 5),
        links=panel_links.infrastructure_links(),
    )


def restarts_now() -> AnyPanel:
    return panels.stat(
        "Restarts",
        "Restarts of the chosen services' containers in the last 15 minutes.",
        units.counted("times"),
        PromQL(f"sum(round(increase(engine_container_restarts_total{{{ENGINE}}}[15m])))"),
        size=(4, 5),
        links=panel_links.infrastructure_links(),
        steps=((0, colours.GOOD), (1, colours.WARNING), (AlertThreshold(("container_restarts",)), colours.BAD)),
    )


def cpu() -> AnyPanel:
    by_mode = f'rate(node_cpu_seconds_total{{{NODE},mode!="idle"}}[$__rate_interval])'
    return panels.timeseries(
        "CPU by mode",
        "Share of all cores. `iowait` is idle time in which a process waited for a disk. `steal` is time that other guests got.",
        units.SHARE,
        PromQL(f"avg by (mode) (sum by (mode, cpu) ({by_mode}))", "{{mode}}"),
        size=(8, 8),
        links=LINKS,
        colours={
            "user": colours.BLUE,
            "system": colours.ORANGE,
            "iowait": colours.PURPLE,
            "steal": colours.RED,
            "nice": colours.SKY,
            "/irq/": colours.GREY,
        },
        stacked=True,
        maximum=1,
    )


def memory() -> AnyPanel:
    total, available = (f"node_memory_{name}_bytes{{{NODE}}}" for name in ("MemTotal", "MemAvailable"))
    return panels.timeseries(
        "Memory",
        "Used and total memory. The page cache counts as available.",
        units.BYTES,
        PromQL(f"{total} - {available}", "used"),
        PromQL(total, "total"),
        size=(8, 8),
        links=LINKS,
        colours={"used": colours.BLUE, "total": colours.GREY},
    )


def pressure() -> AnyPanel:
    def waits(what: str) -> str:
        return f"max(rate(node_pressure_{what}_seconds_total{{{NODE}}}[$__rate_interval]))"

    return panels.timeseries(
        "Waiting",
        "Share of time in which at least one process waited for the resource (PSI, pressure as the kernel counts it).",
        units.SHARE,
        PromQL(waits("cpu_waiting"), "CPU"),
        PromQL(waits("memory_waiting"), "memory"),
        PromQL(waits("io_waiting"), "disk"),
        size=(8, 8),
        links=LINKS,
        colours={"CPU": colours.BLUE, "memory": colours.PURPLE, "disk": colours.ORANGE},
    )


def disks() -> AnyPanel:
    return panels.timeseries(
        "Disk in use",
        "Use of each file system, as `df` counts it.",
        units.SHARE,
        *top("max by (mountpoint) (instance_mountpoint:node_filesystem_used:ratio)", "mountpoint", rest=False),
        size=(8, 7),
        links=LINKS,
        maximum=1,
        threshold=AlertThreshold(("disk",)),
    )


def disk_io() -> AnyPanel:
    def bytes_of(way: str) -> str:
        return f"sum(rate(node_disk_{way}_bytes_total{{{NODE}}}[$__rate_interval]))"

    return panels.timeseries(
        "Disk traffic",
        "Bytes per second read from and written to all disks.",
        units.BYTES_PER_SECOND,
        PromQL(bytes_of("read"), "read"),
        PromQL(bytes_of("written"), "written"),
        size=(8, 7),
        links=LINKS,
        colours={"read": colours.BLUE, "written": colours.ORANGE},
    )


def _by_service(
    title: str,
    description: str,
    unit: str,
    expr: str,
    *,
    maximum: float | None = None,
    threshold: AlertThreshold | None = None,
    missing: str = panels.NOTHING,
) -> AnyPanel:
    return panels.timeseries(
        title,
        description,
        unit,
        *top(expr, rest=unit != units.SHARE),
        size=(8, 7),
        links=panel_links.infrastructure_links(),
        series_links=panel_links.series_links(),
        maximum=maximum,
        threshold=threshold,
        missing=missing,
    )


def container_cpu() -> AnyPanel:
    expr = f"sum by (service) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))"
    return _by_service("CPU by service", "Cores in use by the containers of each service.", units.CORES, expr)


def container_memory() -> AnyPanel:
    expr = f"sum by (service) (container_memory_working_set_bytes{{{CONTAINERS}}})"
    description = "Working set of the containers of each service. It includes cached files that were read lately."
    return _by_service("Memory by service", description, units.BYTES, expr)


def container_of_limit() -> AnyPanel:
    expr = f"max by (service) (name:container_memory_used:ratio{{{CHOSEN}}})"
    description = "Memory of the fullest container of each service, as a share of its limit. Cached files do not count."
    return _by_service("Memory, share of limit", description, units.SHARE, expr, maximum=1, threshold=CONTAINER_MEMORY)


def container_network() -> AnyPanel:
    both = " + ".join(
        f"sum by (service) (rate(container_network_{way}_bytes_total{{{CONTAINERS}}}[$__rate_interval]))"
        for way in ("receive", "transmit")
    )
    return _by_service("Network by service", "Bytes per second received and sent.", units.BYTES_PER_SECOND, both)


def container_throttled() -> AnyPanel:
    throttled, periods = (
        f"rate(container_cpu_cfs_{what}_total{{{CONTAINERS}}}[$__rate_interval])"
        for what in ("throttled_periods", "periods")
    )
    expr = f"max by (service) ({throttled} / ({periods} > 0))"
    description = "Share of scheduling periods in which a container was throttled by its CPU quota."
    threshold = AlertThreshold(("container_throttled",))
    missing = "no container has a CPU quota"
    return _by_service(
        "Throttled by CPU quota", description, units.SHARE, expr, maximum=1, threshold=threshold, missing=missing
    )


def container_stalled() -> AnyPanel:
    expr = f"max by (service) (rate(container_pressure_memory_waiting_seconds_total{{{CONTAINERS}}}[$__rate_interval]))"
    description = "Share of time in which a process of the service waited for memory (PSI). It grows before the kernel kills a process."
    return _by_service("Waiting for memory", description, units.SHARE, expr)
