"""MySQL and MariaDB, as mysqld_exporter 0.19 reports them.

The exporter names a replica's series after the columns of the server's answer: `slave_io_running` in MariaDB and MySQL
up to 8.0, `replica_io_running` in MySQL from 8.4 on.
"""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_MYSQL = 'job="mysqld_exporter"'
_BY = "by (job, instance, service)"


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (
        Alert(
            name="MysqlDown",
            severity="critical",
            wait="1m",
            expr=f"mysql_up{{{_MYSQL}}} == 0",
            summary="{{ $labels.service }} does not accept the exporter's connection",
            description="MySQL is down, refuses connections, or the exporter's password is wrong. Every service that needs "
            "it fails.",
        ),
        Alert(
            name="MysqlConnectionsHigh",
            severity="warning",
            wait="5m",
            expr=f"""
            mysql_global_status_threads_connected{{{_MYSQL}}}
              / mysql_global_variables_max_connections{{{_MYSQL}}}
              > {ratio(limits.db_connections)}
            """,
            summary="{{ $labels.service }} has {{ $value | humanizePercentage }} of its connections in use",
            description="When all are in use, MySQL refuses new connections and the services fail at once. Usually a pool "
            "is too large, or a service does not return its connections.",
        ),
        Alert(
            name="MysqlRefusesConnections",
            severity="warning",
            expr=f"""
            increase(mysql_global_status_connection_errors_total{{{_MYSQL},error="max_connections"}}[5m]) > 0
            """,
            summary='{{ $labels.service }} refused {{ printf "%.0f" $value }} connections in five minutes',
            description="The number of connections has reached `max_connections`. The refused clients see `Too many "
            "connections`.",
        ),
        Alert(
            name="MysqlReplicationStopped",
            severity="warning",
            wait="2m",
            expr="\nor ".join(
                f"min {_BY} (mysql_slave_status_{name}_{thread}_running{{{_MYSQL}}}) == 0"
                for name in ("slave", "replica")
                for thread in ("io", "sql")
            ),
            summary="{{ $labels.service }} no longer replicates",
            description="The replica does not reach its source, or could not apply a change. Its data stays as old as it "
            "is, and a failover would lose all changes since.",
        ),
        # A replica that has stopped shows no delay.
        Alert(
            name="MysqlReplicationLag",
            severity="warning",
            wait="5m",
            expr=f"""
            max {_BY} (
              mysql_slave_status_seconds_behind_master{{{_MYSQL}}}
              or mysql_slave_status_seconds_behind_source{{{_MYSQL}}}
            ) > {limits.mysql_replication_lag}
            """,
            summary="{{ $labels.service }} is {{ $value | humanizeDuration }} behind its source",
            description="Queries on the replica return old data. A failover now would lose what has not arrived.",
        ),
    )
