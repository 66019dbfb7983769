"""PostgreSQL, Redis and Nginx, by their exporters."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import look, onward
from dashboards.board import Row, board, choice
from dashboards.look import AnyPanel
from dashboards.queries import PromQL, compared
from dashboards.signals import CHOSEN, LIMITS

LINKS = onward.of_chosen()
PG, REDIS, NGINX = (f'job="{name}_exporter",{CHOSEN}' for name in ("postgres", "redis", "nginx"))
VALUES = 'label_values(up{job=~"(postgres|redis|nginx)_exporter"}, service)'
RATE = "$__rate_interval"


def dashboard() -> Dashboard:
    return board(
        "databases",
        "PostgreSQL, Redis and Nginx",
        "Whether they answer, how much they do, and how close they are to their limits.",
        Row((answers(), pg_connections_now(), redis_memory_now(), nginx_now())),
        Row((pg_connections(), pg_transactions(), pg_cache(), pg_locks()), "PostgreSQL"),
        Row((redis_commands(), redis_hits(), redis_memory(), redis_clients()), "Redis"),
        Row((nginx_requests(), nginx_connections(), nginx_dropped()), "Nginx"),
        variables=(choice("service", "Service", "The databases and proxies to look at.", VALUES),),
    )


def answers() -> AnyPanel:
    return look.bars(
        "Answers its exporter",
        "1: the service accepted the exporter's last connection. 0: it did not.",
        "short",
        PromQL(f"max by (service) (pg_up{{{PG}}} or redis_up{{{REDIS}}} or nginx_up{{{NGINX}}})", "{{service}}"),
        size=(6, 5),
        onward=LINKS,
        steps=((0, look.BAD), (1, look.GOOD)),
        most=1,
    )


_PG_USED = (
    f"sum by (service) (pg_stat_database_numbackends{{{PG}}}) / max by (service) (pg_settings_max_connections{{{PG}}})"
)


def pg_connections_now() -> AnyPanel:
    limit = LIMITS.db_connections
    return look.number(
        "PostgreSQL connections",
        f"Of the most that the server allows. Red from {limit:g} % on, where the alert is.",
        "percentunit",
        PromQL(f"max({_PG_USED})"),
        size=(6, 5),
        onward=LINKS,
        steps=((0, look.GOOD), (limit / 100 * 0.8, look.WARNING), (limit / 100, look.BAD)),
    )


def redis_memory_now() -> AnyPanel:
    return look.number(
        "Redis memory",
        "What its data and its buffers take.",
        "bytes",
        PromQL(f"sum(redis_memory_used_bytes{{{REDIS}}})"),
        size=(6, 5),
        onward=LINKS,
    )


def nginx_now() -> AnyPanel:
    return look.number(
        "Nginx requests",
        "Per second. Status codes and times come from the services behind it: its status page has none.",
        "reqps",
        PromQL(f"sum(rate(nginx_http_requests_total{{{NGINX}}}[{RATE}]))"),
        size=(6, 5),
        onward=LINKS,
    )


def pg_connections() -> AnyPanel:
    return look.lines(
        "Connections",
        "In use, as a share of what the server allows.",
        "percentunit",
        PromQL(_PG_USED, "{{service}}"),
        size=(6, 7),
        onward=LINKS,
        by_name=True,
        most=1,
        limit=LIMITS.db_connections / 100,
    )


def pg_transactions() -> AnyPanel:
    def ended(how: str) -> str:
        return f"sum(rate(pg_stat_database_xact_{how}{{{PG}}}[{RATE}]))"

    return look.lines(
        "Transactions",
        "Per second, committed and rolled back.",
        "ops",
        PromQL(ended("commit"), "committed"),
        PromQL(ended("rollback"), "rolled back"),
        size=(6, 7),
        onward=LINKS,
        colours={"committed": look.BLUE, "rolled back": look.ORANGE},
    )


def pg_cache() -> AnyPanel:
    hits, reads = (f"sum by (service) (rate(pg_stat_database_blks_{what}{{{PG}}}[{RATE}]))" for what in ("hit", "read"))
    return look.lines(
        "Blocks found in memory",
        "Of all blocks that were asked for, those found in shared buffers. Far below 99 % in steady use it has too few.",
        "percentunit",
        PromQL(f"{hits} / ({hits} + {reads} > 0)", "{{service}}"),
        size=(6, 7),
        onward=LINKS,
        by_name=True,
        most=1,
    )


def pg_locks() -> AnyPanel:
    return look.lines(
        "Oldest transaction",
        "Age of the oldest open transaction. It keeps VACUUM from cleaning up, and others from what it has locked.",
        "s",
        PromQL(f'max by (datname) (pg_stat_activity_max_tx_duration{{{PG},datname!=""}})', "{{datname}}"),
        size=(6, 7),
        onward=LINKS,
        shades=True,
    )


def redis_commands() -> AnyPanel:
    return look.lines(
        "Commands",
        "Commands per second.",
        "ops",
        PromQL(f"sum by (service) (rate(redis_commands_processed_total{{{REDIS}}}[{RATE}]))", "{{service}}"),
        size=(6, 7),
        onward=LINKS,
        by_name=True,
    )


def redis_hits() -> AnyPanel:
    hits, misses = (
        f"sum by (service) (rate(redis_keyspace_{what}_total{{{REDIS}}}[{RATE}]))" for what in ("hits", "misses")
    )
    return look.lines(
        "Keys found",
        "Of all keys that were asked for, those that were there.",
        "percentunit",
        PromQL(f"{hits} / ({hits} + {misses} > 0)", "{{service}}"),
        size=(6, 7),
        onward=LINKS,
        by_name=True,
        most=1,
    )


def redis_memory() -> AnyPanel:
    return look.lines(
        "Memory",
        "In use, and the `maxmemory` that it may have; 0 means that there is none.",
        "bytes",
        PromQL(f"sum(redis_memory_used_bytes{{{REDIS}}})", "used"),
        PromQL(f"sum(redis_memory_max_bytes{{{REDIS}}})", "maxmemory"),
        size=(6, 7),
        onward=LINKS,
        colours={"used": look.BLUE, "maxmemory": look.GREY},
    )


def redis_clients() -> AnyPanel:
    return look.lines(
        "Clients, evictions",
        "Connected clients; keys per second that were evicted to make room; connections per second that were refused.",
        "short",
        PromQL(f"sum(redis_connected_clients{{{REDIS}}})", "clients"),
        PromQL(f"sum(rate(redis_evicted_keys_total{{{REDIS}}}[{RATE}]))", "evicted"),
        PromQL(f"sum(rate(redis_rejected_connections_total{{{REDIS}}}[{RATE}]))", "refused"),
        size=(6, 7),
        onward=LINKS,
        colours={"clients": look.BLUE, "evicted": look.ORANGE, "refused": look.RED},
    )


def nginx_requests() -> AnyPanel:
    return look.lines(
        "Requests",
        "Requests per second, beside yesterday's and last week's.",
        "reqps",
        *compared(f"sum(rate(nginx_http_requests_total{{{NGINX}}}[{RATE}]@past))", "now"),
        size=(8, 7),
        onward=LINKS,
    )


def nginx_connections() -> AnyPanel:
    states = ("reading", "writing", "waiting")
    return look.lines(
        "Connections",
        "Open connections: reading a request, writing an answer, or waiting for the next request.",
        "short",
        *(PromQL(f"sum(nginx_connections_{state}{{{NGINX}}})", state) for state in states),
        size=(8, 7),
        onward=LINKS,
        colours={"reading": look.SKY, "writing": look.BLUE, "waiting": look.GREY},
        stacked=True,
    )


def nginx_dropped() -> AnyPanel:
    accepted, handled = (f"rate(nginx_connections_{what}{{{NGINX}}}[{RATE}])" for what in ("accepted", "handled"))
    return look.lines(
        "Dropped connections",
        "Accepted and not handled, per second: a limit of Nginx or of the kernel was reached.",
        "cps",
        PromQL(f"sum({accepted} - {handled})", "dropped"),
        size=(8, 7),
        onward=LINKS,
        colours={"dropped": look.RED},
    )
