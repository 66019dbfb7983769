"""The stacks: each is a component above its services."""

from collections.abc import Iterable, Mapping

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.service import Service
from config.container import Container
from config.settings import Settings


class Stack(pulumi.ComponentResource):
    """The services that `specs` describe, in `networks` (`config/settings/networks.py`). The name of a subclass is the
    last part of its type token."""

    services: dict[str, Service]

    def __init__(
        self,
        name: str,
        specs: Iterable[Container],
        settings: Settings,
        *,
        networks: Mapping[str, docker.Network],
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__(f"nervous-system:index:{type(self).__name__}", name, None, opts)
        self.services = {}
        for spec in specs:  # a service comes after those that it waits for
            self.services[spec.service] = Service(
                spec,
                settings=settings,
                networks=networks,
                secrets=secrets,
                after=[self.services[name].proved for name in spec.after if name in self.services],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


class MetricsStack(Stack):
    """Prometheus with Alertmanager, and the exporters that the settings select."""


class LogStack(Stack):
    """Loki, and the shipper that the settings select."""


class TraceStack(Stack):
    """The OpenTelemetry Collector, Jaeger, and the storage that the settings select."""


class Correlation(Stack):
    """Grafana and what is in front of it, if the settings select them."""


def annotation(stacks: Iterable[Stack], settings: Settings) -> command.local.Command:
    """A command that reports each deployment that changes a service, once all services are proven healthy."""
    services = {name: service for stack in stacks for name, service in stack.services.items()}
    order = {
        "docker": settings.docker.model_dump(),
        "asker": f"{settings.prefix}-prometheus",
        "environment": settings.environment,
        "services": {name: dict(service.running) for name, service in services.items()},
    }
    result = command.local.Command(
        "annotation",
        create=".venv/bin/python -m engine.annotation",
        environment={"ORDER": pulumi.Output.json_dumps(order)},
        logging=command.local.Logging.NONE,
        opts=pulumi.ResourceOptions(depends_on=[service.proved for service in services.values()]),
    )

    def show(words: str) -> None:
        if words:
            pulumi.warn(words, result)

    if not pulumi.runtime.is_dry_run():
        result.stderr.apply(show)  # the lines that the provider shows vanish when the command ends
    return result
