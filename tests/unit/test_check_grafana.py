"""What the check finds in a Grafana that differs from what is declared; its answers are made up, the real ones are in e2e."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from check import grafana as module
from config.additions import Dashboard
from config.services.correlation import grafana
from config.settings.secret_keys import GRAFANA_PASSWORD
from tests.support.program import settings_of

SETTINGS = settings_of(secrets=[GRAFANA_PASSWORD])
BOARD = json.dumps({"uid": "overview", "title": "Overview", "panels": [{"id": 1, "datasource": {"uid": "loki"}}]})
SHOWN = json.loads(grafana.marked(BOARD)[0])
SOURCES = [{**source, "readOnly": True} for source in grafana.data_sources(SETTINGS)]


def answers(**changes: Any) -> dict[str, Any]:
    """Path → what Grafana answers, but for `changes`; None for no answer."""
    proxied: dict[str, Any] = {
        f"/api/datasources/proxy/uid/{uid}{path}": {"data": []} for uid, path in module.PROBES.items()
    }
    boards = {"/api/search?type=dash-db": [{"uid": "overview"}], "/api/dashboards/uid/overview": {"dashboard": SHOWN}}
    return {"/api/datasources": SOURCES, **proxied, **boards, **changes}


def broken(monkeypatch: pytest.MonkeyPatch, answered: Mapping[str, Any]) -> dict[str, str]:
    def execute(_: Any, command: list[str]) -> tuple[int, str]:
        answer = answered.get(command[-1])
        return (1, "404") if answer is None else (0, json.dumps(answer))

    monkeypatch.setattr(module, "execute", execute)
    monkeypatch.setattr(module, "container", lambda *_: SimpleNamespace())
    nobody: Any = None
    findings = module.findings(nobody, SETTINGS, {"overview": Dashboard(BOARD)})
    return {finding.what: finding.detail for finding in findings if not finding.kept}


def test_a_grafana_that_keeps_every_promise_is_not_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken(monkeypatch, answers()) == {}


LOST = {**SHOWN, "panels": [{"id": 1, "datasource": {"uid": "prometeus"}}]}


@pytest.mark.parametrize(
    ("changes", "what", "detail"),
    [
        (
            {"/api/datasources": [{**SOURCES[0], "uid": "prometeus"}, *SOURCES[1:]]},
            "Grafana has the data sources that are declared",
            "missing or different: prometeus, prometheus",
        ),
        (
            {"/api/datasources": [{**SOURCES[0], "jsonData": {}}, *SOURCES[1:]]},
            "Grafana has the data sources that are declared",
            "missing or different: prometheus",
        ),
        (
            {f"/api/datasources/proxy/uid/jaeger{module.PROBES['jaeger']}": None},
            "every data source answers through Grafana",
            "silent: jaeger",
        ),
        (
            {"/api/search?type=dash-db": []},
            "Grafana shows the dashboards that are declared",
            "missing or different: overview",
        ),
        (
            {"/api/dashboards/uid/overview": {"dashboard": json.loads(BOARD)}},
            "Grafana shows the dashboards that are declared",
            "missing or different: overview",
        ),
        (
            {"/api/dashboards/uid/overview": {"dashboard": LOST}},
            "every panel asks a data source that is there",
            "overview asks prometeus",
        ),
        ({"/api/datasources": None}, "Grafana answers", "Grafana does not answer /api/datasources: 404"),
    ],
)
def test_what_differs_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], what: str, detail: str
) -> None:
    assert broken(monkeypatch, answers(**changes)) == {what: detail}


def test_a_dashboard_that_somebody_made_in_it_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {
        "/api/search?type=dash-db": [{"uid": "overview"}, {"uid": "theirs"}],
        "/api/dashboards/uid/theirs": {"dashboard": {"panels": []}},
    }
    assert broken(monkeypatch, answers(**theirs)) == {}


def test_a_grafana_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise NotFound("ns-grafana")

    monkeypatch.setattr(module, "container", gone)
    [finding] = module.findings(None, SETTINGS, {"overview": Dashboard(BOARD)})  # type: ignore[arg-type]
    assert (finding.what, finding.kept) == ("Grafana answers", False)


def test_a_stack_without_grafana_is_not_asked_for_it() -> None:
    assert list(module.findings(None, settings_of(), {})) == []  # type: ignore[arg-type]
