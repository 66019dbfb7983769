"""The memory policies, fed as the engine feeds them: inputs behind the SDK's proxies, numbers as floats."""

import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi_policy
import pytest
from pulumi_policy import (
    EnforcementLevel,
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    StackValidationArgs,
)
from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE, UNKNOWN_NUMBER_VALUE, unknown_checking_proxy

import memory

OPTIONS = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=None,
    aliases=[],
    custom_timeouts=PolicyCustomTimeouts(0, 0, 0),
    additional_secret_outputs=[],
)
UNKNOWN: Any = UNKNOWN_NUMBER_VALUE


class Report(list[str]):
    """Collects what a policy reports."""

    def __call__(self, message: str, _urn: str | None = None) -> None:
        self.append(message)


def limited(mib: float, **more: object) -> dict[str, Any]:
    """A container as it should be."""
    return {"image": "app:1", "memory": mib, "memorySwap": mib, **more}


def violations_of_one(props: dict[str, Any], *, kind: str = memory.CONTAINER) -> list[str]:
    """What the limit policy says of one resource called `app`."""
    said = Report()
    args = ResourceValidationArgs(kind, unknown_checking_proxy(props), f"urn::{kind}::app", "app", OPTIONS, None)
    memory.LIMIT.validate(args, said)
    return said


def violations_of_stack(
    containers: Mapping[str, dict[str, Any]],
    *,
    config: Mapping[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
) -> list[str]:
    """What the ceiling policy says of a stack of `containers` and something else."""
    said = Report()
    declared = [
        (memory.STACK, "project-stack", outputs or {}),
        ("docker:index/network:Network", "network", {"driver": "bridge"}),
        *((memory.CONTAINER, name, props) for name, props in containers.items()),
    ]
    resources = [
        PolicyResource(kind, unknown_checking_proxy(props), f"urn::{kind}::{name}", name, OPTIONS, None, None, [], {})
        for kind, name, props in declared
    ]
    memory.CEILING.validate(StackValidationArgs(resources, config), said)
    return said


@pytest.mark.parametrize(
    "props",
    [
        pytest.param(limited(64.0), id="a limit without swap"),
        pytest.param({"image": "app:1", "start": False}, id="no limit, but it is never started"),
        pytest.param(limited(64.0, mustRun=False), id="a job that ends, with a limit"),
        pytest.param(limited(64.0, start=UNKNOWN_BOOLEAN_VALUE), id="perhaps started, with a limit"),
    ],
)
def test_a_bounded_container_passes(props: dict[str, Any]) -> None:
    assert violations_of_one(props) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, "no hard memory limit: set memory and memory_swap", id="nothing said about memory"),
        pytest.param(limited(0.0), "no hard memory limit", id="zero, which the engine takes for no limit"),
        pytest.param(limited(-1.0), "no hard memory limit", id="minus one"),
        pytest.param({"memorySwap": 64.0}, "no hard memory limit", id="a limit for swap only"),
        pytest.param({"memory": 64.0}, "64 MiB lets it have as much swap on top", id="memory_swap left out"),
        pytest.param(
            {"memory": 64.0, "memorySwap": 96.0}, "32 MiB of swap on top: set memory_swap to 64", id="some swap"
        ),
        pytest.param({"memory": 64.0, "memorySwap": -1.0}, "swap without end", id="unlimited swap"),
        pytest.param({"memory": UNKNOWN, "memorySwap": 64.0}, "memory is not known before", id="an unknown limit"),
        pytest.param({"memory": 64.0, "memorySwap": UNKNOWN}, "memorySwap is not known before", id="unknown swap"),
        pytest.param({"mustRun": False}, "no hard memory limit", id="a job that ends, without a limit"),
        pytest.param({"start": UNKNOWN_BOOLEAN_VALUE}, "no hard memory limit", id="perhaps started, without a limit"),
    ],
)
def test_an_unbounded_container_is_named_with_its_fix(props: dict[str, Any], says: str) -> None:
    [violation] = violations_of_one(props)
    assert violation.startswith("container app: ")
    assert says in violation


def test_other_resources_need_no_memory_limit() -> None:
    assert violations_of_one({"name": "data"}, kind="docker:index/volume:Volume") == []


@pytest.mark.parametrize(
    "containers",
    [
        pytest.param({}, id="no container at all"),
        pytest.param({"a": limited(8192.0), "b": limited(6144.0)}, id="exactly the ceiling"),
        pytest.param({"a": limited(14336.0), "loader": limited(256.0, mustRun=False)}, id="a job that ends on top"),
        pytest.param(
            {"a": {"memory": 64.0, "memorySwap": -1.0}}, id="swap as an engine reports it that cannot count it"
        ),
        pytest.param({"a": limited(14336.0), "vault": {"start": False}}, id="one that is never started on top"),
    ],
)
def test_what_fits_under_the_ceiling_passes(containers: dict[str, dict[str, Any]]) -> None:
    assert violations_of_stack(containers) == []


def test_a_sum_over_the_ceiling_names_its_biggest_shares() -> None:
    sizes = {"grafana": 1024, "elasticsearch": 6144, "loki": 4096, "jaeger": 2048, "prometheus": 4096, "a": 64, "b": 32}
    [violation] = violations_of_stack({name: limited(float(mib)) for name, mib in sizes.items()})
    assert violation == (
        "the limits add up to 17504 MiB, 3168 MiB over the ceiling of 14336 MiB (elasticsearch 6144, loki 4096, "
        "prometheus 4096, jaeger 2048, grafana 1024, 2 more with 96): lower a limit, or raise the ceiling if the host "
        "has the memory"
    )


def test_a_container_that_perhaps_runs_counts_as_running() -> None:
    containers = {"a": limited(14336.0), "b": limited(1.0, mustRun=UNKNOWN_BOOLEAN_VALUE)}
    assert len(violations_of_stack(containers)) == 1


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({"memory": UNKNOWN, "memorySwap": UNKNOWN}, "b: memory is not known", id="an unknown limit"),
        pytest.param({}, "b: it has no hard memory limit", id="no limit"),
    ],
)
def test_a_sum_with_an_unbounded_part_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = violations_of_stack({"a": limited(64.0), "b": props})
    assert violation.startswith("the limits cannot be added up; ")
    assert says in violation


@pytest.mark.parametrize(
    ("config", "outputs", "ceiling"),
    [
        pytest.param({"ceiling_mib": 100.0}, {}, 100, id="the pack's config lowers it"),
        pytest.param({"ceiling_mib": 20480.0}, {}, 20480, id="the pack's config raises it"),
        pytest.param({}, {"memory_ceiling_mib": 3072.0}, 3072, id="a stack may bind itself to less"),
        pytest.param({}, {"memory_ceiling_mib": 20480.0}, 14336, id="a stack may not ask for more"),
        pytest.param({"ceiling_mib": 100.0}, {"memory_ceiling_mib": 3072.0}, 100, id="the lower of both holds"),
        pytest.param({}, {"prometheus": "http://127.0.0.1:9090"}, 14336, id="other outputs change nothing"),
    ],
)
def test_the_ceiling_is(config: dict[str, Any], outputs: dict[str, Any], ceiling: int) -> None:
    assert violations_of_stack({"a": limited(float(ceiling))}, config=config, outputs=outputs) == []
    [violation] = violations_of_stack({"a": limited(ceiling + 1.0)}, config=config, outputs=outputs)
    assert f"1 MiB over the ceiling of {ceiling} MiB" in violation


def test_an_unknown_ceiling_is_refused() -> None:
    [violation] = violations_of_stack({"a": limited(64.0)}, outputs={"memory_ceiling_mib": UNKNOWN})
    assert "project-stack: memory_ceiling_mib is not known before the update" in violation


def test_the_pack_is_assembled_as_the_engine_runs_it_and_is_mandatory(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr(pulumi_policy, "PolicyPack", lambda **pack: served.update(pack))
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(Path(memory.__file__).parent))
    assert served["enforcement_level"] is EnforcementLevel.MANDATORY
    assert [policy.name for policy in served["policies"]] == ["memory-limit", "memory-ceiling"]
    assert {policy.enforcement_level for policy in served["policies"]} == {None}  # none is less than the pack's level
