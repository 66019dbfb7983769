"""Frameworks of other people beside a stack (`tests/strangers`): the golden signals say of each what the load generator knows.

The stack's alerts look at the last half minute where they usually look at five, and wait a few seconds.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from statistics import quantiles

import pytest
import requests
from docker import DockerClient
from tenacity import RetryError

from config.alerts import golden_signals, response_times
from config.images import pins
from tests.e2e.answers import answer, of_others, of_past, of_source
from tests.strangers import products
from tests.strangers.load import FAILING_EACH, RATE, Load, Request
from tests.strangers.programs import CLIENT_GOLANG, EXPRESS, FLASK, PLAIN, PROGRAMS, Program, running
from tests.support import dashboard_queries, leftovers, tracing
from tests.support.deployment import SHORT, Deployment
from tests.support.outside import gateway
from tests.support.ports import free_port
from tests.support.shop import Shop
from tests.support.wait import until
from toolchain.images import pulling

WINDOW = 30
FASTER = [
    ("config/alerts/golden_signals.py", "[5m]", f"[{WINDOW}s]"),
    ("config/alerts/response_times.py", "[5m]", f"[{WINDOW}s]"),
    ("config/alerts/applications.py", 'wait="5m"', 'wait="4s"'),
]
CADDY = Program("caddy-front", "Caddy", lambda *_: (), active=True)
"""A container, which is found by its label."""
STRANGERS: dict[str, Program] = {program.name: program for program in (*PROGRAMS, CADDY)}
FAILING = frozenset(STRANGERS)
"""They get requests that fail."""
TWINS = {f"{program.name}-well": program for program in (FLASK, EXPRESS, CLIENT_GOLANG)}
"""They get no request that fails."""
SERVICES = STRANGERS | TWINS
PATIENCE = 60
"""Seconds until the stack must agree with what is measured."""
QUERIES = [
    query
    for query in dashboard_queries.queries()
    if query.board == "golden-signals" and not of_past(query) and not of_others(query)
]
OF_NO_PANEL = ("variable", "annotation")


@dataclass(frozen=True)
class Place:
    """A stack, the strangers beside it, and who asks them."""

    stack: Deployment
    load: Load

    def requests_of(self, service: str) -> list[Request]:
        """The requests of the last half minute: those that the recorded series are about."""
        now = time.time()
        return self.load.of(service, now - WINDOW, now)

    def value_of(self, recorded: str, service: str) -> float:
        """What a recorded series says of a service now."""
        [sample] = self.stack.query(f'{recorded}{{service="{service}"}}')
        return float(sample["value"][1])

    def agree(self, measure: Callable[[], tuple[float, ...]], within: Callable[..., bool]) -> None:
        """Waits until what the stack says and what was measured agree: what is sent comes in steps, and late on a busy
        machine."""
        values: tuple[float, ...] = ()

        def look() -> bool:
            nonlocal values
            values = measure()
            return within(*values)

        with suppress(RetryError):
            until(look, seconds=PATIENCE)
        assert within(*values), f"the stack says {values[0]:.4g}, measured are {values[1:]}"


CADDYFILE = """\
{
	metrics
}
:8080 {
	encode gzip
	reverse_proxy %s
}
:2020 {
	metrics
}
"""


def _caddy(network: Shop, image: str, behind: str) -> str:
    """Caddy in front of a service without any metric: its address."""
    pulling.pull(network.client, [image])
    container = network.start(
        "caddy",
        image,
        ["sh", "-c", 'printf %s "$CADDYFILE" | caddy run --config - --adapter caddyfile'],
        labels={"prometheus.io/scrape": "true", "prometheus.io/port": "2020", "observability.service": CADDY.name},
        environment={"CADDYFILE": CADDYFILE % behind},
    )
    container.reload()
    return f"http://{container.attrs['NetworkSettings']['Networks'][network.name]['IPAddress']}:8080"


def _answers(url: str) -> bool:
    return requests.get(url, timeout=5).ok


@pytest.fixture(scope="module")
def place(
    deploy: Callable[..., AbstractContextManager[Deployment]],
    client: DockerClient,
    local_images: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    products.make()
    logs = tmp_path_factory.mktemp("logs")
    with Shop(client, f"{leftovers.new_prefix()}-strangers") as network, ExitStack() as resources:
        host = gateway(client, network.name)
        ports = {service: free_port() for service in (*SERVICES, PLAIN.name)}
        static = [
            {"service": service, "targets": [f"{host}:{ports[service]}"], "path": program.page}
            for service, program in SERVICES.items()
            if program.page and program is not CADDY
        ]
        config = tracing.config()
        stack = resources.enter_context(deploy("strangers", networks=[network.name], **config))
        stack.config["metrics"] |= {**SHORT, "applications": {"static": static}}
        for path, usual, faster in FASTER:
            resources.enter_context(stack.edited(path, usual, faster))
        deployed = resources.enter_context(ThreadPoolExecutor(1)).submit(stack.up)
        telemetry = {name: stack.url(name) for name in ("otlp_http", "otlp_grpc")}
        for service, program in {**SERVICES, PLAIN.name: PLAIN}.items():
            if program is not CADDY:
                log = logs / f"{service}.log"
                resources.enter_context(
                    running(program, service, host=host, port=ports[service], log=log, telemetry=telemetry)
                )
        urls = {service: f"http://{host}:{ports[service]}" for service in SERVICES}
        image = local_images.get("caddy") or pins()["caddy"].reference
        urls[CADDY.name] = _caddy(network, image, f"{host}:{ports[PLAIN.name]}")
        deployed.result()
        for url in urls.values():
            until(partial(_answers, url), seconds=120)
        scraped = [service for service, program in SERVICES.items() if program.page]
        until(lambda: len(stack.query('up{job="application"} == 1')) == len(scraped))
        with Load(urls, FAILING) as load:
            until(lambda: load.of(CADDY.name, 0, time.time() - WINDOW))
            yield Place(stack, load)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_rate_is_what_was_sent(place: Place, service: str) -> None:
    def rates() -> tuple[float, float]:
        return place.value_of(golden_signals.REQUESTS, service), len(place.requests_of(service)) / WINDOW

    place.agree(rates, lambda rate, measurement: abs(rate / measurement - 1) <= 0.05 and measurement > 0.9 * RATE)


def test_the_share_of_errors_is_what_was_answered(place: Place, service: str) -> None:
    def shares() -> tuple[float, float]:
        sample = place.requests_of(service)
        failed = sum(request.status >= 500 for request in sample)
        return place.value_of(golden_signals.ERROR_RATIO, service), failed / len(sample)

    expected = 1 / FAILING_EACH if service in FAILING else 0
    place.agree(shares, lambda ratio, failed: abs(ratio - failed) <= 0.02 and abs(failed - expected) <= 0.01)


def test_the_p95_is_at_most_one_bucket_off(place: Place, service: str) -> None:
    buckets = place.stack.query(f'{response_times.BUCKETS}{{service="{service}"}}')
    bounds = sorted(float(sample["metric"]["le"]) for sample in buckets)
    if not SERVICES[service].quantiles:
        assert not bounds
        return

    def percentiles() -> tuple[float, float, float]:
        sample = place.requests_of(service)
        measured, late = (_p95(values) for values in zip(*((one.seconds, one.late) for one in sample), strict=True))
        return place.value_of(response_times.quantile(95), service), measured - late, measured

    def within(quantile: float, least: float, most: float) -> bool:
        first, place_of_quantile, last = (bisect_left(bounds, seconds) for seconds in (least, quantile, most))
        return first - 1 <= place_of_quantile <= last + 1

    place.agree(percentiles, within)


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20)[-1]


def test_each_is_counted_once_and_by_the_source_that_is_meant(place: Place, service: str) -> None:
    [counted] = place.stack.query(f'{golden_signals.REQUESTS}{{service="{service}"}}')
    assert counted["metric"]["source"] == SERVICES[service].source
    if SERVICES[service].telemetry:  # its spans are the second source
        spans = f'traces_span_metrics_calls_total{{service="{service}",span_kind="SPAN_KIND_SERVER"}}'
        assert until(lambda: place.stack.query(f"{spans} > 0"))


def test_the_dashboards_list_each(place: Place) -> None:
    [query] = [query for query in QUERIES if query.panel == "variable" and query.ref == "service"]
    assert set(answer(place.stack, query)) >= set(SERVICES)  # and the containers of others on this host


def test_the_dashboard_of_one_service_has_data(place: Place, service: str) -> None:
    program = SERVICES[service]
    expected = {"Requests", "Errors", "Counted by", "Traffic", "Requests by route", "Answers by status"}
    expected |= {"Instances up"} if program.page else set()
    expected |= {"p95", "Latency", "p95 by route"} if program.quantiles else set()
    expected |= {"Active requests"} if program.active else set()
    expected |= {"Operations", "Kept traces", "Called by"} if program.telemetry else set()
    expected |= {"CPU", "Memory, share of limit"} if program is CADDY else set()
    panels = {
        query.panel: query for query in QUERIES if query.source == "prometheus" and query.panel not in OF_NO_PANEL
    }

    def titles() -> set[str]:
        variables = {"service": service, **of_source(place.stack, service)}
        return {title for title, query in panels.items() if answer(place.stack, query, **variables)}

    with suppress(RetryError):
        until(lambda: titles() == expected, seconds=PATIENCE)
    assert titles() == expected


def test_the_alert_about_errors_fires_for_those_that_fail_and_for_no_other(place: Place) -> None:
    firing = 'max_over_time(ALERTS{alertname="ApplicationErrorsHigh",alertstate="firing"}[10m])'

    def fired() -> set[str]:
        return {sample["metric"]["service"] for sample in place.stack.query(firing)}

    with suppress(RetryError):
        until(lambda: fired() >= FAILING, seconds=PATIENCE)
    assert fired() == FAILING
