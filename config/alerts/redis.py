"""Redis, as redis_exporter 1.88 to 1.93 reports it."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_REDIS = 'job="redis_exporter"'

_NO_CACHE = f'unless on (job, instance, service) redis_instance_info{{{_REDIS},maxmemory_policy=~"allkeys-.+"}}'
"""A Redis that may evict any key is a cache: it is full on purpose, and always evicts."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (
        Alert(
            name="RedisDown",
            severity="critical",
            wait="1m",
            expr=f"redis_up{{{_REDIS}}} == 0",
            summary="{{ $labels.service }} does not answer the exporter",
            description="Redis is down, is still loading its data, or the exporter's password is wrong. Services cannot use "
            "the sessions, queues and caches in it.",
        ),
        # maxmemory 0 means that Redis has no limit of its own. ContainerMemoryHigh then watches the container's limit.
        Alert(
            name="RedisMemoryHigh",
            severity="warning",
            wait="5m",
            expr=f"""
            redis_memory_used_bytes{{{_REDIS}}} / (redis_memory_max_bytes{{{_REDIS}}} > 0)
              > {ratio(limits.redis_memory)}
            {_NO_CACHE}
            """,
            summary="{{ $labels.service }} uses {{ $value | humanizePercentage }} of maxmemory",
            description="At the limit Redis evicts keys or, with the policy noeviction, refuses every write.",
        ),
        Alert(
            name="RedisRejectsConnections",
            severity="warning",
            expr=f"increase(redis_rejected_connections_total{{{_REDIS}}}[5m]) > 0",
            summary='{{ $labels.service }} refused {{ printf "%.0f" $value }} clients in five minutes',
            description="The number of clients has reached `maxclients`. The refused ones see errors.",
        ),
        Alert(
            name="RedisEvictsKeys",
            severity="warning",
            wait="15m",
            expr=f"""
            rate(redis_evicted_keys_total{{{_REDIS}}}[5m]) > {limits.redis_evictions:g}
            {_NO_CACHE}
            """,
            summary="{{ $labels.service }} evicts {{ $value | humanize }} keys a second",
            description="To make room, Redis removes keys that have an expiry before they expire. Sessions or "
            "reservations among them are lost.",
        ),
        Alert(
            name="RedisPersistenceFailing",
            severity="warning",
            wait="5m",
            expr=f"""
            redis_rdb_last_bgsave_status{{{_REDIS}}} == 0
            or redis_aof_last_write_status{{{_REDIS}}} == 0
            or redis_aof_last_bgrewrite_status{{{_REDIS}}} == 0
            """,
            summary="{{ $labels.service }} cannot save its data to disk",
            description="A restart would lose every change since the last good save. By default Redis also refuses "
            "writes after a failed snapshot.",
        ),
    )
