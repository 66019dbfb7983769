"""Dashboards are judged before they reach Grafana, which would only log what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from config import dashboard_files
from config.dashboard_files import read
from config.settings import SettingsError

KEY = "Pulumi.test.yaml: nervous-system:grafana.dashboards"


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
