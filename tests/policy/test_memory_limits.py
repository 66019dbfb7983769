"""The memory policies."""

from collections.abc import Mapping
from typing import Any

import pytest

from policies.readers import declared_resources as declared
from tests.policy.pack_host import UNKNOWN, Resource, ask, of_one


def limited(mib: float, **more: object) -> dict[str, Any]:
    """A container with a limit and no swap."""
    return {"image": "app:1", "memory": mib, "memorySwap": mib, **more}


def ask_stack(
    containers: Mapping[str, dict[str, Any]],
    *,
    policy: str = "memory-ceiling",
    config: Mapping[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
) -> list[str]:
    """The messages of `policy` on a stack of `containers` and other resources."""
    resources = [
        Resource(outputs or {}, "project-stack", declared.STACK),
        Resource({"driver": "bridge"}, "network", "docker:index/network:Network"),
        *(Resource(props, name) for name, props in containers.items()),
    ]
    return ask(policy, resources, config=config)


@pytest.mark.parametrize(
    "props",
    [
        pytest.param(limited(64), id="a limit without swap"),
        pytest.param({"image": "app:1", "start": False}, id="no limit, but it is never started"),
        pytest.param(limited(64, mustRun=False), id="a job that ends, with a limit"),
        pytest.param(limited(64, start=UNKNOWN), id="may be started, with a limit"),
        pytest.param(limited(64, memoryReservation=64), id="all of it reserved"),
    ],
)
def test_a_container_with_a_limit_passes(props: dict[str, Any]) -> None:
    assert of_one("memory-limit", props) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, "no hard memory limit: set memory and memory_swap", id="no memory settings"),
        pytest.param(limited(0), "no hard memory limit", id="zero, which the engine takes for no limit"),
        pytest.param(limited(-1), "no hard memory limit", id="minus one"),
        pytest.param({"memorySwap": 64}, "no hard memory limit", id="a limit for swap only"),
        pytest.param({"memory": 64}, "64 MiB lets it use as much swap on top", id="memory_swap left out"),
        pytest.param({"memory": 64, "memorySwap": 96}, "32 MiB of swap on top: set memory_swap to 64", id="some swap"),
        pytest.param({"memory": 64, "memorySwap": -1}, "unlimited swap", id="unlimited swap"),
        pytest.param({"memory": UNKNOWN, "memorySwap": 64}, "memory is not known before", id="an unknown limit"),
        pytest.param({"memory": 64, "memorySwap": UNKNOWN}, "memorySwap is not known before", id="unknown swap"),
        pytest.param({"mustRun": False}, "no hard memory limit", id="a job that ends, without a limit"),
        pytest.param({"start": UNKNOWN}, "no hard memory limit", id="may be started, without a limit"),
        pytest.param(limited(64, memoryReservation=96), "of 96 MiB is above its limit of 64", id="more is reserved"),
        pytest.param(
            limited(64, memoryReservation=UNKNOWN), "memoryReservation is not known", id="unknown reservation"
        ),
    ],
)
def test_a_container_without_a_limit_is_named_with_its_fix(props: dict[str, Any], says: str) -> None:
    [violation] = of_one("memory-limit", props)
    assert violation.startswith("container app: ")
    assert says in violation


def test_other_resources_need_no_memory_limit() -> None:
    assert ask("memory-limit", [Resource({"name": "data"}, "data", declared.VOLUME)]) == []


@pytest.mark.parametrize(
    "containers",
    [
        pytest.param({}, id="no container at all"),
        pytest.param({"a": limited(8192), "b": limited(6144)}, id="exactly the ceiling"),
        pytest.param({"a": limited(14336), "loader": limited(256, mustRun=False)}, id="a job that ends on top"),
        pytest.param({"a": {"memory": 64, "memorySwap": -1}}, id="swap as an engine reports it that cannot count it"),
        pytest.param({"a": limited(14336), "vault": {"start": False}}, id="one that is never started on top"),
    ],
)
def test_what_fits_under_the_ceiling_passes(containers: dict[str, dict[str, Any]]) -> None:
    assert ask_stack(containers) == []


def test_a_sum_over_the_ceiling_names_its_biggest_shares() -> None:
    sizes = {"grafana": 1024, "elasticsearch": 6144, "loki": 4096, "jaeger": 2048, "prometheus": 4096, "a": 64, "b": 32}
    [violation] = ask_stack({name: limited(mib) for name, mib in sizes.items()})
    assert violation == (
        "the limits add up to 17504 MiB, 3168 MiB over the ceiling of 14336 MiB (elasticsearch 6144, loki 4096, "
        "prometheus 4096, jaeger 2048, grafana 1024, 2 more with 96): lower a limit, or raise the ceiling if the host "
        "has the memory"
    )


def test_a_container_that_may_run_counts_as_running() -> None:
    containers = {"a": limited(14336), "b": limited(1, mustRun=UNKNOWN)}
    assert len(ask_stack(containers)) == 1


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({"memory": UNKNOWN, "memorySwap": UNKNOWN}, "container b: memory is not known", id="unknown"),
        pytest.param({}, "cannot be added up: give a hard limit to b", id="no limit"),
    ],
)
def test_a_sum_with_an_unlimited_container_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = ask_stack({"a": limited(64), "b": props})
    assert says in violation


@pytest.mark.parametrize(
    ("config", "outputs", "ceiling"),
    [
        pytest.param({"ceiling_mib": 100.0}, {}, 100, id="the pack's config lowers it"),
        pytest.param({"ceiling_mib": 20480.0}, {}, 20480, id="the pack's config raises it"),
        pytest.param({}, {"memory_ceiling_mib": 3072}, 3072, id="a stack may bind itself to less"),
        pytest.param({}, {"memory_ceiling_mib": 20480}, 14336, id="a stack may not ask for more"),
        pytest.param({"ceiling_mib": 100.0}, {"memory_ceiling_mib": 3072}, 100, id="the lower of both holds"),
        pytest.param({}, {"prometheus": "http://127.0.0.1:9090"}, 14336, id="other outputs change nothing"),
    ],
)
def test_the_lowest_ceiling_counts(config: dict[str, Any], outputs: dict[str, Any], ceiling: int) -> None:
    assert ask_stack({"a": limited(ceiling)}, config=config, outputs=outputs) == []
    [violation] = ask_stack({"a": limited(ceiling + 1)}, config=config, outputs=outputs)
    assert f"1 MiB over the ceiling of {ceiling} MiB" in violation


def test_an_unknown_ceiling_is_refused() -> None:
    [violation] = ask_stack({"a": limited(64)}, outputs={"memory_ceiling_mib": UNKNOWN})
    assert "project-stack: memory_ceiling_mib is not known before the update" in violation


@pytest.mark.parametrize(
    ("containers", "says"),
    [
        pytest.param({"prometheus": limited(4096), "loki": limited(4096)}, None, id="each at its most"),
        pytest.param(
            {"loki": limited(4097)}, "loki 4097: 4097 MiB, but loki may have 4096 MiB together", id="one over it"
        ),
        pytest.param(
            {"store": limited(2049, image="docker.io/jaegertracing/jaeger:2")}, "store 2049", id="by its image"
        ),
        pytest.param(
            {"redis_exporter": limited(600), "cadvisor": limited(500)},
            "redis_exporter 600, cadvisor 500: 1100 MiB, but ",
            id="the exporters together",
        ),
        pytest.param({"orders": limited(9000)}, None, id="a service of the user's own"),
        pytest.param({"loki": limited(5000, mustRun=False)}, None, id="a job that ends"),
        pytest.param({"loki": {"memory": UNKNOWN}}, "container loki: memory is not known", id="an unknown limit"),
        pytest.param({"store": {"image": UNKNOWN, "memory": 1}}, "store: image is not known", id="an unknown image"),
    ],
)
def test_no_kind_of_service_takes_more_than_its_share(containers: dict[str, dict[str, Any]], says: str | None) -> None:
    messages = ask_stack(containers, policy="memory-shares")
    assert len(messages) == (says is not None)
    assert says is None or says in messages[0]


def test_the_shares_are_those_of_the_config() -> None:
    config = {"shares_mib": {"shop-.+": 100.0}}
    containers = {"shop-a": limited(60), "shop-b": limited(41), "loki": limited(9000)}
    [violation] = ask_stack(containers, policy="memory-shares", config=config)
    assert "shop-a 60, shop-b 41: 101 MiB" in violation


@pytest.mark.parametrize(
    ("mib", "config", "advised"),
    [
        pytest.param(13619, {}, False, id="5 percent left"),
        pytest.param(13620, {}, True, id="less left"),
        pytest.param(14336, {}, True, id="nothing left"),
        pytest.param(14337, {}, False, id="too much, which another policy reports"),
        pytest.param(9000, {"percent": 50.0}, True, id="the pack's config asks for half"),
        pytest.param(0, {}, False, id="no limit, which another policy reports"),
    ],
)
def test_headroom_is_advised(mib: float, config: dict[str, Any], *, advised: bool) -> None:
    assert bool(ask_stack({"a": limited(mib)}, policy="memory-headroom", config=config)) is advised
