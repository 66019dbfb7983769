"""The services of each stack, as descriptions."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.brought import Dashboard
from config.catalogue import ROWS, Stack
from config.container import Container
from config.own_jobs import OwnJob
from config.services.correlation import caddy, grafana
from config.services.logs import alloy, loki, promtail
from config.services.metrics import (
    alertmanager,
    api_proxy,
    blackbox_exporter,
    cadvisor,
    elasticsearch_exporter,
    mongodb_exporter,
    nginx_exporter,
    node_exporter,
    postgres_exporter,
    prometheus,
    redis_exporter,
    scrape_proxy,
    socket_proxy,
)
from config.services.traces import elasticsearch, jaeger, jaeger_es_index_cleaner, opensearch, otel_collector
from config.settings import Settings

_DESCRIPTIONS = {
    "alertmanager": alertmanager.container,
    "node_exporter": node_exporter.container,
    "cadvisor": cadvisor.container,
    "socket_proxy": socket_proxy.container,
    "api_proxy": api_proxy.container,
    "postgres_exporter": postgres_exporter.container,
    "redis_exporter": redis_exporter.container,
    "nginx_exporter": nginx_exporter.container,
    "blackbox_exporter": blackbox_exporter.container,
    "mongodb_exporter": mongodb_exporter.container,
    "elasticsearch_exporter": elasticsearch_exporter.container,
    "loki": loki.container,
    "alloy": alloy.container,
    "promtail": promtail.container,
    "otel_collector": otel_collector.container,
    "elasticsearch": elasticsearch.container,
    "opensearch": opensearch.container,
    "jaeger": jaeger.container,
    "jaeger_es_index_cleaner": jaeger_es_index_cleaner.container,
    "caddy": caddy.container,
}


def describe(
    service: str,
    settings: Settings,
    *,
    own_rules: Mapping[str, str] | None = None,
    own_jobs: Sequence[OwnJob] = (),
    dashboards: Mapping[str, Dashboard] | None = None,
) -> Container:
    """Description of one service. `own_rules`: file name → text of your own rule files; `dashboards`: uid → dashboard."""
    if service == "prometheus":
        return prometheus.container(settings, own_rules or {}, own_jobs, dashboards or {})
    if service == "scrape_proxy":
        return scrape_proxy.container(settings, own_jobs)
    if service == "grafana":
        return grafana.container(settings, dashboards or {})
    return _DESCRIPTIONS[service](settings)


def of_stack(
    stack: Stack,
    settings: Settings,
    *,
    own_rules: Mapping[str, str] | None = None,
    own_jobs: Sequence[OwnJob] = (),
    dashboards: Mapping[str, Dashboard] | None = None,
) -> tuple[Container, ...]:
    """Descriptions of the services of one stack that the settings select; arguments as in `describe`."""
    selected = (service for service in settings.services if ROWS[service].stack == stack)
    brought: dict[str, Any] = {"own_rules": own_rules, "own_jobs": own_jobs, "dashboards": dashboards}
    return tuple(describe(service, settings, **brought) for service in selected)


KEEPING: tuple[Stack, ...] = ("metrics", "traces", "correlation", "logs")


def keepers(settings: Settings) -> tuple[Container, ...]:
    """Services with data that must survive, in the order of a backup: those that forward their data come first.

    Loki comes last, because a line is in Loki only seconds after the shipper has recorded its position on disk.
    """
    containers = [one for stack in KEEPING for one in of_stack(stack, settings)]
    return tuple(sorted((one for one in containers if one.data), key=lambda one: not one.hands_on))


def data_volumes(settings: Settings) -> tuple[str, ...]:
    """Names of the volumes with data that must survive."""
    return tuple(f"{settings.prefix}-{container.service}" for container in keepers(settings))
