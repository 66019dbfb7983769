"""Which services make up each stack, as descriptions."""

from collections.abc import Mapping

from config import (
    alertmanager,
    blackbox_exporter,
    cadvisor,
    elasticsearch_exporter,
    mongodb_exporter,
    nginx_exporter,
    node_exporter,
    postgres_exporter,
    prometheus,
    redis_exporter,
    socket_proxy,
)
from config.container import Container
from config.settings import Settings

_METRICS = {
    "alertmanager": alertmanager.container,
    "node_exporter": node_exporter.container,
    "cadvisor": cadvisor.container,
    "socket_proxy": socket_proxy.container,
    "postgres_exporter": postgres_exporter.container,
    "redis_exporter": redis_exporter.container,
    "nginx_exporter": nginx_exporter.container,
    "blackbox_exporter": blackbox_exporter.container,
    "mongodb_exporter": mongodb_exporter.container,
    "elasticsearch_exporter": elasticsearch_exporter.container,
}


def describe(service: str, settings: Settings, own_rules: Mapping[str, str]) -> Container:
    """One service. `own_rules`: file name → text of the user's own rule files."""
    if service == "prometheus":
        return prometheus.container(settings, own_rules)
    return _METRICS[service](settings)


def metrics(settings: Settings, own_rules: Mapping[str, str]) -> tuple[Container, ...]:
    """What of the MetricsStack the settings select."""
    return tuple(describe(service, settings, own_rules) for service in settings.services)


def data_volumes(settings: Settings) -> tuple[str, ...]:
    """The volumes that hold what must survive."""
    return tuple(f"{settings.prefix}-{container.service}" for container in metrics(settings, {}) if container.data)
