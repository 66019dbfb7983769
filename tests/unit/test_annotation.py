"""What is told of a deployment, and how it reaches the collector."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.services.traces import otel_collector
from engine import annotation as module
from engine.annotation import Order, annotate, changes

LOKI = {"image": "grafana/loki:3.7.6", "memory": "512 MiB", "files": "a", "container": "1"}
AGENT = {"image": "grafana/alloy:1.20", "memory": "256 MiB", "files": "b", "container": "2"}


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"loki": LOKI}, {"loki": LOKI}, {}),
        ({}, {"loki": LOKI}, {"loki": "new, grafana/loki:3.7.6"}),
        ({"loki": LOKI, "alloy": AGENT}, {"loki": LOKI}, {"alloy": "removed"}),
        (
            {"loki": LOKI},
            {"loki": {**LOKI, "image": "grafana/loki:3.7.8", "container": "3"}},
            {"loki": "image grafana/loki:3.7.6 → grafana/loki:3.7.8"},
        ),
        (
            {"loki": LOKI},
            {"loki": {**LOKI, "memory": "1024 MiB", "files": "c"}},
            {"loki": "memory 512 MiB → 1024 MiB, files or secrets"},
        ),
        ({"loki": LOKI}, {"loki": {**LOKI, "container": "3"}}, {"loki": "another container"}),
    ],
)
def test_what_has_changed_is_told_in_words(before: Any, now: Any, words: dict[str, str]) -> None:
    assert changes(before, now) == words


class Pushed:
    """An engine whose container `ns-prometheus` reaches a collector that refuses so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int = 0) -> None:
        self.bodies: list[Any] = []
        self._refusals = refusals
        monkeypatch.setattr(module, "connect", lambda _: SimpleNamespace(containers=SimpleNamespace(get=str)))
        monkeypatch.setattr(module, "execute", self._execute)
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 5 if refusals < 3 else -1)

    def _execute(self, asker: str, command: Sequence[str]) -> tuple[int, str]:
        assert asker == "ns-prometheus"
        if self._refusals:
            self._refusals -= 1
            return 1, "connection refused"
        [body] = [part.partition("=")[2] for part in command if part.startswith("--post-data=")]
        self.bodies.append(json.loads(body))
        return 0, ""


def order(services: Any) -> Order:
    return Order(docker={}, asker="ns-prometheus", environment="prod", services=services)


def run(monkeypatch: pytest.MonkeyPatch, services: Any, before: Any = None) -> None:
    """As the Pulumi command does, after one that printed `before`."""
    monkeypatch.setenv("ORDER", json.dumps(asdict(order(services))))
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", json.dumps(before) if before else "")
    module.main()


def test_a_deployment_is_one_line_of_the_stream_that_dashboards_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Pushed(monkeypatch, refusals=1)
    monkeypatch.setattr(module, "clean_commit", lambda _: "4f2a1c9")
    annotate(order({"loki": LOKI, "alloy": AGENT}), {})
    [of_resource] = collector.bodies[0]["resourceLogs"]
    assert of_resource["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "deployments"}},
    ]
    [of_scope] = of_resource["scopeLogs"]
    [record] = of_scope["logRecords"]
    lowest, highest = otel_collector.SEVERITIES["info"]
    assert lowest <= record["severityNumber"] <= highest
    assert json.loads(record["body"]["stringValue"]) == {
        "message": "alloy: new, grafana/alloy:1.20; loki: new, grafana/loki:3.7.6",
        "environment": "prod",
        "changed": "alloy,loki",
        "commit": "4f2a1c9",
    }


def test_the_commit_is_told_if_nothing_of_it_was_changed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        names = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        return subprocess.run(["git", *names, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert module.clean_commit(tmp_path) == ""
    git("init")
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {}\n")
    git("add", ".")
    git("commit", "-m", "one")
    (tmp_path / "beside").touch()
    assert module.clean_commit(tmp_path) == git("rev-parse", "HEAD").strip()
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {x: 1}\n")
    assert module.clean_commit(tmp_path) == ""


def test_a_deployment_that_changes_nothing_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Pushed(monkeypatch)
    annotate(order({"loki": LOKI}), {"loki": LOKI})
    assert collector.bodies == []


def test_what_was_told_is_not_told_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Pushed(monkeypatch)
    run(monkeypatch, {"loki": LOKI})
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"loki": LOKI}
    assert printed.err == ""


def test_a_collector_that_does_not_take_it_is_told_in_one_line_and_the_next_deployment_tells_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Pushed(monkeypatch, refusals=3)
    run(monkeypatch, {"loki": LOKI, "alloy": AGENT}, {"loki": LOKI})
    printed = capsys.readouterr()
    assert printed.err == f"{module.NOT_TOLD} connection refused\n"
    before = json.loads(printed.out)
    collector = Pushed(monkeypatch)
    run(monkeypatch, {"loki": {**LOKI, "container": "3"}, "alloy": AGENT}, before)
    [body] = [record["body"]["stringValue"] for record in _records(collector.bodies)]
    assert json.loads(body)["message"] == "alloy: new, grafana/alloy:1.20; loki: another container"


def _records(bodies: list[Any]) -> list[Any]:
    return [
        record
        for body in bodies
        for of_resource in body["resourceLogs"]
        for of_scope in of_resource["scopeLogs"]
        for record in of_scope["logRecords"]
    ]
