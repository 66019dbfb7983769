"""The committed dashboards: they are current, and follow the rules of Grafana's own linter and of this project.

Prometheus and Loki parse the queries in `make rules`, and answer them in tests/e2e/shop_dashboards.py.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from config.alerts import EVERYTHING, RecordingRule, groups
from config.services.correlation import grafana
from config.services.correlation.dashboard_files import OURS, THRESHOLDS
from dashboards import colours
from dashboards.__main__ import files
from tests.support import dashboard_queries, grafana_page
from tests.support.dashboard_queries import DashboardQuery
from tests.support.program import settings_of

BOARDS = dashboard_queries.boards()
QUERIES = dashboard_queries.queries()
ALL_PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in dashboard_queries.panels(board)]
SOURCES = {"prometheus", "loki", "jaeger"}
WITHOUT_UNIT = {"logs", "alertlist"}
FILLED_IN_BY_GRAFANA = re.compile(r"__(from|to|field\.labels\.\w+|value\.raw|rate_interval|interval|auto|range)")
SCREEN = 22
"""Rows of Grafana's grid that a screen of 1080 pixels shows: each 30 pixels high, and 8 between them."""


def each_panel() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("uid", "panel"), ALL_PANELS, ids=[f"{uid}: {panel['title']}" for uid, panel in ALL_PANELS]
    )


def each_query(*sources: str) -> pytest.MarkDecorator:
    cases = [query for query in QUERIES if query.source in sources and query.panel != "variable"]
    return pytest.mark.parametrize("query", cases, ids=[query.where for query in cases])


def each_board() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))


def test_the_committed_files_are_what_the_code_makes() -> None:
    committed = {file: file.read_text() for file in (*OURS.glob("*.json"), THRESHOLDS)}
    assert committed == files(), "run `make dashboards` and commit what it writes"


def test_there_are_seven_dashboards() -> None:
    assert list(BOARDS) == ["databases", "golden-signals", "host", "logs", "overview", "slo", "stack"]
    assert all(board["uid"] == uid for uid, board in BOARDS.items())
    assert len({board["title"] for board in BOARDS.values()}) == 7


@each_board()
def test_a_dashboard_is_read_only_and_refreshes_every_30_seconds(board: Mapping[str, Any]) -> None:
    assert board["editable"] is False
    assert board["refresh"] == "30s"
    assert board["timepicker"].get("hidden", False) is False
    assert board["time"] == {"from": "now-7d" if board["uid"] == "slo" else "now-1h", "to": "now"}
    assert board.get("id") is None
    assert board["description"]


@each_board()
def test_a_dashboard_marks_deployments_new_images_incidents_and_alerts(board: Mapping[str, Any]) -> None:
    marks = {annotation["name"]: annotation for annotation in board["annotations"]["list"]}
    assert marks.keys() == {"Deployments", "Images", "Incidents", "Alerts"}
    assert all(mark["enable"] and mark["expr"] for mark in marks.values())
    assert len({mark["iconColor"] for mark in marks.values()}) == 4


@each_board()
def test_an_annotation_of_prometheus_is_a_line_at_its_beginning(board: Mapping[str, Any]) -> None:
    at, step = 1_764_000_000_000, 60_000
    marks = [mark for mark in board["annotations"]["list"] if mark["datasource"]["uid"] == "prometheus"]
    assert len(marks) == 2
    for mark in marks:
        assert grafana_page.events(mark, [(at, 1)], step) == [(at, at)]
        # The query gives nothing one step later, however long a step is at the shown width.
        begun, before = mark["expr"].split(" unless ")
        assert re.search(r"\{[^{}]*\}(\[5m\])? offset \$__interval\)*$", before)
        assert "offset" not in begun


@pytest.mark.parametrize("uid", BOARDS)
def test_no_text_takes_the_place_of_a_boolean(uid: str) -> None:
    """Grafana reads any text as true, even "off"."""
    words = {"on", "off", "true", "false", "yes", "no"}
    assert [place for place, text in grafana_page.texts(BOARDS[uid]) if text.lower() in words] == []


@each_board()
def test_the_menu_keeps_the_time_and_the_variables(board: Mapping[str, Any]) -> None:
    menus = [link for link in board["links"] if link["type"] == "dashboards"]
    assert menus
    assert all(menu["keepTime"] and menu["includeVars"] for menu in menus)


@each_board()
def test_a_dashboard_offers_the_services_of_the_shown_time(board: Mapping[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["service"]["datasource"]["uid"] == "prometheus"
    on_time_range_change = 2
    for variable in variables.values():
        assert variable["label"]
        if variable["type"] == "query":
            assert variable["refresh"] == on_time_range_change
        if variable.get("includeAll") and variable["name"] != "by":  # which is no matcher
            assert variable["allValue"] == "..*"


@each_board()
def test_panels_neither_overlap_nor_leave_the_grid(board: Mapping[str, Any]) -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, f"{panel['title']} covers {cells[x, y]}"
                cells[x, y] = panel["title"]
    lowest = max(y for _, y in cells)
    assert len(cells) == 24 * (lowest + 1), "there are holes"


@each_board()
def test_ids_of_panels_are_unique_within_a_dashboard(board: Mapping[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(ids)


@each_board()
def test_the_panels_before_the_first_heading_fit_on_a_screen(board: Mapping[str, Any]) -> None:
    headings = [panel["gridPos"]["y"] for panel in board["panels"] if panel["type"] == "row"]
    assert 0 < min(headings) <= SCREEN


@each_panel()
def test_a_panel_has_a_title_a_description_and_a_unit(uid: str, panel: Mapping[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    if panel["type"] not in WITHOUT_UNIT:
        assert panel["fieldConfig"]["defaults"]["unit"]


@each_panel()
def test_a_panel_names_data_sources_by_uid(uid: str, panel: Mapping[str, Any]) -> None:
    if panel["type"] == "alertlist":
        return
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] in SOURCES
        assert target["datasource"]["type"] == target["datasource"]["uid"]
    sources = {target["datasource"]["uid"] for target in panel["targets"]}
    assert panel["datasource"]["uid"] == (sources.pop() if len(sources) == 1 else "-- Mixed --")
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs)


@each_panel()
def test_a_panel_links_to_logs_and_to_traces_or_services(uid: str, panel: Mapping[str, Any]) -> None:
    places = [_place(uid, link["url"]) for link in panel["links"]]
    assert "loki" in places
    assert {"jaeger", "overview"} & set(places)


@each_panel()
def test_links_of_series_and_cells_have_a_title_and_a_target(uid: str, panel: Mapping[str, Any]) -> None:
    for link in _series_links(panel):
        assert _place(uid, link["url"])
        assert link["title"]


def each_table() -> pytest.MarkDecorator:
    tables = [(uid, panel) for uid, panel in ALL_PANELS if panel["type"] == "table"]
    return pytest.mark.parametrize(("uid", "panel"), tables, ids=[f"{uid}: {panel['title']}" for uid, panel in tables])


def derived_fields() -> list[str]:
    """The fields with a link that Loki's data source adds to lines."""
    [source] = [one for one in grafana.data_sources(settings_of()) if one["uid"] == "loki"]
    return [field["name"] for field in source["jsonData"]["derivedFields"]]


def fields(panel: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The fields that the data source of a table returns, and the labels in its field of labels."""
    query = panel["targets"][0]
    if panel["datasource"]["uid"] == "jaeger":
        return list(grafana_page.TRACES), []
    if panel["datasource"]["uid"] == "loki" and query["queryType"] != "instant":
        return [*grafana_page.LINES, *derived_fields()], ["service", "level", "trace_id", "said"]
    labels = ["service", "job", "instance", "source", "target", "called", "elsewhere", "said", "probe", "datname"]
    labels += ["slo", "sli", "window", "__name__"]
    several = len(panel["targets"]) > 1 or panel["datasource"]["uid"] == "loki"
    values = [f"Value #{one['refId']}" if several else "Value" for one in panel["targets"]]
    return ["Time", *labels, *values], []


@each_table()
def test_no_two_columns_of_a_table_have_one_title(uid: str, panel: Mapping[str, Any]) -> None:
    titles = grafana_page.columns(panel, *fields(panel))
    assert titles
    assert len(set(titles)) == len(titles)


@each_table()
def test_every_configured_column_exists(uid: str, panel: Mapping[str, Any]) -> None:
    columns = grafana_page.columns(panel, *fields(panel))
    assert {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]} <= set(columns)


@each_table()
def test_a_cell_has_no_link_of_its_own_if_its_data_source_links_it(uid: str, panel: Mapping[str, Any]) -> None:
    linked = {
        one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"] if "links" in str(one["properties"])
    }
    returned, labels = fields(panel)
    if panel["datasource"]["uid"] == "jaeger":
        assert "Trace ID" not in linked
    # A derived field with the name of a label would replace it in the table.
    assert not set(derived_fields()) & {*returned[: len(grafana_page.LINES)], *labels}


def test_only_a_service_with_golden_signals_links_to_them() -> None:
    [panel] = [panel for _, panel in ALL_PANELS if panel["title"] == "Who calls whom"]
    linked = [
        override["matcher"]["options"]
        for override in panel["fieldConfig"]["overrides"]
        if any(one["id"] == "links" for one in override["properties"])
    ]
    assert linked == ["Service"]
    renamed = {one["id"]: one["options"] for one in panel["transformations"]}["organize"]["renameByName"]
    assert renamed["called"] == "Service"
    assert "databases" in [_place("overview", link["url"]) for link in panel["links"]]


@pytest.mark.parametrize(
    ("kind", "client", "service"),
    [
        ("", "orders", True),
        ("messaging_system", "orders", True),
        ("virtual_node", "user", True),
        ("virtual_node", "orders", False),
        ("database", "orders", False),
        ("database", "user", False),
    ],
)
def test_a_called_name_is_a_service_if_it_sends_spans(kind: str, client: str, *, service: bool) -> None:
    """The labels are those of the service graph connector 0.158. Without spans of its own, a name is a virtual node or a database."""
    [panel] = [panel for _, panel in ALL_PANELS if panel["title"] == "Who calls whom"]
    for target in panel["targets"]:
        patterns = set(re.findall(r'"called", "\$1", "call", "([^"]+)"', target["expr"]))
        assert len(patterns) == 1
        match = re.fullmatch(patterns.pop(), f"{kind};{client};products")
        assert bool(match) == service
        assert match is None or match[1] == "products"


def test_a_trace_id_in_the_last_errors_opens_the_trace() -> None:
    [panel] = [panel for uid, panel in ALL_PANELS if uid == "overview" and panel["title"] == "Last 100 errors"]
    assert panel["targets"][0]["maxLines"] == 100
    [link] = list(_series_links(panel))
    assert _panes(link["url"])["queries"][0] == {
        "refId": "A",
        "datasource": {"type": "jaeger", "uid": "jaeger"},
        "query": "${__value.raw}",
    }


def test_the_service_map_has_the_fields_that_a_node_graph_needs() -> None:
    [panel] = [panel for _, panel in ALL_PANELS if panel["type"] == "nodeGraph"]
    for target, labels in zip(panel["targets"], [*["id, source, target"] * 2, *["id, title"] * 2], strict=True):
        assert target["instant"]
        assert target["format"] == "table"  # a field for each label
        assert re.search(rf"sum by \({labels}\)", target["expr"])
    edges, nodes, *calculations = panel["transformations"]
    assert {one["id"] for one in (edges, nodes)} == {"merge"}
    assert [one["filter"]["options"] for one in (edges, nodes)] == ["/^(A|B)$/", "/^(C|D)$/"]
    columns = [
        (one["filter"]["options"], one["options"]["alias"], *one["options"]["reduce"]["include"])
        for one in calculations
    ]
    assert columns == [
        ("/A/", "mainstat", "Value #A"),
        ("/A/", "secondarystat", "Value #B"),
        ("/C/", "mainstat", "Value #C"),
        ("/C/", "secondarystat", "Value #D"),
        ("/C/", "color", "Value #D"),
    ]


@pytest.mark.parametrize(
    ("uid", "title"),
    [
        ("overview", "Response time"),
        ("overview", "Requests by service"),
        ("overview", "Errors by service"),
        ("golden-signals", "Traffic"),
        ("golden-signals", "Errors"),
        ("golden-signals", "Latency"),
    ],
)
def test_traffic_errors_and_latency_are_compared_with_yesterday_and_last_week(uid: str, title: str) -> None:
    panels = [panel for at, panel in ALL_PANELS if (at, panel["title"], panel["type"]) == (uid, title, "timeseries")]
    past = {target["legendFormat"]: target["expr"] for target in panels[0]["targets"] if " offset " in target["expr"]}
    assert past.keys() == {"yesterday", "last week"}
    for ago, expr in zip(("1d", "1w"), (past["yesterday"], past["last week"]), strict=True):
        selectors = len(re.findall(r"service=~?\"\$service\"\}(?:\[[^]]+\])?", expr))
        assert expr.count(f" offset {ago}") == selectors > 0
    faint = [o for o in panels[0]["fieldConfig"]["overrides"] if "yesterday" in str(o["matcher"]["options"])]
    assert faint
    assert {"id": "custom.lineWidth", "value": 1} in faint[-1]["properties"]


def test_all_colours_are_safe_for_the_colour_blind() -> None:
    used = set(re.findall(r"#[0-9A-Fa-f]{6}", json.dumps(BOARDS)))
    assert used <= colours.PALETTE
    assert "palette-classic" not in json.dumps(BOARDS)


@each_query("prometheus", "loki")
def test_a_query_uses_only_variables_that_its_dashboard_has(query: DashboardQuery) -> None:
    _only_known_variables(query.board, query.expr)


@each_query("jaeger")
def test_a_search_for_traces_names_one_service(query: DashboardQuery) -> None:
    assert query.json["service"] in {"$service", "$trace_service"}
    [variable] = [v for v in BOARDS[query.board]["templating"]["list"] if f"${v['name']}" == query.json["service"]]
    assert not variable.get("multi")


@each_query("prometheus")
def test_rates_follow_the_shown_time(query: DashboardQuery) -> None:
    ranges = re.findall(r"\b(?:i?rate)\((?:[^()\[\]]*)\[([^]]+)\]", query.expr)
    assert set(ranges) <= {"$__rate_interval"}


@each_query("loki")
def test_rates_of_lines_follow_the_shown_time(query: DashboardQuery) -> None:
    assert set(re.findall(r"rate\([^\[]*\[([^]\s]+)", query.expr)) <= {"$__auto"}


@each_query("prometheus")
def test_counters_are_shown_as_rates_or_increases(query: DashboardQuery) -> None:
    if query.panel == "Span names":  # counts series, not what they count
        return
    without_texts = re.sub(r'"[^"]*"', '""', query.expr).replace("pg_locks_count", "pg_locks")  # a gauge
    assert not re.findall(r"\w+_(?:total|bucket|count)\b(?:\{[^}]*\})?(?!\s*[\[{(\w:])", without_texts)


@each_query("prometheus")
def test_a_recorded_series_is_one_that_the_stack_records(query: DashboardQuery) -> None:
    slos = [{"name": "shop", "service": "shop", "objective": 99.9}]
    rules = groups(settings_of({"slos": slos}), EVERYTHING)
    recorded = {rule.record for group in rules for rule in group.rules if isinstance(rule, RecordingRule)}
    assert set(re.findall(r"\b[a-z_]+:\w+:\w+", query.expr)) <= recorded


def _series_links(panel: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    config = panel.get("fieldConfig", {})
    yield from config.get("defaults", {}).get("links", ())
    for override in config.get("overrides", ()):
        for each in override["properties"]:
            if each["id"] == "links":
                yield from each["value"]


def _place(uid: str, url: str) -> str:
    """The target of a link: the uid of a data source in Explore or of a dashboard. It must exist."""
    _only_known_variables(uid, url)
    parts = urlsplit(url)
    parameters = parse_qs(parts.query, strict_parsing=True)
    if parts.path == "/explore":
        pane = _panes(url)
        assert pane["range"] == {"from": "${__from}", "to": "${__to}"}
        assert pane["datasource"] == pane["queries"][0]["datasource"]["uid"]
        return str(pane["datasource"])
    assert (parameters["from"], parameters["to"]) == (["${__from}"], ["${__to}"])
    target = parts.path.removeprefix("/d/")
    variables = {variable["name"] for variable in BOARDS[target]["templating"]["list"]}
    assert {name.removeprefix("var-") for name in parameters if name.startswith("var-")} <= variables
    return target


def _panes(url: str) -> dict[str, Any]:
    [text] = parse_qs(urlsplit(url).query)["panes"]
    pane: dict[str, Any] = json.loads(text)["a"]
    return pane


def _only_known_variables(uid: str, text: str) -> None:
    variables = {variable["name"] for variable in BOARDS[uid]["templating"]["list"]}
    for name in re.findall(r"\$\{?([A-Za-z_][\w.]*)", text):  # $1 is for PromQL
        assert name in variables or FILLED_IN_BY_GRAFANA.fullmatch(name), f"{uid} has no variable {name}"
