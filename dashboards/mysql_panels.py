"""The row of MySQL and MariaDB on the dashboard of databases."""

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN

CONNECTIONS = AlertThreshold(("db_connections",))
LAG = AlertThreshold(("mysql_replication_lag",))
LINKS = panel_links.infrastructure_links()
MYSQL = f'job="mysqld_exporter",{CHOSEN}'
UP = f"mysql_up{{{MYSQL}}}"
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.mysql"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((connections(), queries(), cache(), lag()), "MySQL and MariaDB")


def connections() -> AnyPanel:
    used, most = (
        f"mysql_global_status_threads_connected{{{MYSQL}}}",
        f"mysql_global_variables_max_connections{{{MYSQL}}}",
    )
    return panels.timeseries(
        "MySQL connections",
        "Connections in use, as a share of the maximum of the server.",
        units.SHARE,
        *top(f"sum by (service) ({used}) / max by (service) ({most})", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
        threshold=CONNECTIONS,
    )


def queries() -> AnyPanel:
    return panels.timeseries(
        "MySQL queries",
        "Statements of clients per second, and those that took longer than the server's `long_query_time`.",
        units.OPERATIONS,
        PromQL(f"sum(rate(mysql_global_status_questions{{{MYSQL}}}[{RATE}]))", "all"),
        PromQL(f"sum(rate(mysql_global_status_slow_queries{{{MYSQL}}}[{RATE}]))", "slow"),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        colours={"all": colours.BLUE, "slow": colours.ORANGE},
    )


def cache() -> AnyPanel:
    requests, reads = (
        f"sum by (service) (rate(mysql_global_status_innodb_buffer_pool_{what}{{{MYSQL}}}[{RATE}]))"
        for what in ("read_requests", "reads")
    )
    return panels.timeseries(
        "MySQL buffer hit ratio",
        "Share of requested pages found in the buffer pool. Far below 99 % in steady use, the pool is too small.",
        units.SHARE,
        *top(f"1 - {reads} / ({requests} > 0)", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )


def lag() -> AnyPanel:
    delay = " or ".join(f"mysql_slave_status_seconds_behind_{name}{{{MYSQL}}}" for name in ("master", "source"))
    return panels.timeseries(
        "Delay of replicas",
        "How far replicas are behind their source. A replica that has stopped shows no delay.",
        units.SECONDS,
        *top(f"max by (service) ({delay})", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        threshold=LAG,
    )
