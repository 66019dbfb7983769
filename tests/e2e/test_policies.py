"""The real CLI with the real pack: bad changes end at the preview, and nothing is touched.

The tests of each policy are in `tests/policy`, and so are all changes. Here every policy judges once, on a stack that is never
deployed.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from pulumi_policy import EnforcementLevel

from tests.policy.changed_program import ROOT, Change
from tests.policy.changes import BAD, DIGEST
from tests.policy.pack_host import level, policies
from tests.support.deployment import Deployment

PACK = ("--policy-pack", "policies")

TOGETHER = {
    "telemetry": (
        "three times the memory for every service",
        "a limit with swap",
        "raw paths as a dimension of span metrics",
        "logs for a year",
        "half of the errors",
        "Loki's reports",
    ),
    "operation": (
        "an image without a digest",
        "Prometheus for everybody",
        "the folder of the Docker socket in the log shipper",
        "a proxy of the Docker socket that passes everything on",
        "the host's processes",
        "a password in the environment",
        "a plugin of the engine",
        "an unknown command",
        "another engine",
        "a password as an output",
        "no health checks",
        "logs that are not rotated",
        "a loader that is restarted for ever",
        "volumes that are not declared as retained",
    ),
}
"""Topic → bad changes that are made together, each of which another policy refuses: a preview takes seconds, and names them
all."""

PROGRAM = """import sys
from pathlib import Path

sys.path.append({root!r})

from tests.policy.changed_program import run
from tests.policy.changes import BAD, UNKNOWN_LIMIT

run(Path("program.py"), {changes})
"""
"""A program that runs the stack's own, `program.py`, with changes to the resources that it declares."""


@pytest.fixture(scope="module")
def prod(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """A stack with the defaults. Its name makes it a production stack, for which the policies are strictest."""
    with deploy("prod-policies") as deployment:
        deployment.config = {"prefix": deployment.prefix, "images": deployment.config["images"]}
        yield deployment


@contextlib.contextmanager
def configured(stack: Deployment, *changes: Change) -> Iterator[None]:
    """`stack` with the config of `changes`; afterwards as it was."""
    before, keys = stack.config, [key for change in changes for key in change.config]
    assert len(keys) == len(set(keys)), "one change overwrites another"
    stack.config = {**before, **{key: value for change in changes for key, value in change.config.items()}}
    try:
        yield
    finally:
        stack.config = before


@contextlib.contextmanager
def declaring(stack: Deployment, changes: str) -> Iterator[None]:
    """`stack`, whose program declares its resources with `changes`, a list in Python; afterwards as it was."""
    main, program = stack.folder / "__main__.py", stack.folder / "program.py"
    main.rename(program)
    main.write_text(PROGRAM.format(root=str(ROOT), changes=changes))
    try:
        yield
    finally:
        program.replace(main)


def of_level(level: str, printed: str) -> set[str]:
    """The policies of one level that the CLI names as violated."""
    return set(re.findall(rf"\[{level}\].*?\]\s+([a-z-]+)\s+\(", printed))


def violated(printed: str) -> set[str]:
    """The mandatory policies that the CLI names as violated."""
    return of_level("mandatory", printed)


def with_level(wanted: EnforcementLevel) -> set[str]:
    """The pack's policies of one level."""
    return {name for name, policy in policies().items() if level(policy) is wanted}


def untouched(stack: Deployment) -> bool:
    """Whether neither the engine nor the state has anything of `stack`."""
    networks = stack.client.networks.list(filters={"name": f"^{stack.prefix}$"})
    volumes = [volume for volume in stack.client.volumes.list() if str(volume.name).startswith(f"{stack.prefix}-")]
    state = json.loads(stack.pulumi("stack", "export"))["deployment"].get("resources", [])
    return not (stack.containers() or networks or volumes or state)


def test_the_unchanged_stack_passes(prod: Deployment) -> None:
    printed = prod.preview(*PACK)
    assert violated(printed) == set()
    assert "can't run policy" not in printed
    assert re.search(r"nervous-system@v[\d.]+ \(local: policies\)", printed)


@pytest.mark.parametrize("topic", TOGETHER)
def test_bad_changes_end_at_the_preview_and_touch_nothing(prod: Deployment, topic: str) -> None:
    changes = [BAD[name] for name in TOGETHER[topic]]
    edits = f"[BAD[name][0] for name in {TOGETHER[topic]!r}]"
    with configured(prod, *(change for change, _ in changes)), declaring(prod, edits):
        prod.write()
        command = ["up", "--yes"] if topic == "operation" else ["preview"]  # an update begins with a preview, too
        printed = prod.pulumi(*command, *PACK, fails=True)
    assert violated(printed) == set().union(*(policies for _, policies in changes)), printed
    assert untouched(prod)


def test_every_mandatory_policy_refuses_one_of_the_changes() -> None:
    judged = {policy for names in TOGETHER.values() for name in names for policy in BAD[name][1]}
    assert judged == with_level(EnforcementLevel.MANDATORY)


def test_advice_is_printed_and_blocks_nothing(prod: Deployment) -> None:
    prod.write()
    total = sum(prod.settings.memory_mib(service) for service in prod.settings.services)
    (prod.folder / "own.yml").write_text("groups: [{name: shop, rules: [{alert: QueueLong, expr: queue > 9}]}]")
    old = {**prod.config["images"], "prometheus": f"docker.io/prom/prometheus:v2.53.0@{DIGEST}"}
    advised = Change({"memory": {"ceiling": f"{total}MiB"}, "alerts": {"rule_files": ["own.yml"]}, "images": old})
    with configured(prod, advised):
        printed = prod.preview(*PACK)
    assert violated(printed) == set()
    assert of_level("advisory", printed) == with_level(EnforcementLevel.ADVISORY)


def test_a_limit_that_is_unknown_before_the_update_is_a_violation(prod: Deployment) -> None:
    with declaring(prod, "[UNKNOWN_LIMIT]"):
        printed = prod.preview(*PACK, fails=True)
    assert "memory is not known before the update" in printed
    assert {"memory-limit", "memory-ceiling"} <= violated(printed)
    assert "can't run policy" not in printed


def test_the_config_of_the_pack_allows_an_exception(prod: Deployment) -> None:
    config = {"ports-on-loopback": {"allowed": {"api_proxy:19090": "a firewall is in front of it"}}}
    (prod.folder / "policies.json").write_text(json.dumps(config))
    with configured(prod, BAD["Prometheus for everybody"][0]):
        printed = prod.preview(*PACK, "--policy-pack-config", "policies.json")
    assert violated(printed) == set()
