"""The services of each stack, as descriptions: the module with a service's name has a function `container`,
which an exporter of servers gives its own name, such as ``redis_exporter-2``."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from config.brought import Dashboard
from config.catalogue import row_of
from config.container import Container
from config.own_jobs import OwnJob
from config.row import Stack
from config.services.correlation import grafana
from config.services.metrics import prometheus, scrape_proxy
from config.settings import Settings


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
    row = row_of(service)
    module = import_module(f"config.services.{row.stack}.{row.name}")
    container: Container = module.container(settings, service) if row.board else module.container(settings)
    return container


def of_stack(
    stack: Stack,
    settings: Settings,
    *,
    own_rules: Mapping[str, str] | None = None,
    own_jobs: Sequence[OwnJob] = (),
    dashboards: Mapping[str, Dashboard] | None = None,
) -> tuple[Container, ...]:
    """Descriptions of the services of one stack that the settings select; arguments as in `describe`."""
    selected = (service for service in settings.services if row_of(service).stack == stack)
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
