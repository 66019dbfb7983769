"""Two stacks of this project on one engine: neither knows of the other, unless one of them is an edge."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests

import check
from config.services.correlation import caddy
from engine.docker_api import execute
from tests.support import wait
from tests.support.deployment import CALM, Deployment
from tests.support.outside import gateway
from tests.support.ports import free_port, publish


@pytest.fixture(scope="module")
def second(deploy: Callable[..., AbstractContextManager[Deployment]], deployment: Deployment) -> Iterator[Deployment]:
    """Beside the shared deployment, with nothing of its own but prefix and ports."""
    assert deployment.containers()
    with deploy("second") as stack:
        stack.up()
        yield stack


def _running(stack: Deployment) -> dict[str, tuple[str, str, int]]:
    """Container → what would differ if anybody had touched it."""
    containers: dict[str, Any] = {name: stack.client.containers.get(name).attrs for name in stack.containers()}
    return {
        name: (facts["Id"], facts["State"]["StartedAt"], facts["HostConfig"]["Memory"])
        for name, facts in containers.items()
    }


def _broken(stack: Deployment) -> list[str]:
    return [f"{finding.what}: {finding.detail}" for finding in check.run(stack.settings) if not finding.kept]


def test_a_change_of_one_leaves_the_others_containers_alone(second: Deployment, deployment: Deployment) -> None:
    others, own = _running(deployment), second.containers()
    second.config["memory"] = {**second.config["memory"], "alertmanager": "80MiB"}
    second.config["metrics"] = {**second.config["metrics"], "exemplars": 1000}
    second.config["publish"] = {**second.config["publish"], "alertmanager": None}  # replaces a container
    second.up()
    assert second.containers() != own
    assert _running(deployment) == others


def test_both_keep_all_promises_of_the_check(second: Deployment, deployment: Deployment) -> None:
    assert _broken(deployment) == []
    assert _broken(second) == []


def test_each_scrapes_its_own(second: Deployment, deployment: Deployment) -> None:
    addresses = [
        {
            target["scrapeUrl"].replace(f"{stack.prefix}-", ""): target["health"]
            for target in stack.get("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        }
        for stack in (deployment, second)
    ]
    assert addresses[0] == addresses[1]  # by name, each in its own networks
    starts = [stack.query('process_start_time_seconds{job="prometheus"}') for stack in (deployment, second)]
    assert starts[0][0]["value"][1] != starts[1][0]["value"][1]


def test_the_end_of_one_leaves_the_other_whole(second: Deployment, deployment: Deployment) -> None:
    others = _running(deployment)
    volumes = _volumes(deployment)
    second.pulumi("destroy", "--yes", "--skip-preview")
    assert not second.containers()
    assert _running(deployment) == others
    assert _volumes(deployment) == volumes
    assert _broken(deployment) == []
    deployment.preview("--refresh", "--expect-no-changes")


def _volumes(stack: Deployment) -> set[str]:
    names = {str(volume.name) for volume in stack.client.volumes.list()}
    return {name for name in names if name.startswith(f"{stack.prefix}-")}


# One of them is an edge of the other.

CREDENTIAL = "the-credential-of-web-2-in-this-test"


@pytest.fixture(scope="module")
def edge(deploy: Callable[..., AbstractContextManager[Deployment]], deployment: Deployment) -> Iterator[Deployment]:
    """A stack that sends to the shared deployment, which becomes its centre."""
    host, port = gateway(deployment.client, "bridge"), free_port()
    door = {"domain": host, "certificate": "internal"}
    deployment.config |= {"edges": {"web-2": {}}, "door": door, "host_name": "centre"}
    deployment.config["publish"] = {**deployment.config["publish"], "caddy": f"0.0.0.0:{port}"}
    deployment.secret("edge_password_web-2", CREDENTIAL)
    deployment.up()
    authority = f"{caddy.DATA}/caddy/pki/authorities/local/root.crt"
    _, pem = execute(deployment.container("caddy"), ["cat", authority])
    with deploy("edge") as stack:
        stack.config = {
            "prefix": stack.config["prefix"],
            "images": stack.config["images"],
            "role": "edge",
            "host_name": "web-2",
            "centre": {"url": f"https://{host}:{port}", "ca": pem.replace("\n", " ")},
            "metrics": {key: CALM[key] for key in ("scrape_interval", "scrape_timeout")},
            "publish": publish("prometheus", "otlp_http"),
        }
        stack.secret("centre_password", CREDENTIAL)
        stack.up()
        yield stack


def test_a_centre_and_its_edge_keep_all_promises_of_the_check(edge: Deployment, deployment: Deployment) -> None:
    assert _broken(edge) == []
    assert _broken(deployment) == []


def test_an_edge_fits_its_limits(edge: Deployment, record_property: Callable[[str, object], None]) -> None:
    used = {}
    for service in edge.settings.services:
        answer: Any = edge.container(service).stats(stream=False)
        stats = answer["memory_stats"]
        used[service] = (stats["usage"] - stats["stats"].get("inactive_file", 0)) / 2**20
    record_property(
        "memory of an edge, MiB", {name: round(mib) for name, mib in used.items()} | {"all": sum(used.values())}
    )
    assert sum(used.values()) < 350


def test_what_happens_on_an_edge_is_seen_at_its_centre_under_its_name(edge: Deployment, deployment: Deployment) -> None:
    """Metrics of the host and its containers, lines of containers, spans."""
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "edge", "kind": 2}
    now = time.time_ns()
    span |= {"startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now), "status": {"code": 2}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "on-the-edge"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})
    requests.post(
        f"{edge.url('otlp_http')}/v1/traces", body, headers={"Content-Type": "application/json"}, timeout=10
    ).raise_for_status()

    def arrival() -> bool:
        assert deployment.query('node_time_seconds{host="web-2"}')
        assert deployment.query(f'container_memory_working_set_bytes{{host="web-2",name="{edge.prefix}-alloy"}}')
        assert deployment.query('up{host="centre",job="node_exporter"}')
        counted = 'traces_span_metrics_calls_total{service="on-the-edge"}'
        assert deployment.query(counted)
        streams = deployment.get("loki", "/loki/api/v1/query_range", query='{host="web-2"}')["data"]["result"]
        assert streams
        assert not deployment.query('up{host="web-2"} == 0')
        return True

    wait.until(arrival, seconds=120)
