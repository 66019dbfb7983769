"""Dashboards are judged before they reach Grafana, which would only log what is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import dashboard_files, loki
from config.settings import Settings
from config.settings.loading import SettingsError
from config.settings.units import seconds
from dashboards.__main__ import rendered
from tests import panels
from tests.unit.conftest import settings_of

KEY = "Pulumi.test.yaml: nervous-system:grafana.dashboards"


def read(paths: list[str], root: Path, *, stack_key: str) -> dict[str, str]:
    return dashboard_files.read(settings_of({"grafana": {"dashboards": paths}}), root, stack_key=stack_key)


def board(uid: str = "mine", **more: Any) -> str:
    return json.dumps({"uid": uid, "title": "Mine", "panels": [], **more})


def panel(number: int, source: Any = "prometheus", **more: Any) -> dict[str, Any]:
    return {"id": number, "datasource": {"uid": source}, **more}


@pytest.fixture(autouse=True)
def _none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_files, "OURS", tmp_path / "ours")


def test_the_users_dashboards_stand_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "overview.json").write_text(board("overview"))
    (tmp_path / "mine.json").write_text(board())
    assert read(["mine.json"], tmp_path, stack_key=KEY) == {"overview": board("overview"), "mine": board()}


@pytest.mark.parametrize(
    "text",
    [
        board(panels=[panel(1), panel(2, "${source}"), panel(3, "-- Mixed --")]),
        board(panels=[{"id": 1, "datasource": None}, {"id": 2, "type": "row", "panels": [panel(3, "loki")]}]),
        board(annotations={"list": [{"datasource": {"uid": "-- Grafana --"}}]}),
    ],
    ids=["variables and the built-in ones", "the default, and a closed row", "annotations"],
)
def test_good_dashboards_pass(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    assert read(["mine.json"], tmp_path, stack_key=KEY) == {"mine": text}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "is no dashboard: it has no panels"),
        (json.dumps({"dashboard": {}}), "is no dashboard: it has no panels"),
        (board("other"), "its uid is 'other': give the file that name, or the dashboard the uid 'mine'"),
        (board(title=""), "has no title"),
        (board(id=7), "has an id"),
        (board(__inputs=[{"name": "DS"}]), "asks for inputs"),
        (board(panels=[panel(1), panel(1)]), "two panels have the id 1"),
        (board(panels=[panel(1), {"id": 2, "panels": [panel(1)]}]), "two panels have the id 1"),
        (board(panels=[panel(1, "prometeus")]), "asks the data source prometeus: there are prometheus, loki"),
        (board(panels=[panel(1, targets=[{"datasource": {"uid": "P1809"}}])]), "asks the data source P1809"),
        (board(templating={"list": [{"name": "revision"}]}), "a variable called revision"),
    ],
)
def test_a_wrong_dashboard_is_refused_by_name_and_reason(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read(["mine.json"], tmp_path, stack_key=KEY)
    assert str(caught.value).startswith(f"{KEY}: mine.json: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["my board", "x" * 41, "böard"])
def test_a_name_that_is_no_uid_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.json").write_text(board(name))
    with pytest.raises(SettingsError, match="its name is no uid"):
        read([f"{name}.json"], tmp_path, stack_key=KEY)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"grafana\.dashboards: gone\.json: No such file"):
        read(["gone.json"], tmp_path, stack_key=KEY)


def test_two_dashboards_of_one_uid_are_refused(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for path in ("mine.json", "more/mine.json"):
        (tmp_path / path).write_text(board())
    with pytest.raises(SettingsError, match=r"more/mine\.json: another dashboard has the uid 'mine' too"):
        read(["mine.json", "more/mine.json"], tmp_path, stack_key=KEY)


# What a stack keeps


OURS = panels.JSON


def stack_files() -> dict[str, Settings]:
    """The stacks of this repository, by the names of their files."""
    made = {}
    for file in sorted(OURS.parent.parent.glob("Pulumi.*.yaml")):
        config = yaml.safe_load(file.read_text())["config"]
        plain = {key.partition(":")[2]: value for key, value in config.items() if key.startswith("nervous-system:")}
        made[file.stem] = settings_of({key: value for key, value in plain.items() if "secure" not in str(value)[:12]})
    return made


def compared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Uid of a data source → how long ago the delivered dashboards ask it about."""
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    found: dict[str, set[str]] = {"prometheus": set(), "loki": set()}
    for text in dashboard_files.read(settings, Path(), stack_key=KEY).values():
        for panel_ in panels.panels(json.loads(text)):
            for target in panel_.get("targets", ()):
                ago = re.findall(r" offset (\d+[dw])", target.get("expr", ""))
                found.setdefault(target["datasource"]["uid"], set()).update(ago)
    return {uid: ago for uid, ago in found.items() if uid in {"prometheus", "loki"}}


@pytest.mark.parametrize(("name", "settings"), stack_files().items(), ids=list(stack_files()))
def test_no_query_of_a_stack_reaches_beyond_what_it_keeps(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    lookback = seconds(loki.limits_of(settings)["max_query_lookback"])
    kept = {"loki": lookback, "prometheus": seconds(settings.metrics.retention.time)}
    for uid, text in dashboard_files.read(settings, Path(), stack_key=KEY).items():
        dashboard = json.loads(text)
        for panel_ in panels.panels(dashboard):
            assert panel_.get("targets") or panel_["type"] == "alertlist"
            for target in panel_.get("targets", ()):
                reach = dashboard_files.reach_seconds(target.get("expr", ""), dashboard)
                assert reach <= kept.get(target["datasource"]["uid"], reach), f"{uid}: {panel_['title']}"


@pytest.mark.parametrize(
    ("retention", "wanted"),
    [
        ("30d", {"1d", "1w"}),
        ("8d", {"1d", "1w"}),
        ("7d1h", {"1d", "1w"}),
        ("7d", {"1d"}),
        ("2d", {"1d"}),
        ("1d", set()),
    ],
)
def test_a_past_is_compared_with_where_it_is_kept(
    retention: str, wanted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_logs = settings_of({"logs": {"retention": {"time": retention}}, "metrics": {"retention": {"time": "60d"}}})
    assert compared(of_logs, monkeypatch) == {"prometheus": {"1d", "1w"}, "loki": wanted}
    of_metrics = settings_of({"metrics": {"retention": {"time": retention}}, "logs": {"retention": {"time": "30d"}}})
    assert compared(of_metrics, monkeypatch) == {"prometheus": wanted, "loki": {"1d", "1w"}}


def test_a_service_whose_lines_are_kept_for_longer_is_compared_with_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"time": "2d", "services": {"orders": "30d"}}
    assert compared(settings_of({"logs": {"retention": kept}}), monkeypatch)["loki"] == {"1d", "1w"}


def test_dashboards_that_keep_all_their_queries_are_delivered_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    kept = settings_of({"logs": {"retention": {"time": "30d"}}, "metrics": {"retention": {"time": "60d"}}})
    assert dashboard_files.read(kept, Path(), stack_key=KEY) == rendered()


def test_the_users_own_dashboards_ask_what_they_ask(tmp_path: Path) -> None:
    expr = 'sum(rate({service="a"}[5m] offset 52w))'
    text = board(panels=[panel(1, "loki", targets=[{"expr": expr, "datasource": {"uid": "loki"}}])])
    (tmp_path / "mine.json").write_text(text)
    assert read(["mine.json"], tmp_path, stack_key=KEY) == {"mine": text}
