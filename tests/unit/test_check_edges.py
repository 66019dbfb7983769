"""What the check says of an edge, and of the edges of a centre."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from docker import DockerClient

import check
from check import edges
from check.finding import Finding
from check.queues import Delivery, Queue
from tests.support.program import DOOR, EDGE, OF_DOOR, settings_of

ON_EDGE = settings_of(EDGE, secrets=["centre_password"])
CENTRE = settings_of(DOOR, secrets=OF_DOOR)
NEWEST, SENT = (
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
    "loki_write_sent_entries_total",
)


def of_an_edge(
    monkeypatch: pytest.MonkeyPatch, pages: Mapping[str, float], *, stuck: bool = False
) -> dict[str, Finding]:
    def metric(_: object, __: object, service: str, name: str) -> float:
        if name not in pages:
            raise LookupError(f"{service} does not answer")
        return pages[name]

    monkeypatch.setattr(edges, "metric", metric)
    monkeypatch.setattr(edges, "delivery", lambda *_: Delivery((Queue(waiting=206, sent=7, lost=0),), stuck))
    return {finding.what: finding for finding in edges.of_an_edge(DockerClient, ON_EDGE)}  # type: ignore[arg-type] # nobody asks it


@pytest.mark.parametrize(
    ("age", "lines_sent", "stuck", "broken"),
    [
        (5, 100, False, set()),
        (300, 100, False, {"the centre has the newest samples"}),
        (5, 0, False, {"the centre takes lines"}),
        (5, 100, True, {"the centre takes spans and OTLP logs"}),
    ],
    ids=["all arrives", "samples wait", "lines are refused", "spans wait"],
)
def test_an_edge_whose(
    monkeypatch: pytest.MonkeyPatch, *, age: float, lines_sent: float, stuck: bool, broken: set[str]
) -> None:
    findings = of_an_edge(monkeypatch, {NEWEST: time.time() - age, SENT: lines_sent}, stuck=stuck)
    assert {what for what, finding in findings.items() if not finding.kept} == broken


def test_an_edge_that_has_never_sent_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = of_an_edge(monkeypatch, {NEWEST: 0, SENT: 1})
    assert "docker logs" in findings["the centre has the newest samples"].detail


def test_an_edge_whose_services_do_not_answer_breaks_one_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    [finding] = of_an_edge(monkeypatch, {}).values()
    assert not finding.kept
    assert "prometheus does not answer" in finding.detail


def test_a_centre_tells_whom_it_has_heard_of_and_breaks_no_promise_by_who_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = {"metric": {"host": "web-2"}, "value": [0, str(time.time() - 7)]}
    monkeypatch.setattr(edges, "ask", lambda *_: {"data": {"result": [series]}})
    findings = {one.what: one for one in edges.of_a_centre(DockerClient, CENTRE)}  # type: ignore[arg-type] # nobody asks it
    assert findings["the edge web-2 may send"].detail == "heard of it 7 s ago"
    assert findings["the edge db-1 may send"].detail == "nothing has come in the last hour"
    assert all(one.kept for one in findings.values())


@pytest.mark.parametrize(
    ("settings", "subjects"),
    [
        (ON_EDGE, {"engine", "containers", "files", "metrics", "networks", "the centre"}),
        (
            settings_of({}),
            {
                "engine",
                "containers",
                "files",
                "metrics",
                "objectives",
                "logs",
                "traces",
                "networks",
                "actions",
                "dashboards",
            },
        ),
    ],
    ids=["an edge", "a stack that stands alone"],
)
def test_the_check_asks_about_all_subjects_of(
    monkeypatch: pytest.MonkeyPatch, settings: Any, subjects: set[str]
) -> None:
    calls: set[str] = set()

    def about(subject: str, _: object) -> list[Finding]:
        calls.add(subject)
        return []

    monkeypatch.setattr(check, "_about", about)
    monkeypatch.setattr(check, "connect", lambda _: None)
    check.run(settings, with_request=False)
    assert calls - {"what you brought"} == subjects
    assert ("what you brought" in calls) is (settings.role == "centre")
