"""Memcached, as memcached_exporter 0.14 reports it. A cache is full on purpose, and evicts: neither raises an alert."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_MEMCACHED = 'job="memcached_exporter"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="MemcachedDown",
            severity="critical",
            wait="1m",
            expr=f"memcached_up{{{_MEMCACHED}}} == 0",
            summary="{{ $labels.service }} does not answer the exporter",
            description="Memcached is down or does not answer. Its clients ask their databases instead, which may be too "
            "much for these.",
        ),
        Alert(
            name="MemcachedConnectionsHigh",
            severity="warning",
            wait="5m",
            expr=f"""
            memcached_current_connections{{{_MEMCACHED}}} / memcached_max_connections{{{_MEMCACHED}}}
              > {ratio(scope.thresholds.db_connections)}
            """,
            summary="{{ $labels.service }} has {{ $value | humanizePercentage }} of its connections in use",
            description="When all are in use, Memcached lets new clients wait until another leaves. For them the cache is "
            "as slow as their timeout.",
        ),
    )
