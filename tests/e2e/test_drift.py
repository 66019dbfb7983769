"""`make drift` is green when the engine is as declared, and names what was changed by hand.

What the provider never reads back, no such run can see: environment variables, labels, volumes, uploads and networks of
a container (reference: pulumi-docker, "which container properties replace, update, drift"). A network that was
disconnected by hand shows as a target that is down, in the check and in an alert; not here.
"""

import re

import pytest
from docker.errors import NotFound

from tests.support.deployment import Deployment

DRIFT = ("--refresh", "--diff", "--expect-no-changes")
"""As `operate.commands.drift` previews."""


def change_memory(stack: Deployment) -> None:
    stack.container("node_exporter").update(mem_limit="80m", memswap_limit="80m")


def change_restart_policy(stack: Deployment) -> None:
    stack.container("alertmanager").update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 1})


def remove_container(stack: Deployment) -> None:
    stack.container("cadvisor").remove(force=True)


def planned(printed: str, service: str) -> str:
    """What the last part of a preview plans for the container of `service`."""
    plan = printed.rpartition("pulumi:pulumi:Stack: (same)")[2]
    blocks = re.split(r"\n(?= {4}\S)", plan)
    mine = [block for block in blocks if f"docker:index/container:Container::{service}]" in block]
    assert len(mine) == 1, f"{service} is not named in:\n{plan}"
    return mine[0]


def test_nothing_has_drifted_after_an_up(stack: Deployment) -> None:
    stack.preview(*DRIFT)


def test_what_was_changed_by_hand_is_named_and_healed(stack: Deployment) -> None:
    stack.live = None
    before = stack.containers()
    change_memory(stack)
    change_restart_policy(stack)
    remove_container(stack)

    printed = stack.preview(*DRIFT, fails=True)
    assert "no changes were expected" in printed
    assert re.search(r"~ memory\s*: 80 => 64", planned(printed, "node_exporter"))
    assert re.search(r'~ restart\s*: "on-failure" => "unless-stopped"', planned(printed, "alertmanager"))
    assert "(create)" in planned(printed, "cadvisor")
    with pytest.raises(NotFound):  # a preview mends nothing
        stack.container("cadvisor")

    stack.up("--refresh")
    after = stack.containers()
    assert {name for name in before if before[name] != after[name]} == {f"{stack.prefix}-cadvisor"}
    assert stack.container("node_exporter").attrs["HostConfig"]["Memory"] == 64 << 20
    assert stack.container("alertmanager").attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    stack.preview(*DRIFT)
