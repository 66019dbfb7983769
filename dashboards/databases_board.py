"""The dashboard of PostgreSQL, Redis and Nginx, from the metrics of their exporters."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel
from dashboards.queries import PromQL, compared
from dashboards.signal_series import CHOSEN

CONNECTIONS = AlertThreshold(("db_connections",))
LINKS = panel_links.infrastructure_links()
PG, REDIS, NGINX = (f'job="{name}_exporter",{CHOSEN}' for name in ("postgres", "redis", "nginx"))
VALUES = 'label_values(up{job=~"(postgres|redis|nginx)_exporter"}, service)'
RATE = "$__rate_interval"


def dashboard() -> Dashboard:
    return board(
        "databases",
        "PostgreSQL, Redis and Nginx",
        "Availability, load, and distance from limits.",
        Row((answers(), pg_connections_now(), redis_memory_now(), nginx_now())),
        Row((pg_connections(), pg_transactions(), pg_cache(), pg_locks()), "PostgreSQL"),
        Row((redis_commands(), redis_hits(), redis_memory(), redis_clients()), "Redis"),
        Row((nginx_requests(), nginx_connections(), nginx_dropped()), "Nginx"),
        variables=(choice("service", "Service", "The databases and proxies to look at.", VALUES),),
    )


def answers() -> AnyPanel:
    return panels.bar_gauge(
        "Answers the exporter",
        "1: the service accepted the exporter's last connection. 0: it did not.",
        "short",
        PromQL(f"max by (service) (pg_up{{{PG}}} or redis_up{{{REDIS}}} or nginx_up{{{NGINX}}})", "{{service}}"),
        size=(6, 5),
        links=LINKS,
        steps=((0, colours.BAD), (1, colours.GOOD)),
        maximum=1,
    )


_PG_USED = (
    f"sum by (service) (pg_stat_database_numbackends{{{PG}}}) / max by (service) (pg_settings_max_connections{{{PG}}})"
)


def pg_connections_now() -> AnyPanel:
    return panels.stat(
        "PostgreSQL connections",
        f"Connections in use, as a share of the maximum of the server. {CONNECTIONS.sentence()}",
        "percentunit",
        PromQL(f"max({_PG_USED})"),
        size=(6, 5),
        links=LINKS,
        steps=panels.alert_steps(CONNECTIONS),
    )


def redis_memory_now() -> AnyPanel:
    return panels.stat(
        "Redis memory",
        "Memory used by data and buffers.",
        "bytes",
        PromQL(f"sum(redis_memory_used_bytes{{{REDIS}}})"),
        size=(6, 5),
        links=LINKS,
    )


def nginx_now() -> AnyPanel:
    return panels.stat(
        "Nginx requests",
        "Requests per second. The status page of Nginx has no status codes and no response times: look at the services behind it.",
        "reqps",
        PromQL(f"sum(rate(nginx_http_requests_total{{{NGINX}}}[{RATE}]))"),
        size=(6, 5),
        links=LINKS,
    )


def pg_connections() -> AnyPanel:
    return panels.timeseries(
        "Connections",
        "Connections in use, as a share of the maximum of the server.",
        "percentunit",
        PromQL(_PG_USED, "{{service}}"),
        size=(6, 7),
        links=LINKS,
        service_colours=True,
        maximum=1,
        threshold=CONNECTIONS,
    )


def pg_transactions() -> AnyPanel:
    def ended(how: str) -> str:
        return f"sum(rate(pg_stat_database_xact_{how}{{{PG}}}[{RATE}]))"

    return panels.timeseries(
        "Transactions",
        "Transactions per second, committed and rolled back.",
        "ops",
        PromQL(ended("commit"), "committed"),
        PromQL(ended("rollback"), "rolled back"),
        size=(6, 7),
        links=LINKS,
        colours={"committed": colours.BLUE, "rolled back": colours.ORANGE},
    )


def pg_cache() -> AnyPanel:
    hits, reads = (f"sum by (service) (rate(pg_stat_database_blks_{what}{{{PG}}}[{RATE}]))" for what in ("hit", "read"))
    return panels.timeseries(
        "Buffer hit ratio",
        "Share of requested blocks found in shared buffers. Far below 99 % in steady use, there are too few buffers.",
        "percentunit",
        PromQL(f"{hits} / ({hits} + {reads} > 0)", "{{service}}"),
        size=(6, 7),
        links=LINKS,
        service_colours=True,
        maximum=1,
    )


def pg_locks() -> AnyPanel:
    return panels.timeseries(
        "Oldest transaction",
        "Age of the oldest open transaction. It keeps VACUUM from cleaning up, and other transactions from what it has locked.",
        "s",
        PromQL(f'max by (datname) (pg_stat_activity_max_tx_duration{{{PG},datname!=""}})', "{{datname}}"),
        size=(6, 7),
        links=LINKS,
        shades=True,
    )


def redis_commands() -> AnyPanel:
    return panels.timeseries(
        "Commands",
        "Commands per second.",
        "ops",
        PromQL(f"sum by (service) (rate(redis_commands_processed_total{{{REDIS}}}[{RATE}]))", "{{service}}"),
        size=(6, 7),
        links=LINKS,
        service_colours=True,
    )


def redis_hits() -> AnyPanel:
    hits, misses = (
        f"sum by (service) (rate(redis_keyspace_{what}_total{{{REDIS}}}[{RATE}]))" for what in ("hits", "misses")
    )
    return panels.timeseries(
        "Key hit ratio",
        "Share of requested keys that existed.",
        "percentunit",
        PromQL(f"{hits} / ({hits} + {misses} > 0)", "{{service}}"),
        size=(6, 7),
        links=LINKS,
        service_colours=True,
        maximum=1,
    )


def redis_memory() -> AnyPanel:
    return panels.timeseries(
        "Memory",
        "Memory in use, and its limit `maxmemory`; 0 means no limit.",
        "bytes",
        PromQL(f"sum(redis_memory_used_bytes{{{REDIS}}})", "used"),
        PromQL(f"sum(redis_memory_max_bytes{{{REDIS}}})", "maxmemory"),
        size=(6, 7),
        links=LINKS,
        colours={"used": colours.BLUE, "maxmemory": colours.GREY},
    )


def redis_clients() -> AnyPanel:
    return panels.timeseries(
        "Clients, evictions",
        "Connected clients, keys evicted per second to make room, and connections refused per second.",
        "short",
        PromQL(f"sum(redis_connected_clients{{{REDIS}}})", "clients"),
        PromQL(f"sum(rate(redis_evicted_keys_total{{{REDIS}}}[{RATE}]))", "evicted"),
        PromQL(f"sum(rate(redis_rejected_connections_total{{{REDIS}}}[{RATE}]))", "refused"),
        size=(6, 7),
        links=LINKS,
        colours={"clients": colours.BLUE, "evicted": colours.ORANGE, "refused": colours.RED},
    )


def nginx_requests() -> AnyPanel:
    return panels.timeseries(
        "Requests",
        "Requests per second, compared with yesterday and last week.",
        "reqps",
        *compared(f"sum(rate(nginx_http_requests_total{{{NGINX}}}[{RATE}]@past))", "now"),
        size=(8, 7),
        links=LINKS,
    )


def nginx_connections() -> AnyPanel:
    states = ("reading", "writing", "waiting")
    return panels.timeseries(
        "Connections",
        "Open connections by state: reading a request, writing a response, or waiting for the next request.",
        "short",
        *(PromQL(f"sum(nginx_connections_{state}{{{NGINX}}})", state) for state in states),
        size=(8, 7),
        links=LINKS,
        colours={"reading": colours.SKY, "writing": colours.BLUE, "waiting": colours.GREY},
        stacked=True,
    )


def nginx_dropped() -> AnyPanel:
    accepted, handled = (f"rate(nginx_connections_{what}{{{NGINX}}}[{RATE}])" for what in ("accepted", "handled"))
    return panels.timeseries(
        "Dropped connections",
        "Connections per second that were accepted and not handled, because Nginx or the kernel had reached a limit.",
        "cps",
        PromQL(f"sum({accepted} - {handled})", "dropped"),
        size=(8, 7),
        links=LINKS,
        colours={"dropped": colours.RED},
    )
