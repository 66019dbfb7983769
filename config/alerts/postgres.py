"""PostgreSQL, as postgres_exporter 0.17 to 0.20 reports it.

Up to 0.19 most series have a label `server`, from 0.20 on none has. Every expression aggregates it away.
"""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_PG = 'job="postgres_exporter"'
_BY = "by (job, instance, service)"


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    hits = f"sum by (job, instance, service, datname) (rate(pg_stat_database_blks_hit{{{_PG}}}[15m]))"
    reads = f"sum by (job, instance, service, datname) (rate(pg_stat_database_blks_read{{{_PG}}}[15m]))"
    return (
        Alert(
            name="PostgresDown",
            severity="critical",
            wait="1m",
            expr=f"max {_BY} (pg_up{{{_PG}}}) == 0",
            summary="{{ $labels.service }} does not accept the exporter's connection",
            description="PostgreSQL is down, refuses connections, or the exporter's password is wrong. Every service that "
            "needs it fails.",
        ),
        Alert(
            name="PostgresConnectionsHigh",
            severity="warning",
            wait="5m",
            expr=f"""
            sum {_BY} (pg_stat_database_numbackends{{{_PG}}})
              / max {_BY} (pg_settings_max_connections{{{_PG}}})
              > {ratio(limits.db_connections)}
            """,
            summary="{{ $labels.service }} has {{ $value | humanizePercentage }} of its connections in use",
            description="When all are in use, PostgreSQL refuses new connections and the services fail at once. Usually "
            "a pool is too large, or a service does not return its connections.",
        ),
        Alert(
            name="PostgresDeadlocks",
            severity="warning",
            expr=f"""
            sum by (job, instance, service, datname) (increase(pg_stat_database_deadlocks{{{_PG}}}[15m]))
              >= {limits.postgres_deadlocks}
            """,
            summary='{{ $labels.datname }} had {{ printf "%.0f" $value }} deadlocks in 15 minutes',
            description="Transactions lock the same rows in a different order. PostgreSQL ends one of each pair with an "
            "error, which its user sees.",
        ),
        Alert(
            name="PostgresTransactionLong",
            severity="warning",
            wait="1m",
            expr=f"""
            max by (job, instance, service, datname, state) (
              pg_stat_activity_max_tx_duration{{{_PG},backend_type!~"autovacuum.*|walsender|.*worker"}}
            ) > {limits.postgres_transaction}
            """,
            summary="A transaction in {{ $labels.datname }} ({{ $labels.state }}) is {{ $value | humanizeDuration }} old",
            description="While it is open, PostgreSQL cannot clean up rows deleted since, and its locks keep others "
            "waiting. `idle in transaction` is a client that has left it open.",
        ),
        Alert(
            name="PostgresLocksWait",
            severity="warning",
            wait="5m",
            expr=f"""
            sum by (job, instance, service, datname) (pg_stat_activity_count{{{_PG},wait_event_type="Lock"}})
              >= {limits.postgres_lock_waits}
            """,
            summary='{{ printf "%.0f" $value }} sessions in {{ $labels.datname }} wait for a lock',
            description="Another session holds what they want: a migration, a long transaction, or a client that has left one "
            "open. Their users wait too, and each takes a connection.",
        ),
        # A database begins to freeze by force at 0.2 billion, and stops taking writes at 2.1.
        Alert(
            name="PostgresWraparoundNear",
            severity="warning",
            wait="15m",
            expr="\nor ".join(
                f"max by (job, instance, service, datname) (pg_database_wraparound_age_{age}_seconds{{{_PG}}}) > 1e9"
                for age in ("datfrozenxid", "datminmxid")
            ),
            summary="{{ $labels.datname }} has {{ $value | humanize }} transactions that are not frozen: at 2.1G it stops writing",
            description="Autovacuum has not been able to freeze old rows for a long time. When the numbers of transactions run "
            "out, the whole server takes no writes until somebody vacuums it by hand.",
        ),
        # Only a replica has a lag. On a primary pg_replication_is_replica is 0.
        Alert(
            name="PostgresReplicationLag",
            severity="warning",
            wait="5m",
            expr=f"""
            max {_BY} (pg_replication_lag_seconds{{{_PG}}}) > {limits.postgres_replication_lag}
            and max {_BY} (pg_replication_is_replica{{{_PG}}}) == 1
            """,
            summary="{{ $labels.service }} is {{ $value | humanizeDuration }} behind its primary",
            description="Queries on the replica return old data. A failover now would lose what has not arrived.",
        ),
        # Not pg_replication_slot_slot_is_active, which 0.20 calls otherwise.
        Alert(
            name="PostgresReplicationSlotUnused",
            severity="warning",
            wait="15m",
            expr=f"max by (job, instance, service, slot_name) (pg_replication_slots_active{{{_PG}}}) == 0",
            summary="Nobody reads the replication slot {{ $labels.slot_name }} of {{ $labels.service }}",
            description="PostgreSQL keeps all of its log since the last reader, until the disk is full. The replica is down, "
            "or was removed without its slot.",
        ),
        # 100,000 rows: the size from which autovacuum waits for a fifth of a table.
        Alert(
            name="PostgresDeadRowsHigh",
            severity="info",
            wait="1h",
            expr=f"""
            max by (job, instance, service, datname, relname) (
              pg_stat_user_tables_n_dead_tup{{{_PG}}}
                / (pg_stat_user_tables_n_live_tup{{{_PG}}} + pg_stat_user_tables_n_dead_tup{{{_PG}}})
              and pg_stat_user_tables_n_dead_tup{{{_PG}}} > 100000
            ) > {ratio(limits.postgres_dead_rows)}
            """,
            summary="{{ $value | humanizePercentage }} of the rows of {{ $labels.relname }} in {{ $labels.datname }} are dead",
            description="Autovacuum does not keep up with the changes, or an old transaction keeps it from removing them. "
            "The table grows, and queries read more than they need.",
        ),
        # The ratio matters only if PostgreSQL reads much: 100 blocks are 800 kB a second.
        Alert(
            name="PostgresCacheHitsLow",
            severity="info",
            wait="30m",
            expr=f"""
            {hits} / ({hits} + {reads}) < {ratio(limits.postgres_cache_hits)}
            and {reads} > 100
            """,
            summary="{{ $labels.datname }} finds only {{ $value | humanizePercentage }} of its blocks in memory",
            description="The rest comes from the kernel's cache or the disk. More shared_buffers, or an index that "
            "avoids a scan, makes it faster.",
        ),
    )
