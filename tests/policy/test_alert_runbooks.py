"""The advice on alerts without a runbook."""

import pytest

from tests.policy.pack_host import UNKNOWN, of_one

POLICY = "alerts-have-runbooks"


def rules(text: str) -> list[str]:
    return of_one(POLICY, {"uploads": [{"file": "/rules.yml", "content": f"groups: [{{name: a, rules: [{text}]}}]"}]})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no rule"),
        pytest.param("{record: a, expr: b}", id="a recording rule"),
        pytest.param("{alert: A, expr: b, annotations: {runbook_url: 'https://wiki/A'}}", id="a link"),
        pytest.param("{alert: A, expr: b, annotations: {runbook_url: '{{ $labels.runbook }}'}}", id="a template"),
    ],
)
def test_an_alert_with_a_runbook_passes(text: str) -> None:
    assert rules(text) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{alert: A, expr: b}", id="no annotation"),
        pytest.param("{alert: A, expr: b, annotations: {summary: x}}", id="another annotation"),
        pytest.param("{alert: A, expr: b, annotations: {runbook_url: ''}}", id="an empty one"),
        pytest.param("{alert: A, expr: b, annotations: {runbook_url: see wiki}}", id="no link"),
    ],
)
def test_an_alert_without_is_named(text: str) -> None:
    assert rules(f"{text}, {text}") == [
        "container app: /rules.yml: no runbook for A: add the annotation runbook_url, a link to the page that says what to do"
    ]


def test_a_file_that_cannot_be_read_is_left_to_the_policy_on_labels() -> None:
    assert of_one(POLICY, {"uploads": [{"file": "/rules.yml", "content": "a: ["}]}) == []
    [unknown] = of_one(POLICY, {"uploads": UNKNOWN})
    assert "uploads is not known" in unknown
