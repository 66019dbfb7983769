"""Dashboards are checked before they reach Grafana, which would only log what is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.additions import Dashboard
from config.services.correlation import dashboard_files
from config.services.logs import loki
from config.settings import Settings
from config.settings.loading import SettingsError
from config.settings.thresholds import Thresholds
from config.settings.units import seconds
from tests.support import dashboard_queries
from tests.support.program import settings_of

KEY = "Pulumi.test.yaml: nervous-system:grafana.dashboards"


def read(paths: list[str], root: Path, *, stack_key: str) -> dict[str, str]:
    dashboards = dashboard_files.read(settings_of({"grafana": {"dashboards": paths}}), root, stack_key=stack_key)
    return {uid: dashboard.text for uid, dashboard in dashboards.items()}


def board(uid: str = "mine", **more: Any) -> str:
    return json.dumps({"uid": uid, "title": "Mine", "panels": [], **more})


def panel(number: int, source: Any = "prometheus", **more: Any) -> dict[str, Any]:
    return {"id": number, "datasource": {"uid": source}, **more}


@pytest.fixture(autouse=True)
def _none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_files, "OURS", tmp_path / "ours")


def test_the_users_dashboards_are_delivered_with_ours(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "overview.json").write_text(board("overview", title="Overview"))
    (tmp_path / "mine.json").write_text(board())
    assert read(["mine.json"], tmp_path, stack_key=KEY) == {
        "overview": board("overview", title="Overview"),
        "mine": board(),
    }


@pytest.mark.parametrize(
    "text",
    [
        board(
            panels=[panel(1), panel(2, "${source}"), panel(3, "-- Mixed --")],
            templating={"list": [{"name": "source", "type": "custom"}]},
        ),
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
        ("{", "is not JSON"),
        ("[]", "is not a dashboard: it has no panels"),
        (json.dumps({"dashboard": {}}), "is not a dashboard: it has no panels"),
        (board(title=""), "has no title"),
        (board(panels=[panel(1, "prometeus")]), "asks the data source prometeus: there are prometheus, loki"),
        (board(panels=[panel(1, targets=[{"datasource": {"uid": "P1809"}}])]), "asks the data source P1809"),
    ],
)
def test_a_wrong_dashboard_is_refused_with_its_name_and_the_reason(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read(["mine.json"], tmp_path, stack_key=KEY)
    assert str(caught.value).startswith(f"{KEY}: mine.json: ")
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"grafana\.dashboards: gone\.json: No such file"):
        read(["gone.json"], tmp_path, stack_key=KEY)


def test_two_dashboards_of_one_uid_are_refused(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for path in ("mine.json", "more/mine.json"):
        (tmp_path / path).write_text(board())
    with pytest.raises(SettingsError, match=r"more/mine\.json: another dashboard has the uid 'mine' too"):
        read(["mine.json", "more/mine.json"], tmp_path, stack_key=KEY)


def test_two_dashboards_of_one_title_are_refused_because_grafana_would_take_neither(tmp_path: Path) -> None:
    for uid in ("mine", "yours"):
        (tmp_path / f"{uid}.json").write_text(board(uid))
    with pytest.raises(SettingsError, match=r"yours\.json: another dashboard has the title 'Mine' too"):
        read(["mine.json", "yours.json"], tmp_path, stack_key=KEY)


def test_a_folder_has_dashboards_as_the_list_without_one_has(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(board())
    settings = settings_of({"grafana": {"folders": {"Shop": ["mine.json"]}, "home": "mine"}})
    [dashboard] = dashboard_files.read(settings, tmp_path, stack_key=KEY).values()
    assert (dashboard.text, dashboard.folder) == (board(), "Shop")


def test_a_wrong_dashboard_is_named_with_its_folder(tmp_path: Path) -> None:
    settings = settings_of({"grafana": {"folders": {"Shop": ["gone.json"]}}})
    with pytest.raises(SettingsError, match=r"nervous-system:grafana\.folders\.Shop: gone\.json: No such file"):
        dashboard_files.read(settings, tmp_path, stack_key=KEY)


def test_a_first_page_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(board())
    settings = settings_of({"grafana": {"dashboards": ["mine.json"], "home": "min"}})
    with pytest.raises(
        SettingsError, match=r"nervous-system:grafana\.home: no dashboard has the uid 'min': there are mine$"
    ):
        dashboard_files.read(settings, tmp_path, stack_key=KEY)


# What a stack retains


OURS = dashboard_queries.JSON
LONG_RETENTION = settings_of({"logs": {"retention": {"time": "30d"}}, "metrics": {"retention": {"time": "60d"}}})
"""A stack whose dashboards have all their comparisons."""


def stack_files() -> dict[str, Settings]:
    """The stacks of this repository, by the names of their files."""
    stacks = {}
    for file in sorted(OURS.parent.parent.glob("Pulumi.*.yaml")):
        config = yaml.safe_load(file.read_text())["config"]
        plain = {key.partition(":")[2]: value for key, value in config.items() if key.startswith("nervous-system:")}
        stacks[file.stem] = settings_of({key: value for key, value in plain.items() if "secure" not in str(value)[:12]})
    return stacks


def compared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Uid of a data source → the offsets in the queries of the delivered dashboards."""
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    offsets: dict[str, set[str]] = {"prometheus": set(), "loki": set()}
    for dashboard in dashboard_files.read(settings, Path(), stack_key=KEY).values():
        for panel_ in dashboard_queries.panels(json.loads(dashboard.text)):
            for target in panel_.get("targets", ()):
                ago = re.findall(r" offset (\d+[dw])", target.get("expr", ""))
                offsets.setdefault(target["datasource"]["uid"], set()).update(ago)
    return {uid: ago for uid, ago in offsets.items() if uid in {"prometheus", "loki"}}


@pytest.mark.parametrize(("name", "settings"), stack_files().items(), ids=list(stack_files()))
def test_no_query_of_a_stack_reaches_beyond_its_retention(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    lookback = seconds(loki.limits_of(settings)["max_query_lookback"])
    retention = {"loki": lookback, "prometheus": seconds(settings.metrics.retention.time)}
    for uid, entry in dashboard_files.read(settings, Path(), stack_key=KEY).items():
        dashboard = json.loads(entry.text)
        for panel_ in dashboard_queries.panels(dashboard):
            assert panel_.get("targets") or panel_["type"] == "alertlist"
            for target in panel_.get("targets", ()):
                reach = dashboard_files.reach_seconds(target.get("expr", ""), dashboard)
                assert reach <= retention.get(target["datasource"]["uid"], reach), f"{uid}: {panel_['title']}"


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
def test_panels_compare_with_a_past_that_the_stack_retains(
    retention: str, wanted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_logs = settings_of({"logs": {"retention": {"time": retention}}, "metrics": {"retention": {"time": "60d"}}})
    assert compared(of_logs, monkeypatch) == {"prometheus": {"1d", "1w"}, "loki": wanted}
    of_metrics = settings_of({"metrics": {"retention": {"time": retention}}, "logs": {"retention": {"time": "30d"}}})
    assert compared(of_metrics, monkeypatch) == {"prometheus": wanted, "loki": {"1d", "1w"}}


def test_longer_retention_of_one_service_is_enough_for_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retention = {"time": "2d", "services": {"orders": "30d"}}
    assert compared(settings_of({"logs": {"retention": retention}}), monkeypatch)["loki"] == {"1d", "1w"}


def test_with_long_retention_and_default_thresholds_the_committed_text_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    assert dashboard_files.read(LONG_RETENTION, Path(), stack_key=KEY) == {
        file.stem: Dashboard(file.read_text()) for file in OURS.glob("*.json")
    }


def test_the_users_own_dashboards_keep_their_queries(tmp_path: Path) -> None:
    expr = 'sum(rate({service="a"}[5m] offset 52w))'
    text = board(panels=[panel(1, "loki", targets=[{"expr": expr, "datasource": {"uid": "loki"}}])])
    (tmp_path / "mine.json").write_text(text)
    assert read(["mine.json"], tmp_path, stack_key=KEY) == {"mine": text}


# The stack's thresholds


MARKS: dict[str, dict[str, dict[str, Any]]] = json.loads(dashboard_files.THRESHOLDS.read_text())


def delivered(thresholds: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[int, dict[str, Any]]]:
    """uid → id of a panel → the panel, in a stack with these thresholds."""
    monkeypatch.setattr(dashboard_files, "OURS", OURS)
    settings = LONG_RETENTION.model_copy(update={"alerts": settings_of({"alerts": {"thresholds": thresholds}}).alerts})
    dashboards = dashboard_files.read(settings, Path(), stack_key=KEY)
    return {
        uid: {panel_["id"]: panel_ for panel_ in dashboard_queries.panels(json.loads(dashboard.text))}
        for uid, dashboard in dashboards.items()
    }


def steps(panel_: dict[str, Any]) -> list[float]:
    return [step["value"] for step in panel_["fieldConfig"]["defaults"]["thresholds"]["steps"]]


@pytest.mark.parametrize(
    ("thresholds", "where", "values", "words"),
    [
        ({"error_ratio": 2}, "golden-signals: Errors", [0, 0.004, 0.02], "red at 2 %,"),
        ({"latency_p95": "300ms"}, "overview: p95", [0, 0.15, 0.3], "red at 300ms,"),
        ({"latency_p95": "2s"}, "golden-signals: p95 by route", [0, 2], ""),
        ({"cpu": 95}, "host: CPU", [0, 0.76, 0.95], "red at 95 %,"),
        ({"cpu": 95, "memory": 60}, "overview: Host", [0, 0.48, 0.6], ""),
        ({"container_restarts": 7}, "host: Restarts", [0, 1, 7], ""),
        ({"db_connections": 50}, "databases: PostgreSQL connections", [0, 0.4, 0.5], "red at 50 %,"),
        ({"series": 1_000_000}, "stack: Series in memory", [0, 500_000, 1_000_000], "red at 1,000,000,"),
        ({"log_errors": 30}, "logs: Errors", [0, 0.1], ""),
        ({"scrape_duration": "2s"}, "stack: Scrape duration", [0, 2], ""),
    ],
)
def test_a_panel_turns_red_at_the_threshold_of_the_stack(
    thresholds: dict[str, Any],
    where: str,
    values: list[float],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uid, _, title = where.partition(": ")
    [panel_, *_] = [one for one in delivered(thresholds, monkeypatch)[uid].values() if one["title"] == title]
    assert steps(panel_) == pytest.approx(values)
    assert words in panel_["description"]


def test_a_changed_threshold_changes_its_panels_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    before = delivered({}, monkeypatch)
    for name in {name for panels in MARKS.values() for mark in panels.values() for name in mark["settings"]}:
        default = getattr(Thresholds(), name)
        after = delivered(
            {name: "7s" if isinstance(default, str) else default / 2 if isinstance(default, float) else default // 2},
            monkeypatch,
        )
        changed = {
            (uid, key) for uid, panels in after.items() for key, panel in panels.items() if panel != before[uid][key]
        }
        marked = {(uid, int(key)) for uid, panels in MARKS.items() for key in panels if name in panels[key]["settings"]}
        assert changed == marked, name


def test_a_panel_whose_description_names_a_threshold_follows_it() -> None:
    for uid, board_ in dashboard_queries.boards().items():
        for panel_ in dashboard_queries.panels(board_):
            if "Turns red at" in panel_["description"]:
                assert str(panel_["id"]) in MARKS[uid]


def test_the_users_own_dashboards_keep_their_thresholds(tmp_path: Path) -> None:
    fields = {"defaults": {"thresholds": {"steps": [{"value": 0}, {"value": 0.8}]}}}
    text = board("host", panels=[panel(number, fieldConfig=fields) for number in range(1, 20)])
    (tmp_path / "host.json").write_text(text)
    settings = settings_of(
        {"grafana": {"dashboards": ["host.json"]}, "alerts": {"thresholds": {"cpu": 95, "disk": 70}}}
    )
    assert dashboard_files.read(settings, tmp_path, stack_key=KEY)["host"].text == text
