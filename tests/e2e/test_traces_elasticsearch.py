"""Traces in a genuine Elasticsearch: the same is kept, outages of it lose nothing, and what is too old goes."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from docker import DockerClient

from engine.docker_api import execute
from tests.e2e import backups
from tests.support.deployment import Deployment
from tests.support.tracing import Outage, config, counted, exemplars_lead_somewhere, sampled
from tests.support.wait import until
from toolchain.images import for_tests

OLD, OLD_ENOUGH_TO_STAY = "jaeger-span-2026-01-01", "jaeger-span-2026-01-03"
"""Their names are not what they are judged by."""


def _index_of_another_day(client: DockerClient, image: str, volume: str, name: str, days: int) -> None:
    """Puts an index into the volume that was made so many days ago, by a server whose clock is late."""
    server = client.containers.run(
        image,
        environment={
            "discovery.type": "single-node",
            "xpack.security.enabled": "false",
            "ES_JAVA_OPTS": "-Xms256m -Xmx256m",
            "LD_PRELOAD": "/usr/lib/libfaketime.so",
            "FAKETIME": f"-{days}d",
        },
        volumes={volume: {"bind": "/usr/share/elasticsearch/data", "mode": "rw"}},
        name=f"{volume}-{days}",
        mem_limit="1g",
        detach=True,
    )
    try:
        create = ["curl", "-fs", "-X", "PUT", f"http://127.0.0.1:9200/{name}"]
        until(lambda: execute(server, create)[0] == 0, seconds=120)
        server.stop()
    finally:
        server.remove(force=True, v=True)


@pytest.fixture(scope="module")
def stack(
    deploy: Callable[..., AbstractContextManager[Deployment]], client: DockerClient, local_images: Mapping[str, str]
) -> Iterator[Deployment]:
    image = for_tests.image(client, "elasticsearch")
    # By its id: `make restore` looks for a build of its own for each image that is named as one.
    more = {
        "images": {**local_images, "elasticsearch": str(client.images.get(image).id)},
        "grafana": {"enabled": False},
    }
    with deploy(
        "search",
        **config(storage="elasticsearch", memory={"elasticsearch": "1GiB"}),
        **more,
        logs={"shipper": "promtail"},
    ) as deployment:
        # A volume that is there already is what the deployment takes.
        volume = f"{deployment.prefix}-elasticsearch"
        _index_of_another_day(client, image, volume, OLD, days=9)
        _index_of_another_day(client, image, volume, OLD_ENOUGH_TO_STAY, days=7)
        deployment.up()
        yield deployment


def _ask(stack: Deployment, path: str) -> str:
    """What Elasticsearch answers: it is published nowhere."""
    code, page = execute(stack.container("elasticsearch"), ["curl", "-fs", f"http://127.0.0.1:9200{path}"])
    assert code == 0, page
    return page


def _indices(stack: Deployment) -> set[str]:
    return {index["index"] for index in json.loads(_ask(stack, "/_cat/indices/jaeger-*?format=json"))}


def test_all_that_is_wrong_or_slow_is_kept_and_a_tenth_of_the_rest(stack: Deployment) -> None:
    sampled(stack, "shop")


def test_span_metrics_count_every_trace(stack: Deployment) -> None:
    counted(stack, "shop")


def test_every_exemplar_leads_to_a_trace(stack: Deployment) -> None:
    exemplars_lead_somewhere(stack)


def test_its_indices_have_one_shard_and_no_replica(stack: Deployment) -> None:
    until(lambda: len(_indices(stack)) >= 3)  # spans and services, and what was there
    shapes = json.loads(_ask(stack, "/_cat/indices/jaeger-*?format=json&h=index,pri,rep"))
    new = [shape for shape in shapes if shape["index"] not in {OLD, OLD_ENOUGH_TO_STAY}]
    assert new
    assert all((shape["pri"], shape["rep"]) == ("1", "0") for shape in new)
    assert stack.query('elasticsearch_cluster_health_status{color="red"} == 0')


def test_what_is_older_than_the_retention_is_gone_and_nothing_else(stack: Deployment) -> None:
    until(lambda: OLD not in _indices(stack))
    assert OLD_ENOUGH_TO_STAY in _indices(stack)
    [sample] = until(lambda: stack.query("nervous_system_trace_retention_success_timestamp_seconds"))
    assert time.time() - float(sample["value"][1]) < 3600


def test_an_outage_of_elasticsearch_alone_loses_nothing_that_is_kept(stack: Deployment) -> None:
    with Outage(stack, "patient", "elasticsearch") as outage:
        outage.loses_nothing()


def test_jaeger_and_its_storage_away_lose_nothing_that_is_kept(stack: Deployment) -> None:
    with Outage(stack, "unlucky", "jaeger", "elasticsearch") as outage:
        outage.loses_nothing()


# The last one: it takes the stack down.


def test_a_backup_goes_back_in_place_with_promtail_reading_on(stack: Deployment, tmp_path: Path) -> None:
    backups.there_and_back(stack, tmp_path)
