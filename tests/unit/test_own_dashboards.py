"""Dashboards as people download and export them are made to fit this stack, or refused with one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.services.correlation import dashboard_files, grafana
from config.services.correlation.own_dashboards import UnfitError, adapted, panels, variables
from config.settings.loading import SettingsError
from tests.brought_boards import BOARDS, ELSEWHERE, PROMETHEUS_INPUT, UIDS, graph, row, texts, variable
from tests.support.program import settings_of

OURS = {"prometheus", "loki", "jaeger", "alertmanager"}


def board(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"uid": "mine", "title": "Mine", "panels": list(content), **more}


@pytest.fixture
def delivered(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """uid → dashboard, of the folder with all shapes."""
    (tmp_path / "boards").mkdir()
    for name, text in texts().items():
        (tmp_path / "boards" / name).write_text(text, encoding="utf-8-sig")
    settings = settings_of({"grafana": {"dashboards": ["boards"]}})
    own = dashboard_files.own(settings, tmp_path, stack_key="dashboards")
    return {uid: json.loads(dashboard.text) for uid, dashboard in own.items()}


def test_every_shape_is_taken_as_it_is_with_a_uid_that_stays(delivered: dict[str, dict[str, Any]]) -> None:
    assert delivered.keys() == {*UIDS.values()}
    assert {uid: dashboard["uid"] for uid, dashboard in delivered.items()} == {uid: uid for uid in UIDS.values()}


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_asks_a_data_source_of_the_stack(name: str, delivered: dict[str, dict[str, Any]]) -> None:
    dashboard = delivered[UIDS[name]]
    assert dashboard_files.unknown_sources(dashboard) == []
    assert "DS_PROMETHEUS" not in json.dumps(dashboard)
    assert not {"id", "version", "__inputs", "__requires", "__elements"} & dashboard.keys()
    numbers = [panel["id"] for panel in panels(dashboard) if "id" in panel]
    assert len(numbers) == len({*numbers})


def test_an_input_is_filled_in_wherever_it_stands(delivered: dict[str, dict[str, Any]]) -> None:
    dashboard = delivered["rYdddlPWk"]
    assert dashboard["templating"]["list"][0]["query"] == "node_exporter"
    assert dashboard["panels"][0]["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert dashboard["schemaVersion"] == 39


def test_rows_of_old_schemas_stay_for_grafana_to_migrate(delivered: dict[str, dict[str, Any]]) -> None:
    dashboard = delivered["dashboard-14-1"]
    assert "panels" not in dashboard
    assert [row_["title"] for row_ in dashboard["rows"]] == ["First", "Second"]
    assert dashboard["rows"][0]["panels"][0]["datasource"]["uid"] == "prometheus"
    assert dashboard["rows"][1]["repeat"] == "job"


def test_a_variable_that_chooses_a_source_has_one_to_choose(delivered: dict[str, dict[str, Any]]) -> None:
    [source, job, _] = variables(delivered["ubersicht-4d2bb368"])
    assert (source["regex"], source["current"]) == ("", {"text": "Prometheus", "value": "prometheus"})
    assert job["datasource"] == "$ds"


def test_a_variable_called_like_the_mark_of_the_stack_stays(delivered: dict[str, dict[str, Any]]) -> None:
    text, revision = grafana.marked(json.dumps(delivered["ubersicht-4d2bb368"]))
    named = {one["name"]: one["query"] for one in variables(json.loads(text))}
    assert (named["revision"], named["revision_"]) == ("1,2", revision)


def test_a_library_panel_is_put_into_its_place(delivered: dict[str, dict[str, Any]]) -> None:
    [panel] = delivered["library"]["panels"]
    assert (panel["id"], panel["type"], panel["gridPos"]["w"]) == (5, "timeseries", 6)
    assert panel["targets"][0]["expr"] == "up"
    assert "libraryPanel" not in panel


def test_repeated_rows_stay(delivered: dict[str, dict[str, Any]]) -> None:
    assert [panel.get("repeat") for panel in delivered["repeated"]["panels"]] == ["job", "job", "job"]


LIBRARY = {"id": 1, "libraryPanel": {"uid": "lib", "name": "CPU"}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "is not a dashboard"),
        ({"title": "x"}, "is not a dashboard: it has no panels"),
        ({"kind": "ConfigMap", "data": {}}, "is not a dashboard"),
        (
            {"kind": "Dashboard", "spec": {"title": "x", "elements": {}, "layout": {}}},
            "export it with the model Classic",
        ),
        ({"title": "x", "elements": {}, "layout": {}}, "export it with the model Classic"),
        (board(LIBRARY), "has the library panel 'CPU', which only the other Grafana has: unlink it there"),
        (board(row(1, LIBRARY)), "has the library panel 'CPU'"),
        (board(graph(1, source="prod")), "grafana.data_sources: {prod: prometheus}"),
        (board(graph(1, source={"uid": "abc"})), "grafana.data_sources: {abc: prometheus}"),
        (board(graph(1, source="${DS_PROD}")), "grafana.data_sources: {DS_PROD: prometheus}"),
        (
            board(graph(1, source={"type": "mysql", "uid": "m"})),
            "asks the data source m (of the type mysql): there are",
        ),
        (board(__inputs=[{**PROMETHEUS_INPUT, "pluginId": "influxdb"}]), "DS_PROMETHEUS (of the type influxdb)"),
        (board(__inputs=[{"name": "VAR_X", "type": "constant"}]), "leaves the constant VAR_X open"),
        (board(templating={"list": [variable("ds", "datasource", "elasticsearch")]}), "ds (of the type elasticsearch)"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_one_line_that_says_what_to_do(document: Any, words: str) -> None:
    with pytest.raises(UnfitError) as caught:
        adapted(document, "mine", {})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        board(graph(1, source="prod")),
        board(graph(1, source="${prod}")),
        board(graph(1, source={"type": "my-prometheus", "uid": "prod"})),
        board(graph(1, source="${prod}"), __inputs=[{**PROMETHEUS_INPUT, "name": "prod", "pluginId": "my-prometheus"}]),
    ],
)
def test_a_source_that_is_not_sure_is_told_by_the_settings(document: dict[str, Any]) -> None:
    dashboard = adapted(document, "mine", {"prod": "prometheus"})
    assert dashboard_files.unknown_sources(dashboard) == []
    assert "prod" not in json.dumps(dashboard)


def test_a_variable_of_another_type_is_told_by_the_settings() -> None:
    document = board(
        graph(1, source="$ds"), templating={"list": [variable("ds", "datasource", "my-prometheus", multi=True)]}
    )
    [result] = variables(adapted(document, "mine", {"ds": "prometheus"}))
    assert (result["query"], result["current"]["value"]) == ("prometheus", ["prometheus"])


def test_an_unlinked_copy_of_a_library_panel_is_enough() -> None:
    linked = graph(1, source=ELSEWHERE, libraryPanel={"uid": "lib", "name": "CPU"})
    [panel] = adapted(board(linked), "mine", {})["panels"]
    assert "libraryPanel" not in panel


@pytest.mark.parametrize(
    "broken",
    [
        {"panels": [1, None, "x", {"panels": 3}]},
        {"panels": [], "templating": {"list": ["x", 1]}},
        {"panels": [], "templating": []},
        {"panels": [], "__inputs": "x"},
        {"panels": [], "__elements": {"a": 1}},
        {"panels": [{"libraryPanel": "x"}]},
        {"panels": [], "title": ["x"]},
    ],
)
def test_what_is_broken_inside_is_refused_by_name(tmp_path: Path, broken: dict[str, Any]) -> None:
    (tmp_path / "broken.json").write_text(json.dumps({"uid": "broken", **broken}))
    settings = settings_of({"grafana": {"dashboards": ["broken.json"]}})
    with pytest.raises(SettingsError, match=r"^dashboards: broken\.json: [^\n]+$"):
        dashboard_files.own(settings, tmp_path, stack_key="dashboards")
