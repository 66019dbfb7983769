"""The host and the containers on it: what is used, what is short, who uses it."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import look, onward
from dashboards.board import Row, board, choice
from dashboards.look import AnyPanel
from dashboards.queries import PromQL
from dashboards.signals import CHOSEN, LIMITS

LINKS = onward.of_host()
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
        Row((disks(), disk_io(), network()), "Disks and network"),
        Row((container_cpu(), container_memory(), container_of_limit()), "Containers"),
        Row((container_network(), container_throttled(), container_stalled())),
        variables=(choice("service", "Service", "The services whose containers are shown.", VALUES),),
    )


def _share(title: str, description: str, expr: str, alert: float) -> AnyPanel:
    return look.number(
        title,
        f"{description} Red from {alert:g} % on, where the alert is.",
        "percentunit",
        PromQL(expr),
        size=(4, 4),
        onward=LINKS,
        steps=((0, look.GOOD), (alert / 100 * 0.8, look.WARNING), (alert / 100, look.BAD)),
    )


def cpu_now() -> AnyPanel:
    return _share("CPU", "Of all cores, mean of five minutes.", "max(instance:node_cpu_used:ratio_rate5m)", LIMITS.cpu)


def memory_now() -> AnyPanel:
    return _share("Memory", "What is not available to new work.", "max(instance:node_memory_used:ratio)", LIMITS.memory)


def disk_now() -> AnyPanel:
    expr = "max(instance_mountpoint:node_filesystem_used:ratio)"
    return _share("Fullest disk", "As `df` counts it.", expr, LIMITS.disk)


def stalled_now() -> AnyPanel:
    expr = f"max(rate(node_pressure_io_stalled_seconds_total{{{NODE}}}[$__rate_interval]))"
    description = "Time in which every process waited for the disk."
    return _share("Waiting for disk", description, expr, LIMITS.io_stalled)


def containers_now() -> AnyPanel:
    return look.number(
        "Containers",
        "How many containers of the chosen services run.",
        "short",
        PromQL(f"count(container_last_seen{{{CONTAINERS}}})"),
        size=(4, 4),
        onward=onward.of_chosen(),
    )


def restarts_now() -> AnyPanel:
    return look.number(
        "Restarts",
        "Of the chosen services' containers in the last quarter of an hour.",
        "short",
        PromQL(f"sum(round(increase(engine_container_restarts_total{{{ENGINE}}}[15m])))"),
        size=(4, 4),
        onward=onward.of_chosen(),
        steps=((0, look.GOOD), (1, look.WARNING), (LIMITS.container_restarts, look.BAD)),
    )


def cpu() -> AnyPanel:
    by_mode = f'rate(node_cpu_seconds_total{{{NODE},mode!="idle"}}[$__rate_interval])'
    return look.lines(
        "CPU by mode",
        "Share of all cores. `iowait` is idle time in which somebody waited for a disk; `steal` went to other guests.",
        "percentunit",
        PromQL(f"avg by (mode) (sum by (mode, cpu) ({by_mode}))", "{{mode}}"),
        size=(8, 8),
        onward=LINKS,
        colours={
            "user": look.BLUE,
            "system": look.ORANGE,
            "iowait": look.PURPLE,
            "steal": look.RED,
            "nice": look.SKY,
            "/irq/": look.GREY,
        },
        stacked=True,
        most=1,
    )


def memory() -> AnyPanel:
    total, available = (f"node_memory_{name}_bytes{{{NODE}}}" for name in ("MemTotal", "MemAvailable"))
    return look.lines(
        "Memory",
        "What is used, and what there is. The page cache counts as available.",
        "bytes",
        PromQL(f"{total} - {available}", "used"),
        PromQL(total, "total"),
        size=(8, 8),
        onward=LINKS,
        colours={"used": look.BLUE, "total": look.GREY},
    )


def pressure() -> AnyPanel:
    def waits(what: str) -> str:
        return f"max(rate(node_pressure_{what}_seconds_total{{{NODE}}}[$__rate_interval]))"

    return look.lines(
        "Waiting",
        "Share of time in which at least one process waited for it, as the kernel counts pressure (PSI).",
        "percentunit",
        PromQL(waits("cpu_waiting"), "CPU"),
        PromQL(waits("memory_waiting"), "memory"),
        PromQL(waits("io_waiting"), "disk"),
        size=(8, 8),
        onward=LINKS,
        colours={"CPU": look.BLUE, "memory": look.PURPLE, "disk": look.ORANGE},
    )


def disks() -> AnyPanel:
    return look.lines(
        "Disk in use",
        "By file system, as `df` counts it.",
        "percentunit",
        PromQL("max by (mountpoint) (instance_mountpoint:node_filesystem_used:ratio)", "{{mountpoint}}"),
        size=(8, 7),
        onward=LINKS,
        shades=True,
        most=1,
        limit=LIMITS.disk / 100,
    )


def disk_io() -> AnyPanel:
    def bytes_of(way: str) -> str:
        return f"sum(rate(node_disk_{way}_bytes_total{{{NODE}}}[$__rate_interval]))"

    return look.lines(
        "Disk traffic",
        "Bytes per second read from and written to all disks.",
        "Bps",
        PromQL(bytes_of("read"), "read"),
        PromQL(bytes_of("written"), "written"),
        size=(8, 7),
        onward=LINKS,
        colours={"read": look.BLUE, "written": look.ORANGE},
    )


def network() -> AnyPanel:
    def bytes_of(way: str) -> str:
        return f'sum(rate(container_network_{way}_bytes_total{{job="cadvisor",id="/"}}[$__rate_interval]))'

    return look.lines(
        "Network of the host",
        "Bytes per second through the host's own interfaces.",
        "Bps",
        PromQL(bytes_of("receive"), "received"),
        PromQL(bytes_of("transmit"), "sent"),
        size=(8, 7),
        onward=LINKS,
        colours={"received": look.BLUE, "sent": look.ORANGE},
    )


def _by_service(
    title: str, description: str, unit: str, expr: str, *, most: float | None = None, limit: float | None = None
) -> AnyPanel:
    return look.lines(
        title,
        description,
        unit,
        PromQL(expr, "{{service}}"),
        size=(8, 7),
        onward=onward.of_chosen(),
        series=onward.of_series(),
        by_name=True,
        most=most,
        limit=limit,
    )


def container_cpu() -> AnyPanel:
    expr = f"sum by (service) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))"
    return _by_service("CPU by service", "Cores in use by the containers of each service.", "short", expr)


def container_memory() -> AnyPanel:
    expr = f"sum by (service) (container_memory_working_set_bytes{{{CONTAINERS}}})"
    description = "Working set: with the files that the kernel caches for it and that were read lately."
    return _by_service("Memory by service", description, "bytes", expr)


def container_of_limit() -> AnyPanel:
    expr = f"max by (service) (name:container_memory_used:ratio{{{CHOSEN}}})"
    description = "Of the fullest container of each service, as a share of its limit, without cached files."
    limit = LIMITS.container_memory / 100
    return _by_service("Memory of its limit", description, "percentunit", expr, most=1, limit=limit)


def container_network() -> AnyPanel:
    both = " + ".join(
        f"sum by (service) (rate(container_network_{way}_bytes_total{{{CONTAINERS}}}[$__rate_interval]))"
        for way in ("receive", "transmit")
    )
    return _by_service("Network by service", "Bytes per second received and sent.", "Bps", both)


def container_throttled() -> AnyPanel:
    throttled, periods = (
        f"rate(container_cpu_cfs_{what}_total{{{CONTAINERS}}}[$__rate_interval])"
        for what in ("throttled_periods", "periods")
    )
    expr = f"max by (service) ({throttled} / ({periods} > 0))"
    description = "Share of scheduling periods in which a container with a CPU quota was held back by it."
    limit = LIMITS.container_throttled / 100
    return _by_service("Held back by CPU quota", description, "percentunit", expr, most=1, limit=limit)


def container_stalled() -> AnyPanel:
    expr = f"max by (service) (rate(container_pressure_memory_waiting_seconds_total{{{CONTAINERS}}}[$__rate_interval]))"
    description = (
        "Share of time in which a process of the service waited for memory (PSI): before the kernel kills, it waits."
    )
    return _by_service("Waiting for memory", description, "percentunit", expr)
