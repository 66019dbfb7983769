"""The row of MongoDB on the dashboard of databases."""

from dashboards import panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
MONGO = f'job="mongodb_exporter",{CHOSEN}'
UP = f"mongodb_up{{{MONGO}}}"
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.mongodb"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((operations(), connections(), waiting(), cache()), "MongoDB", closed=True)


def operations() -> AnyPanel:
    return panels.timeseries(
        "MongoDB operations",
        "Operations per second, by kind.",
        units.OPERATIONS,
        *top(f"sum by (legacy_op_type) (rate(mongodb_ss_opcounters{{{MONGO}}}[{RATE}]))", "legacy_op_type", count=FEW),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def connections() -> AnyPanel:
    current, every = (
        f"sum by (service) (mongodb_ss_connections{{{MONGO},conn_type{which}}})"
        for which in ('="current"', '=~"current|available"')
    )
    return panels.timeseries(
        "MongoDB connections",
        "Connections in use, as a share of the maximum of the server.",
        units.SHARE,
        *top(f"{current} / {every}", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )


def waiting() -> AnyPanel:
    return panels.timeseries(
        "MongoDB operations that wait",
        "Operations that wait for a lock.",
        units.counted("operations"),
        *top(f'sum by (service) (mongodb_ss_globalLock_currentQueue{{{MONGO},count_type="total"}})', count=FEW),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def cache() -> AnyPanel:
    used, limit = (
        f"mongodb_ss_wt_cache_{what}{{{MONGO}}}"
        for what in ("bytes_currently_in_the_cache", "maximum_bytes_configured")
    )
    return panels.timeseries(
        "MongoDB cache",
        "Data in WiredTiger's cache, as a share of its limit. It evicts from 80 % on; from 95 % on operations wait for that.",
        units.SHARE,
        *top(f"max by (service) ({used} / {limit})", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )
