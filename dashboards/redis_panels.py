"""The second row of Redis on the dashboard of databases: replicas and clusters."""

from dashboards import panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
REDIS = f'job="redis_exporter",{CHOSEN}'
NOTHING = "none yet: see exporters.redis"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((replicas(), lag(), slots()), "Redis: replicas and clusters", closed=True)


def replicas() -> AnyPanel:
    return panels.timeseries(
        "Redis replicas",
        "Replicas that are connected to each server. A primary without one has nobody who could take over.",
        units.counted("replicas"),
        *top(f"max by (service) (redis_connected_slaves{{{REDIS}}})", count=FEW, rest=False),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )


def lag() -> AnyPanel:
    return panels.timeseries(
        "Delay of Redis replicas",
        "Time since the slowest replica of each primary last said how far it is.",
        units.SECONDS,
        *top(f"max by (service) (redis_connected_slave_lag_seconds{{{REDIS}}})", count=FEW, rest=False),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )


def slots() -> AnyPanel:
    return panels.timeseries(
        "Redis slots that do not work",
        "Slots of a cluster, out of 16384, without a working node, as each watched node sees it. Requests for their keys fail.",
        units.counted("slots"),
        *top(f"16384 - min by (service) (redis_cluster_slots_ok{{{REDIS}}})", count=FEW, rest=False),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )
