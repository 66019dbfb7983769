"""Every container at rest and under the shop's load, compared with its memory limit, for hosts of different sizes."""

import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import measure
from bench.figures import Row, row
from bench.measure import Cost
from bench.measured_stack import PRODUCTION, created
from examples.shop.load.generator import Generator
from examples.shop.load.profiles import Phase, Profile
from tests.support.ports import publish
from tests.support.shop import deployed_beside
from tests.support.wait import until

RATE = 10
"""Requests per second."""
SETTLE_SECONDS = 20
"""Time after a deployment until the stack counts as at rest."""
REST, LOADED = "at rest", "under load"


def run(hosts: Sequence[str], seconds: float) -> list[Row]:
    """Deploy a stack with Grafana for each value of `memory.host`. Measures it for `seconds` at rest and as long under
    load."""
    return [one for host in hosts for one in _on(host, seconds)]


def _on(host: str, seconds: float) -> list[Row]:
    config = {**PRODUCTION, "memory": {"host": host}, "publish": publish("prometheus")}
    with created(**config) as stack:
        stack.secret("grafana_password", secrets.token_urlsafe())
        stack.up()
        containers = {service: stack.container(service) for service in stack.settings.services}
        costs = {REST: measure.cost(containers, seconds, warm_up=SETTLE_SECONDS)}
        with tempfile.TemporaryDirectory() as folder, deployed_beside(stack, Path(folder)) as shop:
            generator = Generator(shop)
            until(lambda: generator.run(Profile("first", "", (Phase("first", 1, 1),))))
            with ThreadPoolExecutor(1) as pool:
                load = Profile("bench", "", (Phase("bench", seconds + SETTLE_SECONDS, RATE),))
                report = pool.submit(generator.run, load)
                costs[LOADED] = measure.cost(containers, seconds, warm_up=SETTLE_SECONDS)
                assert report.result().requests
    return rows(host, costs)


def rows(host: str, costs: Mapping[str, Mapping[str, Cost]]) -> list[Row]:
    """Rows for each service, and for all together."""
    rest, loaded = costs[REST], costs[LOADED]
    result = [one for service in rest for one in _of(f"{host}: {service}", rest[service], loaded[service])]
    return result + _of(f"{host}: all", _together(rest.values()), _together(loaded.values()))


def _of(subject: str, rest: Cost, loaded: Cost) -> list[Row]:
    return [
        row(subject, "limit", "MiB", rest.limit_mib),
        row(subject, f"memory {REST}", "MiB", rest.peak_mib),
        row(subject, f"memory {LOADED}", "MiB", loaded.peak_mib),
        row(subject, "of its limit", "%", 100 * loaded.peak_mib / loaded.limit_mib),
        row(subject, f"CPU {REST}", "% of a core", 100 * rest.cores),
        row(subject, f"CPU {LOADED}", "% of a core", 100 * loaded.cores),
    ]


def _together(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    return Cost(
        peak_mib=sum(cost.peak_mib for cost in costs),
        limit_mib=sum(cost.limit_mib for cost in costs),
        cores=sum(cost.cores for cost in costs),
    )
