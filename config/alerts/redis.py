"""Redis, by redis_exporter 1.88 to 1.93."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_REDIS = 'job="redis_exporter"'

_NO_CACHE = f'unless on (job, instance, service) redis_instance_info{{{_REDIS},maxmemory_policy=~"allkeys-.+"}}'
"""Whoever lets Redis evict any key has made it a cache: it is full on purpose, and evicts for as long as it works."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (
        Alert(
            name="RedisDown",
            severity="critical",
            wait="1m",
            expr=f"redis_up{{{_REDIS}}} == 0",
            summary="{{ $labels.service }} does not answer the exporter",
            description="Redis is down, still loading its data, or the exporter's password is wrong. Sessions, queues and "
            "caches that live in it are out of reach.",
        ),
        # maxmemory 0 means no limit of its own: then the container's limit is the one that is watched.
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
            summary='{{ $labels.service }} turned {{ printf "%.0f" $value }} clients away in five minutes',
            description="As many clients are connected as `maxclients` allows. Those turned away see errors.",
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
            description="Redis throws keys out before their time to make room, those that have an end: sessions or "
            "reservations are simply lost.",
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
            description="A restart would lose what has changed since the last good save, and by default Redis refuses "
            "writes after a failed snapshot.",
        ),
    )
