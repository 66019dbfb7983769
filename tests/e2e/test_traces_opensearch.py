"""Traces in a genuine OpenSearch: kept as by the other storages."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from docker import DockerClient

from tests.e2e.deployment import Deployment
from tests.e2e.tracing import config, counted, sampled
from tests.e2e.wait import until
from toolchain.images import for_tests


def test_the_same_is_kept_and_counted_and_the_retention_runs(
    deploy: Callable[..., AbstractContextManager[Deployment]], client: DockerClient, local_images: Mapping[str, str]
) -> None:
    images = {"images": {**local_images, "opensearch": for_tests.image(client, "opensearch")}}
    with deploy("opensearch", **config(storage="opensearch", memory={"opensearch": "1GiB"}), **images) as stack:
        stack.up()
        sampled(stack, "shop")
        counted(stack, "shop")
        until(lambda: stack.query("nervous_system_trace_retention_success_timestamp_seconds > 0"))
        assert stack.query('elasticsearch_cluster_health_status{service="opensearch",color="red"} == 0')
