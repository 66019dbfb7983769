"""The interpreter that other tests rely on, by examples of Prometheus' own documentation and tests."""

from typing import Any

import pytest

from tests.unit.relabel import relabelled, scraped

LABELS = {"a": "foo", "b": "bar"}


@pytest.mark.parametrize(
    ("rule", "result"),
    [
        ({"source_labels": ["a"], "target_label": "c"}, {**LABELS, "c": "foo"}),
        ({"source_labels": ["a", "b"], "target_label": "c"}, {**LABELS, "c": "foo;bar"}),
        ({"source_labels": ["a"], "regex": "f", "target_label": "c"}, LABELS),
        ({"source_labels": ["a", "b"], "regex": "(.+);(.+)", "target_label": "c", "replacement": "$2:$1"},
         {**LABELS, "c": "bar:foo"}),
        ({"source_labels": ["gone"], "target_label": "a"}, {"b": "bar"}),
        ({"source_labels": ["gone"], "regex": "(.+)", "target_label": "a"}, LABELS),
        ({"target_label": "c", "replacement": "x"}, {**LABELS, "c": "x"}),
        ({"source_labels": ["a"], "regex": "foo", "action": "drop"}, None),
        ({"source_labels": ["a"], "regex": "fo", "action": "drop"}, LABELS),
        ({"source_labels": ["a"], "regex": "foo", "action": "keep"}, LABELS),
        ({"source_labels": ["a"], "regex": "bar", "action": "keep"}, None),
        ({"regex": "a|c", "action": "labeldrop"}, {"b": "bar"}),
    ],
)  # fmt: skip
def test_a_rule_does_what_prometheus_documents(rule: dict[str, Any], result: dict[str, str] | None) -> None:
    assert relabelled(LABELS, [rule]) == result


def test_labels_that_begin_with_two_underscores_do_not_reach_the_series() -> None:
    assert scraped({"__address__": "a:1", "__meta_x": "y"}, {"job_name": "j"}) == {
        "job": "j",
        "instance": "a:1",
        "url": "http://a:1/metrics",
    }
