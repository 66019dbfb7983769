"""The real CLI with the real pack: bad changes end at the preview, and nothing is touched.

Each policy's own tests are in `tests/policy`, and so is the whole table of changes. Here every policy judges once, on a
stack that is never up.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from pulumi_policy import EnforcementLevel

from tests.e2e.deployment import Deployment
from tests.policy.changes import BAD, DIGEST
from tests.policy.engine import level, policies
from tests.policy.program import Change, Edit

PACK = ("--policy-pack", "policies")

TOGETHER = {
    "memory": ("three times the memory for everybody", "a limit with swap"),
    "what is kept and told": (
        "raw paths as a dimension of span metrics",
        "logs for a year",
        "half of the errors",
        "Loki's reports",
    ),
    "exposure": (
        "an image without a digest",
        "Prometheus for everybody",
        "a volume whose name is the socket",
        "the host's processes",
        "a password in the environment",
        "a plugin of the engine",
        "a command of somebody else's",
    ),
    "operation": (
        "no health checks",
        "logs without an end",
        "a loader that loads for ever",
        "volumes that nobody says are kept",
    ),
}
"""Bad changes made at once: a preview takes seconds, and names the policies one by one."""


@pytest.fixture(scope="module")
def prod(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """A stack with the defaults, for which the policies are as strict as they get."""
    with deploy("prod-policies") as made:
        made.config = {"prefix": made.prefix, "images": made.config["images"]}
        yield made


@contextlib.contextmanager
def changed(stack: Deployment, *changes: Change) -> Iterator[None]:
    """`stack` with `changes`; afterwards as it was."""
    before, config = stack.config, [key for change in changes for key in change.config]
    assert len(config) == len(set(config)), "one of them undoes another"
    stack.config = {**before, **{key: value for change in changes for key, value in change.config.items()}}
    try:
        with contextlib.ExitStack() as edits:
            for edit in filter(None, (change.edit for change in changes)):
                edits.enter_context(stack.edited(edit.path, edit.old, edit.new))
            yield
    finally:
        stack.config = before


def of_level(level: str, printed: str) -> set[str]:
    """The policies that the CLI names as violated."""
    return set(re.findall(rf"\[{level}\].*?\]\s+([a-z-]+)\s+\(", printed))


def violated(printed: str) -> set[str]:
    """The mandatory ones."""
    return of_level("mandatory", printed)


def with_level(wanted: EnforcementLevel) -> set[str]:
    """The pack's policies that are mandatory, or advice."""
    return {name for name, policy in policies().items() if level(policy) is wanted}


def untouched(stack: Deployment) -> bool:
    """Whether neither the engine nor the state has anything of `stack`."""
    networks = stack.client.networks.list(filters={"name": f"^{stack.prefix}$"})
    volumes = [volume for volume in stack.client.volumes.list() if str(volume.name).startswith(f"{stack.prefix}-")]
    state = json.loads(stack.pulumi("stack", "export"))["deployment"].get("resources", [])
    return not (stack.containers() or networks or volumes or state)


def test_the_stack_as_it_is_passes(prod: Deployment) -> None:
    printed = prod.preview(*PACK)
    assert violated(printed) == set()
    assert "can't run policy" not in printed
    assert re.search(r"nervous-system@v[\d.]+ \(local: policies\)", printed)


@pytest.mark.parametrize("topic", TOGETHER)
def test_bad_changes_end_at_the_preview_and_touch_nothing(prod: Deployment, topic: str) -> None:
    changes = [BAD[name] for name in TOGETHER[topic]]
    with changed(prod, *(change for change, _ in changes)):
        prod.write()
        command = ["up", "--yes"] if topic == "operation" else ["preview"]  # an update begins with a preview, too
        printed = prod.pulumi(*command, *PACK, fails=True)
    assert violated(printed) == set().union(*(stopped_by for _, stopped_by in changes)), printed
    assert untouched(prod)


def test_every_mandatory_policy_has_judged_one_of_them() -> None:
    judged = {policy for names in TOGETHER.values() for name in names for policy in BAD[name][1]}
    assert judged == with_level(EnforcementLevel.MANDATORY)


def test_advice_is_printed_and_blocks_nothing(prod: Deployment) -> None:
    prod.write()
    taken = sum(prod.settings.memory_mib(service) for service in prod.settings.services)
    (prod.folder / "own.yml").write_text("groups: [{name: shop, rules: [{alert: QueueLong, expr: queue > 9}]}]")
    old = {**prod.config["images"], "prometheus": f"docker.io/prom/prometheus:v2.53.0@{DIGEST}"}
    advised = Change({"memory": {"ceiling": f"{taken}MiB"}, "alerts": {"rule_files": ["own.yml"]}, "images": old})
    with changed(prod, advised):
        printed = prod.preview(*PACK)
    assert violated(printed) == set()
    assert of_level("advisory", printed) == with_level(EnforcementLevel.ADVISORY)


def test_a_limit_that_nobody_knows_before_the_update_is_a_violation(prod: Deployment) -> None:
    of_pulled_image = Edit(
        "components/service.py", "            memory=memory,\n", "            memory=images[0].image_id.apply(len),\n"
    )
    with changed(prod, Change(edit=of_pulled_image)):
        printed = prod.preview(*PACK, fails=True)
    assert "memory is not known before the update" in printed
    assert {"memory-limit", "memory-ceiling"} <= violated(printed)
    assert "can't run policy" not in printed


def test_what_the_config_of_the_pack_allows_is_let_through(prod: Deployment) -> None:
    config = {"ports-on-loopback": {"allowed": {"api_proxy:9090": "a firewall is in front of it"}}}
    (prod.folder / "policies.json").write_text(json.dumps(config))
    with changed(prod, BAD["Prometheus for everybody"][0]):
        printed = prod.preview(*PACK, "--policy-pack-config", "policies.json")
    assert violated(printed) == set()
