"""Jaeger's file, the storage beside it, and the job that deletes."""

import json
import re
from typing import Any

import pytest

from config.container import Container
from config.images import JAEGER_WITHOUT_SEARCH, pins, version
from config.services.traces import elasticsearch, jaeger, jaeger_es_index_cleaner, opensearch
from config.settings.traces import RETENTION_SUCCESS
from tests.support.program import PINNED_STORAGE, config_of, refusal, settings_of

CLUSTER = {"url": "https://search.example:9200", "user": "tracer"}


def stack(*, secrets: tuple[str, ...] = (), **traces: Any) -> Any:
    return settings_of({"traces": traces, "images": PINNED_STORAGE}, secrets=secrets)


def backend(settings: Any) -> dict[str, Any]:
    [entry] = jaeger.main_file(settings)["extensions"]["jaeger_storage"]["backends"].values()
    [(kind, what)] = entry.items()
    assert kind == settings.traces.storage
    return dict(what)


def test_the_embedded_storage_persists_and_forgets_after_the_retention() -> None:
    settings = stack(retention="2d")
    assert backend(settings)["ttl"] == {"spans": "48h0m0s"}
    assert not backend(settings)["ephemeral"]
    container = jaeger.container(settings)
    assert container.data
    assert container.claims_data
    assert all(path.startswith(f"{container.data}/") for path in backend(settings)["directories"].values())


@pytest.mark.parametrize("storage", ["elasticsearch", "opensearch"])
def test_the_storage_beside_it_has_one_shard_no_replica_and_is_searched_as_far_back_as_it_is_kept(storage: str) -> None:
    config = backend(stack(storage=storage, retention="7d"))
    assert config["server_urls"] == [f"http://{storage}:9200"]
    assert config["indices"]["spans"] == {"shards": 1, "replicas": 0}
    assert config["max_span_age"] == "192h0m0s"
    assert "auth" not in config
    container = jaeger.container(stack(storage=storage))
    assert container.data is None
    assert storage in container.after


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (None, None),
        (f"registry.example:5000/jaeger:2.21.3@sha256:{'a' * 64}", "sync"),
        (f"registry.example/jaeger@sha256:{'a' * 64}", "sync"),
        (pins()["jaeger"].reference.replace(":2.19.0", ""), None),
        ("nervous-system/jaeger:2.13.0-94a0d1", None),
        ("nervous-system/jaeger:v2.20.0", None),
    ],
)
def test_what_its_storage_does_not_take_stays_with_the_collector(image: str | None, mode: str | None) -> None:
    images = PINNED_STORAGE | ({"jaeger": image} if image else {})
    settings = settings_of({"traces": {"storage": "elasticsearch"}, "images": images})
    assert backend(settings).get("write_mode") == mode


def test_a_cluster_that_is_there_already_is_spoken_to_with_a_password_from_a_file() -> None:
    settings = stack(storage="elasticsearch", cluster=CLUSTER, secrets=("traces_password",))
    config = backend(settings)
    assert config["server_urls"] == ["https://search.example:9200"]
    assert config["auth"]["basic"] == {
        "username": "tracer",
        "password_file": "/config/current/secrets/traces_password",
    }
    for container in (jaeger.container(settings), jaeger_es_index_cleaner.container(settings)):
        assert container.config is not None
        assert set(container.config.secrets) == {"traces_password"}
        # By its name, which the certificate has, and through the proxy that is in the users' networks.
        assert container.names == {"search.example": settings.edge.address("scrape_proxy")}
    assert "bind 198." in (
        forward := config_of("scrape_proxy", settings).files["haproxy.cfg"].split("listen cluster")[1]
    )
    assert ":9200" in forward


def test_a_dollar_is_no_variable_of_the_environment() -> None:
    """It reads its file as the collector does, which it is made of."""
    settings = stack(storage="elasticsearch", cluster={**CLUSTER, "user": "a${HOME}"}, secrets=("traces_password",))
    assert "username: a$${HOME}\n" in config_of("jaeger", settings).files[jaeger.MAIN]


def test_span_metrics_are_found_under_the_names_that_the_collector_gives_them() -> None:
    [metrics] = jaeger.main_file(stack())["extensions"]["jaeger_storage"]["metric_backends"].values()
    assert metrics["prometheus"]["latency_unit"] == "s"


@pytest.mark.parametrize(
    ("container_of", "variable"),
    [(elasticsearch.container, "ES_JAVA_OPTS"), (opensearch.container, "OPENSEARCH_JAVA_OPTS")],
    ids=["elasticsearch", "opensearch"],
)
def test_the_heap_is_half_of_the_containers_limit(container_of: Any, variable: str) -> None:
    settings = settings_of({"memory": {"elasticsearch": "2GiB", "opensearch": "2GiB"}})
    container: Container = container_of(settings)
    assert container.environment[variable] == "-Xms1024m -Xmx1024m"
    assert container.environment["node.store.allow_mmap"] == "false"  # or the host's kernel must be set up for it
    assert container.published == {}


@pytest.mark.parametrize(
    ("config", "low", "high", "flood"),
    [
        ({}, 2048, 1536, 1024),
        ({"traces": {"disk": "2GiB"}}, 1024, 768, 512),
        ({"disk": {"budget": "1000GiB"}}, 20480, 15360, 10240),
    ],
)
def test_a_store_of_traces_takes_them_as_long_as_there_are_bytes_for_them_however_large_the_disk(
    config: dict[str, Any], low: int, high: int, flood: int
) -> None:
    for container in (elasticsearch.container, opensearch.container):
        environment = container(settings_of(config)).environment
        watermark = "cluster.routing.allocation.disk.watermark."
        assert {key.removeprefix(watermark): value for key, value in environment.items() if watermark in key} == {
            "low": f"{low}mb",
            "high": f"{high}mb",
            "flood_stage": f"{flood}mb",
        }


def test_opensearch_starts_nothing_beside_itself_and_demands_no_password() -> None:
    """What the entrypoint of the official image does unless it is told not to: a second JVM, demo certificates, and no
    start without OPENSEARCH_INITIAL_ADMIN_PASSWORD."""
    environment = opensearch.container(settings_of()).environment
    for variable in (
        "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI",
        "DISABLE_INSTALL_DEMO_CONFIG",
        "DISABLE_SECURITY_PLUGIN",
    ):
        assert environment[variable] == "true"


def test_elasticsearch_demands_no_password_and_takes_nothing_from_the_internet() -> None:
    environment = elasticsearch.container(settings_of()).environment
    for setting in ("xpack.security.enabled", "xpack.ml.enabled", "ingest.geoip.downloader.enabled"):
        assert environment[setting] == "false"


@pytest.mark.parametrize(
    ("image", "warning"),
    [
        (None, False),
        ("jaegertracing/jaeger:2.20.9", False),
        ("jaegertracing/jaeger:2.21.0", True),
        (f"registry.example:5000/jaeger:v2.22.1@sha256:{'a' * 64}", True),
        ("jaegertracing/jaeger:3.0", True),
        (f"jaegertracing/jaeger@sha256:{'a' * 64}", False),  # nobody knows
    ],
)
def test_a_jaeger_that_grafana_cannot_search_is_told(image: str | None, *, warning: bool) -> None:
    config = {"images": {"jaeger": image}} if image else {}
    notices = settings_of(config, secrets=["grafana_password"]).notices
    assert any("images.jaeger: from 2.21 on" in notice for notice in notices) == warning
    assert not any("images.jaeger" in notice for notice in settings_of(config).notices)  # without Grafana


def test_the_pinned_jaeger_is_one_that_grafana_can_search() -> None:
    current = version(pins()["jaeger"].reference)
    assert current
    assert current < JAEGER_WITHOUT_SEARCH
    assert pins()["jaeger_es_index_cleaner"].tag == pins()["jaeger"].tag


def test_an_index_goes_when_its_last_span_has_had_its_time() -> None:
    text = jaeger_es_index_cleaner.script(stack(storage="elasticsearch", retention="7d"), with_password=False)
    assert "es-index-cleaner-linux 8 http://elasticsearch:9200;" in text
    assert "ES_PASSWORD" not in text


def test_the_password_of_the_cleaner_is_read_from_its_file_when_it_runs() -> None:
    settings = stack(storage="elasticsearch", cluster={**CLUSTER, "user": "it's me"}, secrets=("traces_password",))
    text = jaeger_es_index_cleaner.script(settings, with_password=True)
    assert """ES_USERNAME='it'"'"'s me' ES_PASSWORD="$(cat /config/current/secrets/traces_password)\"""" in text


def test_the_cleaner_tells_when_it_succeeded_in_words_of_otlp() -> None:
    text = jaeger_es_index_cleaner.script(stack(storage="opensearch"), with_password=False)
    [body] = re.findall(r"--post-data '(\{.*\})' http://nervous-test-otel_collector:4318/v1/metrics", text)
    shell = body.replace("'$now'", "1").replace("'$last'", "2")
    [metric] = json.loads(shell)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert metric["name"] == RETENTION_SUCCESS
    assert metric["gauge"]["dataPoints"] == [{"timeUnixNano": "1000000000", "asDouble": 2}]


@pytest.mark.parametrize(
    ("traces", "message"),
    [
        ({"storage": "cassandra"}, "traces.storage: "),
        ({"cluster": CLUSTER}, "traces.cluster: badger is embedded in Jaeger"),
        ({"storage": "elasticsearch", "retention": "12h"}, "traces.retention: 12h is shorter than 1d"),
        ({"storage": "elasticsearch", "retention": "36h"}, "traces.retention: 36h is not a whole number of days"),
        (
            {"storage": "elasticsearch", "cluster": {"url": "https://me:pw@search.example"}},
            "contains a user or password",
        ),
        ({"storage": "elasticsearch", "cluster": CLUSTER}, "traces.cluster.user: needs its password"),
        ({"health_paths": ["health"]}, "traces.health_paths.0"),
    ],
)
def test_what_does_not_fit_together_is_refused(traces: dict[str, Any], message: str) -> None:
    assert message in refusal({"traces": traces, "images": PINNED_STORAGE})
