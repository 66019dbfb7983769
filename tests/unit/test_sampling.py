"""Which traces are kept, as policies of the collector's tail sampling."""

import re
from typing import Any

import pytest

from config.services.traces import sampling
from config.settings.traces import Rates
from tests.support.program import refusal, settings_of


def policies_of(**rates: Any) -> dict[str, dict[str, Any]]:
    """Name → policy, without that of health checks."""
    settings = settings_of({"traces": {"sampling": rates}})
    [health, *others] = sampling.policies(settings.traces)
    assert health["name"] == "health"
    return {policy["name"]: policy for policy in others}


def test_by_default_all_errors_all_slow_ones_and_a_tenth_of_the_rest_are_kept() -> None:
    assert policies_of() == {
        "errors": {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        "slow": {"name": "slow", "type": "latency", "latency": {"threshold_ms": 999}},
        "rest": {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}},
    }


@pytest.mark.parametrize(("over", "threshold"), [("1s", 999), ("250ms", 249), ("1m", 59_999), ("1ms", 0)])
def test_what_is_a_bit_slower_than_allowed_is_slow(over: str, threshold: int) -> None:
    """The collector cuts durations to whole milliseconds and asks for more than the threshold: 1000.9 ms are 1000."""
    assert policies_of(slow={"over": over})["slow"]["latency"]["threshold_ms"] == threshold


def test_a_share_of_a_class_is_the_class_and_a_probability() -> None:
    [kind, share] = policies_of(errors=50)["errors"]["and"]["and_sub_policy"]
    assert kind["status_code"] == {"status_codes": ["ERROR"]}
    assert share["probabilistic"] == {"sampling_percentage": 50}


def test_what_is_kept_at_0_percent_has_no_policy_and_at_100_percent_no_probability() -> None:
    assert set(policies_of(rest=0)) == {"errors", "slow"}
    assert policies_of(rest=100)["rest"] == {"name": "rest", "type": "always_sample"}


def test_a_service_with_rates_of_its_own_has_only_those() -> None:
    policies = policies_of(services={"checkout": {"rest": 100}, "poller": {"errors": 5, "rest": 0}})
    assert set(policies) == {"errors", "slow", "rest", "checkout: errors", "checkout: slow", "checkout: rest",
                         "poller: errors", "poller: slow"}  # fmt: skip
    for name in ("errors", "slow", "rest"):
        [elsewhere, _] = policies[name]["and"]["and_sub_policy"]
        [condition] = elsewhere["not"]["not_sub_policy"]["ottl_condition"]["span"]
        assert condition.startswith("IsRootSpan() and (")
        assert re.findall(r'== "(\w+)"', condition) == ["checkout", "poller"]
    assert policies["checkout: rest"]["ottl_condition"]["span"] == [
        'IsRootSpan() and (resource.attributes["service.name"] == "checkout")'
    ]
    assert policies["poller: slow"]["and"]["and_sub_policy"][1]["latency"] == {"threshold_ms": 999}


def test_an_override_says_only_what_differs() -> None:
    rates = settings_of(
        {"traces": {"sampling": {"errors": 90, "services": {"a": {"slow": {"over": "2s"}}}}}}
    ).traces.sampling
    assert rates.rates_of("a") == Rates.model_validate({"errors": 90, "slow": {"over": "2s", "keep": 100}, "rest": 10})
    assert rates.rates_of("b") == Rates.model_validate({"errors": 90, "slow": {"over": "1s", "keep": 100}, "rest": 10})


def test_names_of_policies_differ_whatever_services_are_called() -> None:
    settings = settings_of({"traces": {"sampling": {"services": {"errors": {"rest": 50}, "health": {"rest": 50}}}}})
    names = [policy["name"] for policy in sampling.policies(settings.traces)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("rates", "key", "words"),
    [
        ({"errors": 101}, "traces.sampling.errors", "101 is not a percentage"),
        ({"rest": -1}, "traces.sampling.rest", "-1 is not a percentage"),
        ({"slow": {"keep": 100.5}}, "traces.sampling.slow.keep", "100.5 is not a percentage"),
        ({"rest": "ten"}, "traces.sampling.rest", "number"),
        ({"errors": 5}, "traces.sampling", "errors is 5 and rest is 10"),
        ({"slow": {"keep": 5}}, "traces.sampling", "slow.keep is 5 and rest is 10"),
        ({"slow": {"over": "0s"}}, "traces.sampling.slow.over", "shorter than 1ms"),
        ({"services": {"a": {"rest": 101}}}, "traces.sampling.services.a.rest", "101 is not a percentage"),
        ({"services": {"a": {"errors": 1}}}, "traces.sampling", "services.a: errors is 1 and rest is 10"),
        ({"services": {"a b": {}}}, "traces.sampling.services.a b", ""),
        ({"services": {"a": {"rset": 1}}}, "traces.sampling.services.a.rset", "did you mean rest?"),
        ({"decision_wait": "6m"}, "traces.sampling.decision_wait", "not between 1s and 5m"),
    ],
)  # fmt: skip
def test_an_impossible_rate_is_refused_by_its_key(rates: dict[str, Any], key: str, words: str) -> None:
    message = refusal({"traces": {"sampling": rates}})
    assert message.startswith(f"Pulumi.test.yaml: nervous-system:{key}")
    assert words in message
