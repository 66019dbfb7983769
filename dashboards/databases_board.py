"""The dashboard of databases, queues and web servers, from the metrics of their exporters, or their own."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import (
    colours,
    kafka_panels,
    memcached_panels,
    mongodb_panels,
    mysql_panels,
    panel_links,
    panels,
    php_fpm_panels,
    postgres_panels,
    rabbitmq_panels,
    redis_panels,
    units,
)
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, compared, top
from dashboards.signal_series import CHOSEN

CONNECTIONS = AlertThreshold(("db_connections",))
LINKS = panel_links.infrastructure_links()
PG, REDIS, NGINX = (f'job="{name}_exporter",{CHOSEN}' for name in ("postgres", "redis", "nginx"))
VALUES = 'label_values(up{job=~"(postgres|mysqld|mongodb|redis|memcached|nginx)_exporter|(rabbitmq|kafka|php_fpm)_page"}, service)'
UP = " or ".join(
    (
        f"pg_up{{{PG}}}",
        mysql_panels.UP,
        mongodb_panels.UP,
        f"redis_up{{{REDIS}}}",
        memcached_panels.UP,
        f"nginx_up{{{NGINX}}}",
        rabbitmq_panels.UP,
        kafka_panels.UP,
        php_fpm_panels.UP,
    )
)
RATE = "$__rate_interval"
NO_POSTGRES, NO_REDIS, NO_NGINX = (f"none yet: see exporters.{name}" for name in ("postgres", "redis", "nginx"))
"""Shown where there is no such service. docs/configuration.md has the keys."""


def dashboard() -> Dashboard:
    return board(
        "databases",
        "Databases and Nginx",
        "Availability, load, and distance from limits.",
        Row((answers(), pg_connections_now(), redis_memory_now(), nginx_now())),
        Row((pg_connections(), pg_transactions(), pg_cache(), pg_locks()), "PostgreSQL"),
        postgres_panels.row(),
        mysql_panels.row(),
        mongodb_panels.row(),
        Row((redis_commands(), redis_hits(), redis_memory(), redis_clients(), redis_limits()), "Redis"),
        redis_panels.row(),
        memcached_panels.row(),
        rabbitmq_panels.row(),
        kafka_panels.row(),
        Row((nginx_requests(), nginx_connections(), nginx_dropped()), "Nginx", closed=True),
        php_fpm_panels.row(),
        variables=(choice("service", "Service", "The databases and proxies to look at.", VALUES),),
    )


def answers() -> AnyPanel:
    return panels.stat(
        "State",
        "Whether each service answered when it was last asked.",
        units.WORDS,
        PromQL(f"max by (service) ({UP})", "{{service}}"),
        size=(6, 6),
        links=LINKS,
        words={0: ("down", colours.BAD), 1: ("up", colours.GOOD)},
        named=True,
        missing="none yet: name them in `exporters` of the stack file",
    )


_PG_USED = (
    f"sum by (service) (pg_stat_database_numbackends{{{PG}}}) / max by (service) (pg_settings_max_connections{{{PG}}})"
)


def pg_connections_now() -> AnyPanel:
    return panels.stat(
        "PostgreSQL connections",
        f"Connections in use, as a share of the maximum of the server. {CONNECTIONS.sentence()}",
        units.SHARE,
        PromQL(f"max({_PG_USED})"),
        size=(6, 6),
        links=LINKS,
        missing=NO_POSTGRES,
        steps=panels.alert_steps(CONNECTIONS),
    )


def redis_memory_now() -> AnyPanel:
    return panels.stat(
        "Redis memory",
        "Memory used by data and buffers.",
        units.BYTES,
        PromQL(f"sum(redis_memory_used_bytes{{{REDIS}}})"),
        size=(6, 6),
        links=LINKS,
        missing=NO_REDIS,
    )


def nginx_now() -> AnyPanel:
    return panels.stat(
        "Nginx requests",
        "Requests per second. The status page of Nginx has no status codes and no response times: look at the services behind it.",
        units.REQUESTS,
        PromQL(f"sum(rate(nginx_http_requests_total{{{NGINX}}}[{RATE}]))"),
        size=(6, 6),
        links=LINKS,
        missing=NO_NGINX,
    )


def pg_connections() -> AnyPanel:
    return panels.timeseries(
        "Connections",
        "Connections in use, as a share of the maximum of the server.",
        units.SHARE,
        *top(_PG_USED, count=FEW, rest=False),
        size=(6, 8),
        links=LINKS,
        missing=NO_POSTGRES,
        maximum=1,
        threshold=CONNECTIONS,
    )


def pg_transactions() -> AnyPanel:
    def ended(how: str) -> str:
        return f"sum(rate(pg_stat_database_xact_{how}{{{PG}}}[{RATE}]))"

    return panels.timeseries(
        "Transactions",
        "Transactions per second, committed and rolled back.",
        units.OPERATIONS,
        PromQL(ended("commit"), "committed"),
        PromQL(ended("rollback"), "rolled back"),
        size=(6, 8),
        links=LINKS,
        missing=NO_POSTGRES,
        colours={"committed": colours.BLUE, "rolled back": colours.ORANGE},
    )


def pg_cache() -> AnyPanel:
    hits, reads = (f"sum by (service) (rate(pg_stat_database_blks_{what}{{{PG}}}[{RATE}]))" for what in ("hit", "read"))
    return panels.timeseries(
        "Buffer hit ratio",
        "Share of requested blocks found in shared buffers. Far below 99 % in steady use, there are too few buffers.",
        units.SHARE,
        *top(f"{hits} / ({hits} + {reads} > 0)", count=FEW, rest=False),
        size=(6, 8),
        links=LINKS,
        missing=NO_POSTGRES,
        maximum=1,
    )


def pg_locks() -> AnyPanel:
    return panels.timeseries(
        "Oldest transaction",
        "Age of the oldest open transaction. It keeps VACUUM from cleaning up, and other transactions from what it has locked.",
        units.SECONDS,
        *top(
            f'max by (datname) (pg_stat_activity_max_tx_duration{{{PG},datname!=""}})', "datname", count=FEW, rest=False
        ),
        size=(6, 8),
        links=LINKS,
        missing=NO_POSTGRES,
    )


def redis_commands() -> AnyPanel:
    return panels.timeseries(
        "Commands",
        "Commands per second.",
        units.OPERATIONS,
        *top(f"sum by (service) (rate(redis_commands_processed_total{{{REDIS}}}[{RATE}]))"),
        size=(8, 7),
        links=LINKS,
        missing=NO_REDIS,
    )


def redis_hits() -> AnyPanel:
    hits, misses = (
        f"sum by (service) (rate(redis_keyspace_{what}_total{{{REDIS}}}[{RATE}]))" for what in ("hits", "misses")
    )
    return panels.timeseries(
        "Key hit ratio",
        "Share of requested keys that existed.",
        units.SHARE,
        *top(f"{hits} / ({hits} + {misses} > 0)", rest=False),
        size=(8, 7),
        links=LINKS,
        missing=NO_REDIS,
        maximum=1,
    )


def redis_memory() -> AnyPanel:
    return panels.timeseries(
        "Memory",
        "Memory in use, and its limit `maxmemory`, if it has one.",
        units.BYTES,
        PromQL(f"sum(redis_memory_used_bytes{{{REDIS}}})", "used"),
        PromQL(f"sum(redis_memory_max_bytes{{{REDIS}}}) > 0", "maxmemory"),
        size=(8, 7),
        links=LINKS,
        missing=NO_REDIS,
        colours={"used": colours.BLUE, "maxmemory": colours.GREY},
    )


def redis_clients() -> AnyPanel:
    return panels.timeseries(
        "Clients",
        "Connected clients.",
        units.counted("clients"),
        PromQL(f"sum(redis_connected_clients{{{REDIS}}})", "clients"),
        size=(12, 7),
        links=LINKS,
        missing=NO_REDIS,
    )


def redis_limits() -> AnyPanel:
    return panels.timeseries(
        "Evicted, refused",
        "Keys evicted per second to make room, and connections refused per second.",
        units.OPERATIONS,
        PromQL(f"sum(rate(redis_evicted_keys_total{{{REDIS}}}[{RATE}]))", "evicted"),
        PromQL(f"sum(rate(redis_rejected_connections_total{{{REDIS}}}[{RATE}]))", "refused"),
        size=(12, 7),
        links=LINKS,
        colours={"evicted": colours.ORANGE, "refused": colours.RED},
        missing=NO_REDIS,
    )


def nginx_requests() -> AnyPanel:
    return panels.timeseries(
        "Requests",
        "Requests per second, compared with yesterday and last week.",
        units.REQUESTS,
        *compared(f"sum(rate(nginx_http_requests_total{{{NGINX}}}[{RATE}]@past))", "requests"),
        size=(8, 7),
        links=LINKS,
        missing=NO_NGINX,
    )


def nginx_connections() -> AnyPanel:
    states = ("reading", "writing", "waiting")
    return panels.timeseries(
        "Connections",
        "Open connections by state: reading a request, writing a response, or waiting for the next request.",
        units.counted("connections"),
        *(PromQL(f"sum(nginx_connections_{state}{{{NGINX}}})", state) for state in states),
        size=(8, 7),
        links=LINKS,
        missing=NO_NGINX,
        colours={"reading": colours.SKY, "writing": colours.BLUE, "waiting": colours.GREY},
        stacked=True,
    )


def nginx_dropped() -> AnyPanel:
    accepted, handled = (f"rate(nginx_connections_{what}{{{NGINX}}}[{RATE}])" for what in ("accepted", "handled"))
    return panels.timeseries(
        "Dropped connections",
        "Connections per second that were accepted and not handled, because Nginx or the kernel had reached a limit.",
        units.CONNECTIONS,
        PromQL(f"sum({accepted} - {handled})", "dropped"),
        size=(8, 7),
        links=LINKS,
        missing=NO_NGINX,
        colours={"dropped": colours.RED},
    )
