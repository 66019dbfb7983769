"""Metrics: Prometheus, Alertmanager, and an exporter for each thing that is watched."""

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from components.service import Service
from config import services
from config.settings import Settings


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
        self.services = {
            spec.service: Service(
                spec, settings=settings, network=network, secrets=secrets, opts=pulumi.ResourceOptions(parent=self)
            )
            for spec in services.metrics(settings, own_rules)
        }
        self.register_outputs({})
