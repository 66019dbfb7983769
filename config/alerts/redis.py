"""Redis and Valkey, as redis_exporter 1.88 to 1.93 reports a server, a node of a cluster, or a sentinel."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_REDIS = 'job="redis_exporter"'

_NO_CACHE = f'unless on (job, instance, service) redis_instance_info{{{_REDIS},maxmemory_policy=~"allkeys-.+"}}'
"""A Redis that may evict any key is a cache: it is full on purpose, and always evicts."""


_BY_PRIMARY = "by (job, instance, service, master_name)"
"""Sentinel's name for a primary and its replicas. The address is that of the present primary."""
_SLOTS = 16384
"""Slots of a cluster (CLUSTER_SLOTS)."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    return (*_server(scope), *_replication(), *_cluster())


def _server(scope: Scope) -> tuple[Rule, ...]:
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


def _replication() -> tuple[Rule, ...]:
    had = f"redis_connected_slaves{{{_REDIS}}} == 0 and max_over_time(redis_connected_slaves{{{_REDIS}}}[6h]) > 0"
    return (
        Alert(
            name="RedisReplicaDisconnected",
            severity="warning",
            wait="2m",
            expr=f"redis_master_link_up{{{_REDIS}}} == 0",
            summary="{{ $labels.service }} cannot reach its primary {{ $labels.master_host }}:{{ $labels.master_port }}",
            description="This replica serves old data, or copies all of its primary's. It can not take over.",
        ),
        # Of a server that was a primary. Whoever becomes a replica has none.
        Alert(
            name="RedisReplicasMissing",
            severity="warning",
            wait="5m",
            expr=f"""
            max {_BY_PRIMARY} (redis_sentinel_master_ok_slaves{{{_REDIS}}}) == 0
            or ({had})
            and on (job, instance, service) redis_instance_info{{{_REDIS},role="master"}}
            """,
            summary="{{ $labels.service }}: the primary has no replica left",
            description="Nobody could take over from the primary. What it has not saved to disk would be lost with it.",
        ),
        Alert(
            name="RedisPrimaryDown",
            severity="critical",
            wait="1m",
            expr=f"max {_BY_PRIMARY} (redis_sentinel_master_status{{{_REDIS}}}) == 0",
            summary="{{ $labels.service }}: the primary {{ $labels.master_name }} is down, and nobody has taken over",
            description="This sentinel cannot reach the primary, and the sentinels have made no replica the new one. Services "
            "cannot write.",
        ),
        Alert(
            name="RedisSentinelQuorumLost",
            severity="warning",
            wait="5m",
            expr=f"max {_BY_PRIMARY} (redis_sentinel_master_ckquorum_status{{{_REDIS}}}) == 0",
            summary="{{ $labels.service }}: too few sentinels can agree on a failover of {{ $labels.master_name }}",
            description="All is well as long as the primary runs. If it fails, no replica will take over.",
        ),
        Alert(
            name="RedisFailover",
            severity="warning",
            expr=f"""
            count {_BY_PRIMARY} (count_over_time(redis_sentinel_master_config_epoch{{{_REDIS}}}[15m])) > 1
            or changes(redis_cluster_current_epoch{{{_REDIS}}}[15m]) > 0
            """,
            summary="{{ $labels.service }} has made another server the primary",
            description="The former primary was gone for longer than allowed, or somebody asked for the change. What it had "
            "not sent to its replicas is lost.",
        ),
    )


def _cluster() -> tuple[Rule, ...]:
    ok = f"redis_cluster_slots_ok{{{_REDIS}}} < {_SLOTS}"
    return (
        Alert(
            name="RedisClusterDown",
            severity="critical",
            wait="1m",
            expr=f"redis_cluster_state{{{_REDIS}}} == 0",
            summary="{{ $labels.service }}: the cluster is down for {{ $labels.instance }}",
            description="This node refuses every request: some keys have no working node, or it is cut off from most of the "
            "others.",
        ),
        # Only with `cluster-require-full-coverage no`: otherwise the whole cluster is down.
        Alert(
            name="RedisClusterSlotsMissing",
            severity="critical",
            wait="1m",
            expr=f"{ok} and redis_cluster_state{{{_REDIS}}} == 1",
            summary='{{ $labels.service }}: only {{ printf "%.0f" $value }} of 16384 slots of the cluster work',
            description="Requests for the keys in the other slots fail, because their nodes are down and have no replica that "
            "took over.",
        ),
    )
