"""Panels of the host's processes and units, and of the CPU quotas of containers."""

from dashboards import colours, panel_links, panels, units
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.host_links()
NODE = 'job="node_exporter"'
CONTAINERS = f'job="cadvisor",name!="",{CHOSEN}'


def processes() -> AnyPanel:
    return panels.timeseries(
        "Processes",
        "Processes and threads of the host, those of containers too. Blocked ones wait for a disk.",
        units.counted("processes"),
        PromQL(f"max(node_processes_pids{{{NODE}}})", "processes"),
        PromQL(f"max(node_processes_threads{{{NODE}}})", "threads"),
        PromQL(f"max(node_procs_blocked{{{NODE}}})", "blocked"),
        PromQL(f'max(node_processes_state{{{NODE},state="Z"}})', "ended, not collected"),
        size=(8, 7),
        links=LINKS,
        colours={
            "processes": colours.BLUE,
            "threads": colours.GREY,
            "blocked": colours.ORANGE,
            "ended, not collected": colours.PURPLE,
        },
    )


def failed_units() -> AnyPanel:
    return panels.timeseries(
        "Failed units",
        "Units of systemd that have failed. Empty if there are none, or if node_exporter cannot ask systemd (`docker.systemd`).",
        units.counted("units"),
        *top(f'max by (name) (node_systemd_unit_state{{{NODE},state="failed"}}) == 1', "name"),
        size=(8, 7),
        links=LINKS,
    )


def container_quota() -> AnyPanel:
    used = f"sum by (service, name) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))"
    quota, period = (
        f"max by (service, name) (container_spec_cpu_{part}{{{CONTAINERS}}})" for part in ("quota", "period")
    )
    return panels.timeseries(
        "CPU, share of quota",
        "CPU in use by the fullest container of each service, as a share of its quota (`cpus`). A container without quota has no line.",
        units.SHARE,
        *top(f"max by (service) ({used} / ({quota} / {period}))", count=FEW, rest=False),
        size=(8, 7),
        links=panel_links.infrastructure_links(),
        series_links=panel_links.series_links(),
    )
