"""The row of Memcached on the dashboard of databases."""

from dashboards import colours, panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
MEMCACHED = f'job="memcached_exporter",{CHOSEN}'
UP = f"memcached_up{{{MEMCACHED}}}"
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.memcached"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((commands(), hits(), memory(), evictions()), "Memcached", closed=True)


def commands() -> AnyPanel:
    return panels.timeseries(
        "Memcached commands",
        "Commands per second.",
        units.OPERATIONS,
        *top(f"sum by (service) (rate(memcached_commands_total{{{MEMCACHED}}}[{RATE}]))", count=FEW),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def hits() -> AnyPanel:
    hit_rate, get_rate = (
        f'sum by (service) (rate(memcached_commands_total{{{MEMCACHED},command="get"{status}}}[{RATE}]))'
        for status in (',status="hit"', "")
    )
    return panels.timeseries(
        "Memcached key hit ratio",
        "Share of requested keys that existed.",
        units.SHARE,
        *top(f"{hit_rate} / ({get_rate} > 0)", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )


def memory() -> AnyPanel:
    used, limit = (f"memcached_{what}_bytes{{{MEMCACHED}}}" for what in ("current", "limit"))
    return panels.timeseries(
        "Memcached memory",
        "Memory of items, as a share of the limit `-m`.",
        units.SHARE,
        *top(f"sum by (service) ({used}) / sum by (service) ({limit})", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )


def evictions() -> AnyPanel:
    return panels.timeseries(
        "Memcached evictions",
        "Items per second that were removed before their time, to make room.",
        units.counted("items/s"),
        PromQL(f"sum(rate(memcached_items_evicted_total{{{MEMCACHED}}}[{RATE}]))", "evicted"),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        colours={"evicted": colours.ORANGE},
    )
