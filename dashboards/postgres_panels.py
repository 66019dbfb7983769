"""The second row of PostgreSQL on the dashboard of databases: locks, dead rows, write-ahead log, slots, statements."""

from dashboards import panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
PG = f'job="postgres_exporter",{CHOSEN}'
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.postgres"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((locks(), dead_rows(), wal(), slots(), statements()), "PostgreSQL: what it holds and runs", closed=True)


def locks() -> AnyPanel:
    strong = "exclusivelock|sharerowexclusivelock|accessexclusivelock"
    return panels.timeseries(
        "Strong locks",
        "Locks of whole tables that keep others from writing to them, by kind.",
        units.counted("locks"),
        *top(f'sum by (mode) (pg_locks_count{{{PG},mode=~"{strong}"}})', "mode", count=FEW),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )


def dead_rows() -> AnyPanel:
    dead, live = (f"pg_stat_user_tables_n_{what}_tup{{{PG}}}" for what in ("dead", "live"))
    return panels.timeseries(
        "Dead rows",
        "Deleted rows that still take space: the five tables with most of them, as a share of their rows.",
        units.SHARE,
        *top(f"max by (relname) ({dead} / ({dead} + {live} > 0))", "relname", count=FEW, rest=False),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )


def wal() -> AnyPanel:
    return panels.timeseries(
        "Write-ahead log",
        "Size of the log on disk. It grows while a replication slot has no reader, or archiving fails.",
        units.BYTES,
        *top(f"max by (service) (pg_wal_size_bytes{{{PG}}})", count=FEW, rest=False),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )


def slots() -> AnyPanel:
    return panels.timeseries(
        "Replication slots",
        "Log that each slot keeps on disk for its reader. It grows without end while nobody reads.",
        units.BYTES,
        *top(f"max by (slot_name) (pg_replication_slots_pg_wal_lsn_diff{{{PG}}})", "slot_name", count=FEW, rest=False),
        size=(12, 7),
        links=LINKS,
        missing=NOTHING,
    )


def statements() -> AnyPanel:
    return panels.timeseries(
        "Statements",
        "The statements that take most time, in seconds per second, by their `queryid` in pg_stat_statements. Needs "
        "`statements: true` in the settings of the server.",
        units.counted("s/s"),
        *top(f"sum by (queryid) (rate(pg_stat_statements_seconds_total{{{PG}}}[{RATE}]))", "queryid", count=FEW),
        size=(12, 7),
        links=LINKS,
        missing=NOTHING,
    )
