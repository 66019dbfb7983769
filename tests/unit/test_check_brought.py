"""What the check says of rules and dashboards that somebody brought; how it judges them is in tests/rules."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from check import brought, pages
from check.brought import findings
from config.additions import NONE, Additions, Dashboard
from config.services.correlation.dashboard_files import OURS
from operate import unanswered as command
from tests.brought_boards import graph
from tests.support.fetched_pages import answer_pages
from tests.support.program import settings_of
from toolchain import engine_setup

SETTINGS = settings_of()
NOBODY: Any = None
RULES = "groups: [{name: g, rules: [{alert: A, expr: gone > 1}, {alert: B, expr: up}]}]"
BOARD = json.dumps({"title": "Theirs", "panels": [graph(1, "gone"), graph(2, "up")]})
CLOCK = json.dumps({"title": "Clock", "panels": [{"type": "grafana-clock-panel"}, graph(1, kind="graph")]})


def tree(name: str) -> dict[str, Any]:
    return {"type": "vectorSelector", "matchers": [{"name": "__name__", "type": "=", "value": name}]}


@pytest.fixture
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prometheus that has `up` and nothing else."""

    def ask_all(_client: Any, _settings: Any, _service: str, paths: list[str]) -> list[Any]:
        if paths and "__name__/values" in paths[0]:
            return [{"data": ["up"]}]
        named = ["up" if "up" in path.partition("?")[2] else "gone" for path in paths]
        return [
            {"data": tree(name)}
            if "parse_query" in path
            else {"data": [{}] if name == "up" and "series" in path else []}
            for path, name in zip(paths, named, strict=True)
        ]

    monkeypatch.setattr(brought, "ask_all", ask_all)


@pytest.mark.usefixtures("_running")
def test_what_can_never_have_data_is_named_and_breaks_no_promise() -> None:
    ours = {file.stem: Dashboard(file.read_text()) for file in OURS.glob("*.json")}
    dashboards = {"theirs": Dashboard(BOARD, key="theirs.json"), **ours}
    results = list(findings(NOBODY, SETTINGS, Additions(rules={"shop.yml": RULES}, dashboards=dashboards)))
    assert [(one.what, one.kept, one.noted, one.detail) for one in results] == [
        ("the rules shop.yml can be judged", True, True, "1 of 2 can have data; nobody exposes gone"),
        ("the dashboard Theirs can be judged", True, True, "1 of 2 can have data; nobody exposes gone"),
    ]


COUNTED = settings_of(
    {
        "metrics": {
            "golden_signals": [
                {"service": "billing", "requests": "up", "errors": 'gone{result="error"}', "duration": "gone"},
                {"service": "mail", "requests": "up"},
            ]
        }
    }
)


@pytest.mark.usefixtures("_running")
def test_a_metric_that_counts_a_service_and_that_nobody_exposes_is_noted_and_breaks_no_promise() -> None:
    results = list(findings(NOBODY, COUNTED, NONE))
    assert [(one.what, one.kept, one.noted, one.detail) for one in results] == [
        (
            "metrics.golden_signals of billing can be judged",
            True,
            True,
            "1 of 3 can have data; nobody exposes gone",
        ),
        ("metrics.golden_signals of mail can be judged", True, False, "1 of 1 can have data"),
    ]


def test_who_brings_nothing_is_asked_nothing() -> None:
    assert list(findings(NOBODY, SETTINGS, NONE)) == []


@pytest.mark.usefixtures("_running")
@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.yml": RULES}, ["a.yml: 1 of 2 can have data", "alert A: nobody exposes gone"]),
        ({"a.json": BOARD}, ["a.json: 1 of 2 can have data", "panel Panel 1 (1): nobody exposes gone"]),
        (
            {"b.json": CLOCK},
            ["b.json: 1 of 1 can have data", "Grafana has no plugin for its panels: grafana-clock-panel"],
        ),
        ({"a.rules": RULES.replace("gone", "up")}, ["a.rules: 2 of 2 can have data"]),
        ({}, ["nothing is brought"]),
    ],
    ids=["rules", "a dashboard", "a plugin", "all have data", "nothing"],
)
def test_the_command_prints_what_can_never_have_data_and_fails_if_anything(
    files: dict[str, str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "load_settings", lambda _: SETTINGS)
    monkeypatch.setattr(engine_setup, "connect", lambda _: NOBODY)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    try:
        command.unanswered([tmp_path / name for name in files], "dev")
        ended = 0
    except typer.Exit as end:
        ended = end.exit_code
    printed = capsys.readouterr().out
    assert ended == (1 if "nobody exposes" in printed or "no plugin" in printed else 0)
    assert all(word in printed for word in words)


@pytest.mark.usefixtures("_running")
def test_the_command_without_files_names_the_key_whose_metric_nobody_exposes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_settings", lambda _: COUNTED)
    monkeypatch.setattr(engine_setup, "connect", lambda _: NOBODY)
    with pytest.raises(typer.Exit):
        command.unanswered(None, "dev")
    printed = capsys.readouterr().out
    assert "metrics.golden_signals of billing: 1 of 3 can have data" in printed
    assert "  errors: nobody exposes gone" in printed


def test_a_page_without_an_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_pages(monkeypatch, lambda _, url: (1, b"404") if "bad" in url else (0, b'{"data": 1}'))
    engine: Any = SimpleNamespace(containers=SimpleNamespace(get=lambda _: SimpleNamespace(id="prometheus")))
    assert pages.ask_all(engine, SETTINGS, "prometheus", ["/a", "/bad", "/b"]) == [{"data": 1}, None, {"data": 1}]
