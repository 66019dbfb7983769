"""The policy on sampling, for each way to keep an error or to lose it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.policy.pack_host import UNKNOWN, of_one

POLICY = "errors-are-kept"
ERRORS = {"name": "e", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
ALWAYS = {"name": "all", "type": "always_sample"}


def share(percent: float) -> dict[str, Any]:
    return {"name": "s", "type": "probabilistic", "probabilistic": {"sampling_percentage": percent}}


def both(*policies: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "b", "type": "and", "and": {"and_sub_policy": list(policies)}}


def unless(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "n", "type": "not", "not": {"not_sub_policy": policy}}


def begun(*services: str) -> dict[str, Any]:
    names = " or ".join(f'resource.attributes["service.name"] == "{name}"' for name in services)
    return {"name": "r", "type": "ottl_condition", "ottl_condition": {"span": [f"IsRootSpan() and ({names})"]}}


def dropped(condition: str) -> dict[str, Any]:
    inner = {"name": "h", "type": "ottl_condition", "ottl_condition": {"span": [condition]}}
    return {"name": "d", "type": "drop", "drop": {"drop_sub_policy": [inner]}}


def collector(*policies: Mapping[str, Any], processors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A container with a config of the collector. JSON is YAML."""
    used = processors if processors is not None else {"tail_sampling": {"policies": policies}}
    pipelines = {"traces": {"receivers": ["otlp"], "processors": list(used), "exporters": ["otlp"]}}
    text = json.dumps({"processors": used, "service": {"pipelines": pipelines}})
    return {"uploads": [{"file": "/c.yml", "content": text}]}


@pytest.mark.parametrize(
    "props",
    [
        pytest.param({}, id="no file"),
        pytest.param(collector(processors={}), id="no sampling"),
        pytest.param(collector(ERRORS, share(10)), id="errors, and some of the rest"),
        pytest.param(collector(ALWAYS), id="everything"),
        pytest.param(collector(share(100)), id="everything, as a share"),
        pytest.param(collector(both(unless(begun("a", "b")), ERRORS), both(begun("a"), ERRORS), both(begun("b"), ALWAYS)), id="by service"),
        pytest.param(collector(dropped('url == "/health" and span.status.code != STATUS_CODE_ERROR'), ERRORS), id="health checks that went well are dropped"),
        pytest.param(collector(processors={"probabilistic_sampler": {"sampling_percentage": 100}}), id="a share that is all"),
    ],
)  # fmt: skip
def test_sampling_that_keeps_all_errors_passes(props: dict[str, Any]) -> None:
    assert of_one(POLICY, props) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param(collector(), "errors of any other service are not all kept", id="no policy"),
        pytest.param(collector(share(10)), "errors of any other service", id="a share of everything"),
        pytest.param(collector(both(ERRORS, share(99))), "errors of any other service", id="most of the errors"),
        pytest.param(collector({**ERRORS, "status_code": {"status_codes": ["UNSET"]}}), "not all kept", id="another status"),
        pytest.param(collector(both(unless(begun("a")), ERRORS), both(begun("a"), share(50))), "errors of a are not", id="half of one service"),
        pytest.param(collector(both(begun("a"), ERRORS)), "errors of any other service", id="of one service only"),
        pytest.param(collector(both(ERRORS, {"name": "l", "type": "latency", "latency": {"threshold_ms": 1}})), "not all", id="slow errors only"),
        pytest.param(collector(unless(share(10))), "not all kept", id="not of something uncertain"),
        pytest.param(collector(both()), "not all kept", id="of nothing"),
        pytest.param(collector({"name": "o", "type": "ottl_condition", "ottl_condition": {"span": ["true"]}}), "not all", id="a condition that is not known"),
        pytest.param(collector(dropped('url == "/health"'), ERRORS), "'d' drops traces with errors too", id="health checks are dropped"),
        pytest.param(collector({"name": "d", "type": "drop", "drop": {}}, ALWAYS), "'d' drops", id="a drop without a condition"),
        pytest.param(collector(processors={"probabilistic_sampler": {"sampling_percentage": 10}}), "use tail_sampling", id="a share of everything, errors too"),
        pytest.param(collector(processors={"probabilistic_sampler": {}}), "use tail_sampling", id="a share that is not given"),
        pytest.param(collector(processors={"tail_sampling": {"policies": ["all"]}}), "the sampling cannot be judged", id="not a config of the collector"),
        pytest.param({"uploads": [{"file": "/c.yml", "content": UNKNOWN}]}, "content is not known", id="an unknown file"),
        pytest.param({"uploads": [{"file": "/c.yml", "source": "c.yml"}]}, "cannot be judged: /c.yml comes from a path", id="a path"),
    ],
)  # fmt: skip
def test_sampling_that_loses_errors_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = of_one(POLICY, props)
    assert says in violation


def test_a_processor_that_no_pipeline_uses_is_not_judged() -> None:
    text = json.dumps({"processors": {"tail_sampling": {"policies": []}}, "service": {"pipelines": {"traces": {}}}})
    assert of_one(POLICY, {"uploads": [{"file": "/c.yml", "content": text}]}) == []


@pytest.mark.parametrize(
    ("stack", "config", "judged"),
    [
        ("prod", {}, True),
        ("production", {}, True),
        ("dev", {}, False),
        ("dev", {"environment": "prod"}, True),
        ("prod", {"environment": "test"}, False),
        ("live", {"production": "live"}, True),
        ("prod", {"production": "live"}, False),
    ],
)
def test_it_is_for_production(stack: str, config: dict[str, Any], *, judged: bool) -> None:
    assert bool(of_one(POLICY, collector(share(10)), stack=stack, config=config)) is judged
