"""The queries of docs/troubleshooting.md can be read, and a waterfall blames the right one."""

from pathlib import Path
from typing import Any

import pytest

from examples.shop.load.faults import KINDS, Fault
from tests.support.troubleshooting import PAGE, Query, Scenario, culprits, scenarios

SPANS = {
    # id: service, parent, start, duration in microseconds, failed
    "quick": ("gateway", None, 0, 100, False),
    "call": ("gateway", "quick", 10, 80, False),
    "slow": ("products", "call", 12, 76, False),
    "query": ("products", "slow", 20, 10, False),
    "query again": ("products", "slow", 25, 10, False),
}


def _trace(spans: dict[str, tuple[str, str | None, int, int, bool]]) -> dict[str, Any]:
    """As Jaeger's API gives it."""
    return {
        "processes": {service: {"serviceName": service} for service, *_ in spans.values()},
        "spans": [
            {
                "spanID": identifier,
                "processID": service,
                "references": [{"refType": "CHILD_OF", "spanID": parent}] if parent else [],
                "startTime": start,
                "duration": duration,
                "tags": [{"key": "error", "value": True}] if failed else [],
            }
            for identifier, (service, parent, start, duration, failed) in spans.items()
        ],
    }


def test_without_an_error_the_longest_time_of_its_own_is_blamed() -> None:
    assert culprits(_trace(SPANS)) == {"products"}


def test_time_below_counts_once_where_calls_overlap_and_not_beyond_the_end() -> None:
    spans = {
        "root": ("gateway", None, 0, 100, False),
        "one": ("auth", "root", 0, 30, False),
        "two": ("users", "root", 10, 25, False),  # 5 alone; the root has 65 of its own
        "late": ("orders", "root", 200, 60, False),
    }
    assert culprits(_trace(spans)) == {"gateway"}


def test_the_lowest_failed_spans_are_blamed() -> None:
    failed = {**SPANS, "quick": ("gateway", None, 0, 100, True), "call": ("gateway", "quick", 10, 80, True)}
    assert culprits(_trace(failed)) == {"gateway"}
    failed["query again"] = ("postgres", "slow", 25, 10, True)
    failed["slow"] = ("products", "call", 12, 76, True)
    assert culprits(_trace(failed)) == {"postgres"}


def test_a_section_is_read_as_what_makes_it_and_its_queries(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# T\n\n## Slow\n\n```sh\nmake shop-load PROFILE=incident FAULT=users=latency:2s\n```\n\nWho?\n\n"
        '```promql\n# names gateway, users\nup\n  > 0\n```\n\n```logql\n# names nobody\n{a="b"}\n```\n\n## Else\n\nText.\n'
    )
    assert scenarios(page) == [
        Scenario(
            "Slow",
            Fault("users", "latency", "2s"),
            (
                Query("promql", frozenset({"gateway", "users"}), "up\n  > 0\n"),
                Query("logql", frozenset(), '{a="b"}\n'),
            ),
        )
    ]


def test_each_kind_of_fault_has_its_section() -> None:
    assert {scenario.fault.kind for scenario in scenarios()} == set(KINDS)


FINDS = {
    "latency": {"promql", "sh", "logql"},
    "error": {"promql", "sh", "logql"},
    "leak": {"promql"},
    "panic": {"promql", "sh", "logql"},
    "logburst": {"promql", "logql"},
}
"""Kind of fault → what can see it."""


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.title)
def test_whatever_can_see_a_fault_is_asked_and_names_the_culprit_alone(scenario: Scenario) -> None:
    languages = {query.language for query in scenario.queries if query.names == {scenario.fault.service}}
    assert languages == FINDS[scenario.fault.kind]


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.title)
def test_every_query_of_a_section_says_whom_it_names(scenario: Scenario) -> None:
    section = PAGE.read_text().split(f"## {scenario.title}\n")[1].split("\n## ")[0]
    assert section.count("```") // 2 == len(scenario.queries) + 1  # and the command that makes it
