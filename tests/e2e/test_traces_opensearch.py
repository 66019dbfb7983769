"""Traces in a genuine OpenSearch: kept as by the other storages."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest
from docker import DockerClient

from tests.support.deployment import Deployment
from tests.support.tracing import config, counted, sampled
from tests.support.wait import until
from toolchain.images import for_tests


@pytest.fixture(scope="module")
def stack(
    deploy: Callable[..., AbstractContextManager[Deployment]], client: DockerClient, local_images: Mapping[str, str]
) -> Iterator[Deployment]:
    image = for_tests.image(client, "opensearch")
    more = {"images": {**local_images, "opensearch": str(client.images.get(image).id)}, "grafana": {"enabled": False}}
    small = config(storage="opensearch", memory={"opensearch": "1GiB"})
    with deploy("opensearch", **small, **more) as deployment:
        deployment.up()
        yield deployment


def test_the_same_is_kept_and_counted_and_the_retention_runs(stack: Deployment) -> None:
    sampled(stack, "shop")
    counted(stack, "shop")
    until(lambda: stack.query("nervous_system_trace_retention_success_timestamp_seconds > 0"))
    assert stack.query('elasticsearch_cluster_health_status{service="opensearch",color="red"} == 0')
