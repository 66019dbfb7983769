"""Metrics: Prometheus, Alertmanager, and an exporter for each thing that is watched."""

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from components.service import Service
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
from config.settings import Settings

DESCRIBED_BY = {
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


class MetricsStack(pulumi.ComponentResource):
    """Prometheus with Alertmanager, and the exporters that the settings select."""

    services: dict[str, Service]

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        own_rules: Mapping[str, str],
        network: docker.Network,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("nervous-system:index:MetricsStack", name, None, opts)
        self.services = {}
        for service in settings.services:
            spec = (
                prometheus.container(settings, own_rules)
                if service == "prometheus"
                else DESCRIBED_BY[service](settings)
            )
            self.services[service] = Service(
                spec, settings=settings, network=network, secrets=secrets, opts=pulumi.ResourceOptions(parent=self)
            )
        self.register_outputs({})
