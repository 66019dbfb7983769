"""What `pulumi destroy` leaves, and what a new deployment finds again."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
import requests

from tests.e2e.deployment import Deployment
from tests.e2e.wait import until


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    with deploy("down") as made:
        # A secret makes one more container, with an anonymous volume.
        made.secret("slack_webhook", "http://127.0.0.1:9/slack")
        made.up()
        yield made


def _volumes(stack: Deployment) -> set[str]:
    """Of all containers of the stack, the anonymous ones too."""
    return {
        mount["Name"]
        for name in stack.containers()
        for mount in stack.client.containers.get(name).attrs["Mounts"]
        if mount["Type"] == "volume"
    }


def test_only_data_volumes_are_left_and_a_new_deployment_goes_on_with_them(stack: Deployment) -> None:
    until(lambda: stack.query("up == 1"))
    then = f"{time.time():.3f}"
    before = stack.get("prometheus", "/api/v1/query", query="up", time=then)["data"]["result"]
    silence = {
        "matchers": [{"name": "alertname", "value": "Old", "isRegex": False}],
        "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
        "createdBy": "test",
        "comment": "survives",
    }
    requests.post(f"{stack.url('alertmanager')}/api/v2/silences", json=silence, timeout=10).raise_for_status()
    volumes = _volumes(stack)
    data = {f"{stack.prefix}-prometheus", f"{stack.prefix}-alertmanager"}
    assert len(volumes - data) >= 3  # config volumes, and the secrets' anonymous one

    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.containers() == {}
    assert stack.prefix not in {str(network.name) for network in stack.client.networks.list()}
    left = {str(volume.name) for volume in stack.client.volumes.list()}
    assert left & volumes == data
    assert {name for name in left if name.startswith(f"{stack.prefix}-")} == data

    stack.up()
    assert stack.get("prometheus", "/api/v1/query", query="up", time=then)["data"]["result"] == before
    assert [found["comment"] for found in stack.get("alertmanager", "/api/v2/silences")] == ["survives"]
    stack.up("--expect-no-changes")
