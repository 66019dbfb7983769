"""What a tired reader needs of every panel: units, colours, legends, widths, order, and an end of the page.

No page can be drawn here, so these rules are what keeps the pages readable. The sizes are those of Grafana 12.4: the grid of 24
columns with rows of 30 pixels and 8 between them, panels of one column on a phone, and the layout of a stat (`BigValueLayout.tsx`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from dashboards import colours, legends
from dashboards.board import NO_SERVICE
from dashboards.queries import FEW, OTHERS, PAST, TOP
from tests.support import dashboard_queries

BOARDS = dashboard_queries.boards()
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in dashboard_queries.panels(board)]
WIDE, DOCKED, PHONE = 1600, 1600 - 270, 390
"""Pixels of a window, of the same beside Grafana's docked menu, and of a phone."""
ROW, GAP = 30, 8
BARS = 136
"""Pixels of Grafana's own bars above the panels: two of 40, and a row of variables of 56."""
SCREEN = 900
FRAME = 2 * 8 + 2
"""Pixels beside and below what a panel shows; above it are the 32 of its title."""
SERVICES_OF_THE_SHOP = ("gateway", "orders", "products", "users", "auth", "postgresql", "redis", "nginx")
OF_A_SOURCE = {"job", "counter", "durations", "per_second", "by"}
"""Variables that follow the service."""
NAMES = [
    *SERVICES_OF_THE_SHOP,
    *(f"{kind}-{number}" for kind in ("api", "Web", "job_2.x", "/users/{id}") for number in range(50)),
]


def each(*kinds: str) -> pytest.MarkDecorator:
    cases = [(uid, panel) for uid, panel in PANELS if panel["type"] in kinds]
    return pytest.mark.parametrize(("uid", "panel"), cases, ids=[f"{uid}: {panel['title']}" for uid, panel in cases])


def each_board() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))


def inside(panel: Mapping[str, Any], window: int) -> tuple[float, float]:
    """Width and height of what a panel shows, in pixels."""
    place = panel["gridPos"]
    width = window - 32 if window == PHONE else (window - 32 + GAP) / 24 * place["w"] - GAP
    return width - FRAME, place["h"] * (ROW + GAP) - GAP - 32 - FRAME / 2


def defaults(panel: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = panel["fieldConfig"]["defaults"]
    return fields


def overrides(panel: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """What a matcher of this kind matches → id of a property → its value. Of two, the later one counts."""
    by_series: dict[str, dict[str, Any]] = {}
    for one in panel["fieldConfig"]["overrides"]:
        if one["matcher"]["id"] == kind:
            by_series.setdefault(one["matcher"]["options"], {}).update(
                {each["id"]: each["value"] for each in one["properties"]}
            )
    return by_series


def series(panel: Mapping[str, Any]) -> list[str]:
    return [target.get("legendFormat", "") for target in panel["targets"]]


# Units and scales


@each("timeseries", "stat", "bargauge", "nodeGraph")
def test_a_number_says_what_it_counts(uid: str, panel: Mapping[str, Any]) -> None:
    unit = defaults(panel)["unit"]
    assert unit not in {"short", "none", "cps", "locale"}
    says_words = panel["type"] == "stat" and (
        len(defaults(panel)["mappings"]) > 1 or panel["options"]["reduceOptions"].get("fields")
    )
    assert (unit == "string") == bool(says_words)


@each("timeseries", "bargauge")
def test_a_graph_of_zeros_has_a_scale_that_means_something(uid: str, panel: Mapping[str, Any]) -> None:
    fields = defaults(panel)
    assert fields["min"] == 0
    assert fields.get("max") or fields["custom"]["axisSoftMax"] > 0


@each("timeseries", "stat", "bargauge")
def test_a_share_has_at_most_two_decimals(uid: str, panel: Mapping[str, Any]) -> None:
    if defaults(panel)["unit"] == "percentunit":
        assert defaults(panel)["decimals"] <= 2


@each("timeseries", "stat", "bargauge", "table")
def test_a_panel_without_data_says_so_in_words(uid: str, panel: Mapping[str, Any]) -> None:
    assert defaults(panel)["noValue"]


def test_the_board_of_databases_names_the_setting_that_each_panel_needs() -> None:
    for panel in dashboard_queries.panels(BOARDS["databases"]):
        assert "exporters" in defaults(panel)["noValue"], panel["title"]


# Colours


@each("timeseries", "stat", "bargauge", "table", "nodeGraph")
def test_no_colour_depends_on_what_else_is_shown(uid: str, panel: Mapping[str, Any]) -> None:
    modes = set(
        re.findall(r'"mode": "([a-zA-Z-]*(?:palette|continuous|shades)[a-zA-Z-]*)"', json.dumps(panel["fieldConfig"]))
    )
    assert not modes


@each("timeseries")
def test_a_series_that_data_names_has_its_colour_by_its_name(uid: str, panel: Mapping[str, Any]) -> None:
    if not any("{{" in name for name in series(panel)):
        return
    by_name = {
        names: value["color"]["fixedColor"] for names, value in overrides(panel, "byRegexp").items() if "color" in value
    }
    assert dict(colours.by_name()).items() <= by_name.items()
    assert colours.dashed() in overrides(panel, "byRegexp")


@each("timeseries")
def test_other_series_do_not_share_a_colour_within_a_panel(uid: str, panel: Mapping[str, Any]) -> None:
    if any("{{" in name for name in series(panel)):
        return
    fixed = {
        name: value["color"]["fixedColor"] for name, value in overrides(panel, "byName").items() if "color" in value
    }
    palette = [fixed.get(name, colours.BLUE) for name in series(panel) if name not in PAST]
    assert len(set(palette)) == len(palette)


def colour(name: str) -> str:
    """The colour of a name, by all the expressions that match it."""
    [match] = [value for names, value in colours.by_name().items() if matches(names, name)]
    return match


def matches(expression: str, name: str) -> bool:
    pattern = re.fullmatch("/(.+)/i", expression)
    assert pattern
    return bool(re.search(pattern[1], name, re.IGNORECASE))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_exactly_one_colour(name: str) -> None:
    assert colour(name) == colour(name.upper())


def test_the_services_of_the_shop_differ_in_colour() -> None:
    assert len({colour(name) for name in SERVICES_OF_THE_SHOP}) == len(SERVICES_OF_THE_SHOP)


def test_names_share_the_colours_and_strokes_evenly() -> None:
    kinds = ("api", "web", "worker", "billing", "search", "mail", "cache", "report", "image", "stock")
    names = [f"{one}-{other}" for one in kinds for other in (*kinds, "db", "v2", "proxy", "cron")]
    counts = [[colour(name) for name in names].count(one) for one in {colour(name) for name in names}]
    assert len(counts) == 8
    assert max(counts) <= len(names) / 4
    assert 0.25 < sum(matches(colours.dashed(), name) for name in names) / len(names) < 0.75


# Legends


@each("timeseries")
def test_a_legend_has_room_for_its_names(uid: str, panel: Mapping[str, Any]) -> None:
    legend = panel["options"]["legend"]
    repeats = TOP if f"topk({TOP}," in json.dumps(panel["targets"]) else FEW
    names = [one for name in series(panel) for one in (["long-service-name"] * repeats if "{{" in name else [name])]
    assert legend["showLegend"] == (len(names) > 1)
    if legend["placement"] == "right":
        assert (legend["displayMode"], legend["sortBy"], legend["sortDesc"]) == ("table", "Last *", True)
        assert panel["gridPos"]["w"] >= 8
    else:
        _, height = inside(panel, DOCKED)
        rows_with_room = int(height * 0.35 // 22)  # Grafana gives a legend below a graph 35 %
        assert legends.rows(names, panel["gridPos"]["w"]) <= rows_with_room


@each("timeseries")
def test_a_legend_says_what_is_shown_also_without_a_past(uid: str, panel: Mapping[str, Any]) -> None:
    assert not {"now", "Value", ""} & set(series(panel))


@each("timeseries")
def test_a_panel_asks_for_few_series_by_name(uid: str, panel: Mapping[str, Any]) -> None:
    for target in panel["targets"]:
        by = re.findall(r"{{(\w+)}}", target["legendFormat"])
        if set(by) <= {"level", "answer", "reason", "exporter", "mode", "integration"}:
            continue  # few by nature
        assert f"topk({TOP}," in target["expr"] or f"topk({FEW}," in target["expr"]
        if target["datasource"]["uid"] == "prometheus":
            assert "@ end()" in target["expr"], "another set at each time would tear the lines"


@each("timeseries")
def test_rates_of_lines_are_over_a_minute_at_least(uid: str, panel: Mapping[str, Any]) -> None:
    if any(target["datasource"]["uid"] == "loki" for target in panel["targets"]):
        assert panel["interval"] == "1m"


# Stats


@each("stat")
@pytest.mark.parametrize("window", [WIDE, DOCKED, PHONE])
def test_a_course_is_below_its_number_and_not_behind_it(uid: str, panel: Mapping[str, Any], window: int) -> None:
    if panel["options"]["graphMode"] == "none":
        return
    width, height = inside(panel, window)
    assert width / height <= 2.5, "Grafana draws the course behind the number of a wide stat"
    assert height > 100, "Grafana draws no course in a low stat"
    assert height * 0.75 > panel["options"].get("text", {}).get("valueSize", 0) * 1.2


@each("stat")
def test_the_longest_number_is_not_cut(uid: str, panel: Mapping[str, Any]) -> None:
    width, _ = inside(panel, DOCKED)
    options = panel["options"]
    if "text" not in options:
        return  # Grafana makes them as large as there is room
    size = options["text"]["valueSize"]
    assert len(defaults(panel)["noValue"]) * 0.55 * size <= width
    unit = defaults(panel)["unit"]
    behind = (
        unit.removeprefix("count:")
        if ":" in unit
        else {"reqps": "req/s", "percentunit": "%", "s": "s", "bytes": "GiB"}[unit]
    )
    # Grafana's font has digits of 0.58 of its size; a unit is written at 0.6 of the size of its number.
    assert 6 * 0.58 * size + (len(behind) + 3) * 0.55 * 0.6 * size <= width


@each("stat")
def test_a_missing_number_is_grey(uid: str, panel: Mapping[str, Any]) -> None:
    [missing] = [one["options"] for one in defaults(panel)["mappings"] if one["type"] == "special"]
    assert missing == {
        "match": "null+nan",
        "result": {"text": defaults(panel)["noValue"], "color": colours.GREY, "index": 0},
    }


# Tables


def columns(panel: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    order = (
        next((one["options"] for one in panel["transformations"] if one["id"] == "organize"), None)
        if panel.get("transformations")
        else None
    )
    if order is None:
        yield from overrides(panel, "byName").items()
        return
    for field in sorted(order["indexByName"], key=order["indexByName"].__getitem__):
        title = order["renameByName"][field]
        yield title, overrides(panel, "byName")[title] | {"field": field}


@each("table")
def test_every_column_has_a_width_and_all_fit_into_the_table(uid: str, panel: Mapping[str, Any]) -> None:
    widths = [column.get("custom.width") or column["custom.minWidth"] for _, column in columns(panel)]
    assert sum(widths) <= inside(panel, DOCKED)[0]
    assert any("custom.minWidth" in column for _, column in columns(panel)), "no column takes what is left"


@each("table")
def test_a_phone_shows_two_columns_of_a_table(uid: str, panel: Mapping[str, Any]) -> None:
    first, second = [column.get("custom.width") or column["custom.minWidth"] for _, column in columns(panel)][:2]
    assert first + second <= inside(panel, PHONE)[0] + FRAME


@each("table")
def test_a_table_is_sorted_by_one_of_its_columns(uid: str, panel: Mapping[str, Any]) -> None:
    [order] = panel["options"]["sortBy"]
    assert order["displayName"] in dict(columns(panel))


@each("table")
def test_numbers_of_a_table_have_units_or_words(uid: str, panel: Mapping[str, Any]) -> None:
    for title, column in columns(panel):
        if str(column.get("field", "")).startswith("Value"):
            assert column.get("unit", "") not in {"short", "none", ""} or column["mappings"], title


@each("table")
def test_an_empty_cell_does_not_say_that_the_table_is_empty(uid: str, panel: Mapping[str, Any]) -> None:
    assert all(column["noValue"] == "—" for _, column in columns(panel))


def test_a_table_of_errors_shows_messages_the_newest_first() -> None:
    tables = [panel for _, panel in PANELS if panel["title"] == "Last 100 errors"]
    assert len(tables) == 2
    for panel in tables:
        assert [title for title, _ in columns(panel)] == ["Time", "Message", "Service", "Level", "Trace", "Line"]
        assert panel["options"]["sortBy"] == [{"displayName": "Time", "desc": True}]


# Links and variables


@each("timeseries", "stat", "bargauge", "table", "nodeGraph", "logs", "alertlist")
def test_no_two_links_of_a_panel_have_one_title(uid: str, panel: Mapping[str, Any]) -> None:
    for links in (panel["links"], panel.get("fieldConfig", {}).get("defaults", {}).get("links", [])):
        titles = [link["title"] for link in links]
        assert len(set(titles)) == len(titles)
    for column in overrides(panel, "byName").values() if "fieldConfig" in panel else ():
        assert len(column.get("links", [])) <= 1


@each_board()
def test_a_variable_begins_with_what_has_data(board: Mapping[str, Any]) -> None:
    for variable in board["templating"]["list"]:
        if variable["type"] != "query" or variable.get("includeAll") or variable["name"] in OF_A_SOURCE:
            continue
        query = variable["query"]["query"]
        assert query.startswith("query_result(sort_desc(")
        assert variable["sort"] == 0, "sorted by name, the first service may be one without data"
        assert f'"service", "{NO_SERVICE}"' in query, "without any service Jaeger would be asked for none"
        assert re.fullmatch(variable["regex"].strip("/"), 'service="orders"')[1] == "orders"  # type: ignore[index]


@each_board()
def test_variables_and_switches_need_one_row(board: Mapping[str, Any]) -> None:
    pickers = [variable for variable in board["templating"]["list"] if variable.get("hide", 0) == 0]
    time_picker = 500
    assert sum(len(variable["label"]) * 8 + 220 for variable in pickers) + time_picker <= DOCKED
    assert all(mark["placement"] == "inControlsMenu" for mark in board["annotations"]["list"])


# The page


@each_board()
def test_the_first_two_rows_are_on_the_first_screen(board: Mapping[str, Any]) -> None:
    tops = sorted({panel["gridPos"]["y"] for panel in board["panels"]})
    end = max(
        panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"] if panel["gridPos"]["y"] in tops[:2]
    )
    assert BARS + end * (ROW + GAP) <= SCREEN


@each_board()
def test_at_most_twenty_panels_are_open(board: Mapping[str, Any]) -> None:
    assert sum(panel["type"] != "row" for panel in board["panels"]) <= 20


@each_board()
def test_a_phone_scrolls_less_than_five_thousand_pixels(board: Mapping[str, Any]) -> None:
    assert sum(panel["gridPos"]["h"] * (ROW + GAP) for panel in board["panels"]) < 5000


@each_board()
def test_the_panels_of_a_closed_row_neither_overlap_nor_leave_the_grid(board: Mapping[str, Any]) -> None:
    for row in board["panels"]:
        cells: dict[tuple[int, int], str] = {}
        assert row.get("collapsed", False) == bool(row.get("panels"))
        for panel in row.get("panels", ()):
            place = panel["gridPos"]
            assert place["y"] > row["gridPos"]["y"]
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    assert x < 24
                    assert (x, y) not in cells, f"{panel['title']} covers {cells[x, y]}"
                    cells[x, y] = panel["title"]


def test_health_and_the_list_of_alerts_are_about_the_same() -> None:
    panels = {panel["title"]: panel for panel in dashboard_queries.panels(BOARDS["overview"])}
    assert "$service" not in json.dumps(panels["Health"]["targets"])
    assert panels["Alerts"]["options"]["alertInstanceLabelFilter"] == ""
    assert OTHERS not in series(panels["Health"])
