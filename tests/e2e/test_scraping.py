"""What Prometheus reads besides this project's own services: applications, by list and by label, and containers."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from docker import DockerClient
from docker.models.containers import Container

from check import brought
from config.additions import Additions
from config.container import DIRECTORY
from config.images import pins
from config.settings import own_rules
from engine.docker_api import execute
from tests.e2e.neighbour import LISTENS, REDIRECTS, neighbour
from tests.support import leftovers
from tests.support.deployment import SHORT, Deployment
from tests.support.outside import OPENMETRICS, Outside, gateway
from tests.support.shop import Shop
from tests.support.wait import until

SAMPLE_LIMIT = 20_000
PASSWORD = "of-the-ledger"
RULES = {
    "kind": "PrometheusRule",
    "spec": {
        "groups": [
            {
                "name": "orders",
                "rules": [
                    {"alert": "Entries", "expr": 'entries_total{job="ledger"} > 1000'},
                    {"alert": "Refunds", "expr": "rate(refunds_total[5m]) > 0"},
                    {"alert": "Hosts", "expr": "node_load1 > 1000"},
                ],
            }
        ]
    },
}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
QUIET = "orders_total 7\n"

WITH_EXEMPLARS = f"""\
# TYPE request_duration_seconds histogram
request_duration_seconds_bucket{{le="0.1"}} 3
request_duration_seconds_bucket{{le="1.0"}} 5 # {{trace_id="{TRACE_ID}"}} 0.7
request_duration_seconds_bucket{{le="+Inf"}} 6
request_duration_seconds_count 6
request_duration_seconds_sum 4.2
# EOF
"""


@pytest.fixture(scope="module")
def shop(client: DockerClient) -> Iterator[Shop]:
    with Shop(client, f"{leftovers.new_prefix()}-shop") as own_shop:
        yield own_shop


@pytest.fixture(scope="module")
def billing(shop: Shop) -> Iterator[Outside]:
    """An application outside Docker."""
    with Outside(gateway(shop.client, shop.name), metrics=QUIET) as server:
        yield server


@pytest.fixture(scope="module")
def ledger(shop: Shop) -> Iterator[Outside]:
    """Another one, which a scrape config of the user's own names."""
    with Outside(gateway(shop.client, shop.name), metrics="entries_total 7\n") as server:
        yield server


@pytest.fixture(scope="module")
def stack(
    deploy: Callable[..., AbstractContextManager[Deployment]], shop: Shop, billing: Outside, ledger: Outside
) -> Iterator[Deployment]:
    applications = {"static": [{"service": "billing", "targets": [billing.host_port]}]}
    with deploy(
        "scraping",
        networks=[shop.name],
        metrics={**SHORT, "applications": applications, "limits": {"samples": SAMPLE_LIMIT}},
    ) as deployment:
        login = {"username": "me", "password_file": "scrape_ledger"}
        job = {"job_name": "ledger", "static_configs": [{"targets": [ledger.host_port]}], "basic_auth": login}
        (deployment.folder / "jobs.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
        (deployment.folder / "orders.rules").write_text(yaml.safe_dump(RULES))
        deployment.config["metrics"]["scrape_files"] = ["jobs.yml"]
        deployment.config["alerts"] = {"rule_files": ["*.rules"]}
        deployment.secret("scrape_ledger", PASSWORD)
        deployment.up()
        yield deployment


@pytest.fixture(scope="module")
def node_exporter(local_images: Mapping[str, str]) -> str:
    """An image that serves metrics where it is told to."""
    return local_images.get("node_exporter") or pins()["node_exporter"].reference


@pytest.fixture
def run(shop: Shop, node_exporter: str) -> Iterator[Callable[..., Container]]:
    """Starts an application as a container of the user."""
    started: list[Container] = []

    def run(service: str, *, port: int = 9100, path: str = "/metrics", **arguments: Any) -> Container:
        command = [f"--web.listen-address=:{port}", f"--web.telemetry-path={path}"]
        container = shop.start(
            service,
            node_exporter,
            [*command, "--collector.disable-defaults", "--collector.time", "--web.disable-exporter-metrics"],
            **arguments,
        )
        started.append(container)
        return container

    yield run
    for container in started:
        shop.remove(container)


def test_a_job_of_the_users_own_is_read_with_a_password_that_shows_nowhere(stack: Deployment) -> None:
    [target] = until(lambda: _up(stack, "ledger"))
    assert (target["labels"]["job"], target["scrapePool"]) == ("ledger", "ledger")
    container = stack.container("prometheus")
    code, text = execute(container, ["cat", f"{DIRECTORY}/secrets/scrape_ledger"])
    assert (code, text) == (0, PASSWORD)
    assert PASSWORD not in json.dumps(container.attrs) + container.logs().decode() + stack.state()


def test_rules_on_what_nobody_exposes_are_named_and_no_others(stack: Deployment) -> None:
    until(lambda: _up(stack, "ledger"))
    texts = own_rules.read(stack.settings.alerts.rule_files, stack.folder, stack_key="rules")
    additions = Additions(rules=texts)
    wanted = "2 of 3 can have data; nobody exposes refunds_total"
    until(lambda: [one.detail for one in brought.findings(stack.client, stack.settings, additions)] == [wanted])


def _scrape_me(port: int, **more: str) -> dict[str, str]:
    return {"observability.scrape": "true", "observability.port": str(port)} | {
        f"observability.{key}": value for key, value in more.items()
    }


def _targets(stack: Deployment, service: str) -> list[dict[str, Any]]:
    active = stack.get("prometheus", "/api/v1/targets", state="active")["data"]["activeTargets"]
    return [target for target in active if target["labels"].get("service") == service]


def _up(stack: Deployment, service: str) -> list[dict[str, Any]]:
    """The targets of `service`, once all are read without fault."""
    targets = _targets(stack, service)
    return targets if targets and all(target["health"] == "up" for target in targets) else []


def test_an_application_of_the_static_list_is_read(stack: Deployment, billing: Outside) -> None:
    [target] = until(lambda: _up(stack, "billing"))
    assert target["labels"] == {"job": "application", "service": "billing", "instance": billing.host_port}
    [sample] = until(lambda: stack.query("orders_total"))
    assert sample["value"][1] == "7"


def test_a_container_with_the_labels_of_others_is_read(stack: Deployment, run: Callable[..., Container]) -> None:
    labels = {"prometheus.io/scrape": "true", "prometheus.io/port": "8001", "prometheus.io/path": "/custom"}
    container = run("web", port=8001, path="/custom", labels={**labels, "observability.service": "users"})
    [target] = until(lambda: _up(stack, "users"), seconds=25)
    assert target["labels"] == {"job": "application", "service": "users", "instance": f"{container.name}:8001"}


@pytest.mark.parametrize("where", ["in the user's network", "in the network that the stack has for it", "in both"])
def test_a_container_that_asks_for_it_is_found_read_once_and_forgotten(
    where: str, stack: Deployment, shop: Shop, run: Callable[..., Container]
) -> None:
    apps = stack.settings.apps_network
    networks = {
        "in the user's network": (shop.name,),
        "in the network that the stack has for it": (apps,),
        "in both": (shop.name, apps),
    }[where]
    container = run(
        "web",
        port=8000,
        path="/custom",
        labels=_scrape_me(8000, path="/custom", service="orders"),
        networks=networks,
    )
    [target] = until(lambda: _up(stack, "orders"), seconds=25)
    assert target["labels"] == {"job": "application", "service": "orders", "instance": f"{container.name}:8000"}
    assert target["scrapeUrl"].endswith(":8000/custom")
    assert len(until(lambda: stack.query('node_time_seconds{service="orders"}'))) == 1

    shop.remove(container)
    until(lambda: not _targets(stack, "orders"), seconds=25)
    until(lambda: not stack.query('up{service="orders"}'))


def test_a_container_is_called_by_its_compose_service_else_by_its_name(
    stack: Deployment, run: Callable[..., Container]
) -> None:
    run("one", labels=_scrape_me(9100) | {"com.docker.compose.service": "checkout"})
    plain = run("two", labels=_scrape_me(9100))
    until(lambda: _up(stack, "checkout"), seconds=25)
    until(lambda: _up(stack, str(plain.name)), seconds=25)


def test_a_container_out_of_reach_or_without_the_label_is_no_target(
    stack: Deployment, run: Callable[..., Container]
) -> None:
    run("far", labels=_scrape_me(9100, service="far"), networks=("bridge",))
    run("mute", labels={"observability.service": "mute"})
    run("refused", labels=_scrape_me(9100, service="refused") | {"observability.scrape": "false"})
    run("near", labels=_scrape_me(9100, service="near"))
    until(lambda: _up(stack, "near"), seconds=25)
    assert not [service for service in ("far", "mute", "refused") if _targets(stack, service)]


def test_an_application_that_serves_too_many_samples_fails_its_scrape_and_an_alert_says_so(
    stack: Deployment, billing: Outside
) -> None:
    before = len(stack.query("{__name__='flood'}"))
    billing.metrics = "".join(f'flood{{n="{n}"}} 1\n' for n in range(SAMPLE_LIMIT + 1))
    try:
        [target] = until(lambda: [one for one in _targets(stack, "billing") if one["health"] == "down"])
        assert target["lastError"] == "sample limit exceeded"
        assert stack.query('up{service="billing"} == 0')
        assert len(stack.query("{__name__='flood'}")) == before == 0
        until(lambda: stack.rules()["ScrapeLimitHit/warning"]["state"] == "firing")
    finally:
        billing.metrics = QUIET
    until(lambda: _up(stack, "billing"))


def test_exemplars_are_kept_with_their_trace_ids(stack: Deployment, billing: Outside) -> None:
    billing.metrics, billing.metrics_type = WITH_EXEMPLARS, OPENMETRICS

    def stored() -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = stack.get(
            "prometheus",
            "/api/v1/query_exemplars",
            query="request_duration_seconds_bucket",
            start="0",
            end="4102444800",
        )["data"]
        return result

    [series] = until(stored)
    assert series["seriesLabels"]["service"] == "billing"
    assert [exemplar["labels"] for exemplar in series["exemplars"]] == [{"trace_id": TRACE_ID}]


def test_histograms_are_kept_native_and_classic(stack: Deployment) -> None:
    name = "prometheus_http_request_duration_seconds"
    native = until(lambda: stack.query(f"{name}{{handler='/metrics'}}"))
    assert native[0]["histogram"][1]["buckets"]
    assert stack.query(f"{name}_bucket{{handler='/metrics'}}")


def test_containers_are_measured_by_service_without_ids(stack: Deployment, run: Callable[..., Container]) -> None:
    labelled = run("labelled", labels={"observability.service": "orders", "com.docker.compose.service": "no"})
    composed = run("composed", labels={"com.docker.compose.service": "checkout"})
    named = run("named")
    expected = {labelled.name: "orders", composed.name: "checkout", named.name: named.name}

    def measured() -> dict[Any, Any]:
        samples = stack.query('container_memory_working_set_bytes{name=~".+-(labelled|composed|named)"}')
        services = {sample["metric"]["name"]: sample["metric"]["service"] for sample in samples}
        return {name: services[name] for name in expected}

    assert until(measured) == expected
    for sample in stack.query('{job="cadvisor",__name__=~"container_.+"}'):
        series = sample["metric"]
        # The image is told once for each container: dashboards mark when it changed.
        assert "image" not in series or series["__name__"] == "container_start_time_seconds", series
        assert not {label for label in series if label.startswith("container_label_")}, series
        assert series.get("id", "/") == "/", series


def test_traffic_and_connections_are_those_of_the_host_and_not_of_node_exporters_container(stack: Deployment) -> None:
    def value(query: str) -> float:
        [sample] = stack.query(query)
        return float(sample["value"][1])

    received = _bytes_through_loopback()
    until(lambda: value('node_network_receive_bytes_total{device="lo"}') >= received)
    assert value('node_network_receive_bytes_total{device="lo"}') <= _bytes_through_loopback()
    # The container's own network tracks none, or a few.
    tracked = int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
    until(lambda: value("node_nf_conntrack_entries") >= tracked / 2)
    assert value("node_nf_conntrack_entries_limit") == int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())


def _bytes_through_loopback() -> int:
    [line] = [line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:")]
    return int(line.split()[1])


UNBOUNDED = {
    "__name__": "metrics, not a dimension of one",
}
"""Labels that may have a hundred values or more, and why."""


def test_no_label_of_any_metric_has_a_hundred_values(stack: Deployment) -> None:
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sample in stack.query('{__name__=~".+"}'):
        series = sample["metric"]
        for label, value in series.items():
            values[series["__name__"], label].add(value)
    assert len(values) > 1000
    over = {key: len(labels) for key, labels in values.items() if len(labels) >= 100 and key[1] not in UNBOUNDED}
    assert not over, json.dumps({f"{metric}.{label}": count for (metric, label), count in over.items()})


@pytest.mark.parametrize(
    "target",
    [
        "http://loki:3100/ingester/shutdown",
        "http://alertmanager:9093/-/healthy",
        "http://127.0.0.1:9090/-/quit",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_an_application_that_answers_with_a_redirect_leads_nowhere(target: str, stack: Deployment, shop: Shop) -> None:
    before = stack.started("loki")
    with neighbour(stack, shop.name, scrape="true", port="8000", service="turned") as bad:
        bad.listens(8000, REDIRECTS, target)
        refused = "server returned HTTP status 302 Found"
        until(lambda: [one for one in _targets(stack, "turned") if one["lastError"] == refused], seconds=25)
        until(lambda: bad.request_lines)
    assert stack.started("loki") == before
    assert requests.get(f"{stack.past_front('loki')}/ready", timeout=10).ok


def test_who_is_called_as_a_service_of_the_stack_gets_nothing_of_it(stack: Deployment, shop: Shop) -> None:
    """Whichever name of it, and whoever looks it up next: Prometheus and the collector have just started."""
    names = ("alertmanager", "jaeger", "loki", "api_proxy", "scrape_proxy", "prometheus")
    aliases = tuple(alias for name in names for alias in (name, f"{stack.prefix}-{name}", f"{name}.{stack.prefix}"))
    with neighbour(stack, shop.name, aliases=aliases) as bad:
        for port in (9093, 3100, 9090, 8080):
            bad.listens(port, LISTENS)
        for service in ("prometheus", "otel_collector", "scrape_proxy"):
            stack.container(service).restart(timeout=30)
        until(lambda: _up(stack, "billing"), seconds=60)
        until(lambda: stack.query("prometheus_notifications_sent_total > 0"), seconds=60)  # the Watchdog, at least
        assert not bad.request_lines
