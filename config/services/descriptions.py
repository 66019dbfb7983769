"""The services of each stack, as descriptions: the module with a service's name has a function `container`,
which an exporter of servers gives its own name, such as ``redis_exporter-2``."""

from importlib import import_module

from config.additions import NONE, Additions
from config.catalogue import row_of
from config.container import Container
from config.row import Stack
from config.services.correlation import grafana
from config.services.metrics import prometheus, prometheus_agent, scrape_proxy
from config.settings import Settings


def describe(service: str, settings: Settings, additions: Additions = NONE) -> Container:
    """Description of one service."""
    if service == "prometheus":
        if settings.role == "edge":
            return prometheus_agent.container(settings, additions)
        return prometheus.container(settings, additions)
    if service == "scrape_proxy":
        return scrape_proxy.container(settings, additions.jobs)
    if service == "grafana":
        return grafana.container(settings, additions.dashboards)
    row = row_of(service)
    module = import_module(f"config.services.{row.stack}.{row.name}")
    container: Container = module.container(settings, service) if row.board else module.container(settings)
    return container


def of_stack(stack: Stack, settings: Settings, additions: Additions = NONE) -> tuple[Container, ...]:
    """Descriptions of the services of one stack that the settings select."""
    selected = (service for service in settings.services if row_of(service).stack == stack)
    return tuple(describe(service, settings, additions) for service in selected)


KEEPING: tuple[Stack, ...] = ("metrics", "traces", "correlation", "logs")


def keepers(settings: Settings) -> tuple[Container, ...]:
    """Services with data that must survive, in the order of a backup: those that forward their data come first.

    Loki comes last, because a line is in Loki only seconds after the shipper has recorded its position on disk.
    """
    containers = [one for stack in KEEPING for one in of_stack(stack, settings)]
    return tuple(sorted((one for one in containers if one.data), key=lambda one: not one.forwards_data))


def data_volumes(settings: Settings) -> tuple[str, ...]:
    """Names of the volumes with data that must survive."""
    return tuple(f"{settings.prefix}-{container.service}" for container in keepers(settings))
