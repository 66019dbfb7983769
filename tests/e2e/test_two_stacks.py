"""Two stacks of this project on one engine: neither knows of the other."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

import check
from tests.support.deployment import Deployment


@pytest.fixture(scope="module")
def second(deploy: Callable[..., AbstractContextManager[Deployment]], deployment: Deployment) -> Iterator[Deployment]:
    """Beside the shared deployment, with nothing of its own but prefix and ports."""
    assert deployment.containers()
    with deploy("second") as made:
        made.up()
        yield made


def _running(stack: Deployment) -> dict[str, tuple[str, str, int]]:
    """Container → what would differ if anybody had touched it."""
    found: dict[str, Any] = {name: stack.client.containers.get(name).attrs for name in stack.containers()}
    return {
        name: (facts["Id"], facts["State"]["StartedAt"], facts["HostConfig"]["Memory"]) for name, facts in found.items()
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
