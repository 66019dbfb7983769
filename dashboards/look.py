"""How all panels look: colours, legends, limits, the faint lines of the past.

The colours are the eight of Okabe and Ito, made to be told apart with any kind of colour blindness. Good is bluish green
and bad is vermilion, which differ for everybody. Where a series has a fixed meaning it has a fixed colour; services get one
by their first letter, so that each has the same colour on every dashboard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, dashboard, logs, nodegraph, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model

from dashboards.onward import Link, linked, to_trace
from dashboards.queries import ERRORS, PAST, LogQL, PromQL, Query, Traces, source, targets

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, YELLOW, PURPLE, GREY = "#56B4E9", "#F0E442", "#CC79A7", "#999999"
PALETTE = frozenset({BLUE, ORANGE, GREEN, RED, SKY, YELLOW, PURPLE, GREY})
GOOD, WARNING, BAD = GREEN, ORANGE, RED

LEVELS = {"debug": SKY, "info": BLUE, "warn": ORANGE, "error": RED, "fatal": PURPLE, "unknown": GREY}
QUANTILES = {"p50": SKY, "p95": BLUE, "p99": PURPLE}
_LETTERS = {
    "a-b": BLUE, "c-d": ORANGE, "e-h": GREEN, "i-m": PURPLE, "n-o": SKY, "p-q": RED, "r-s": YELLOW, "t-z": GREY,
}  # fmt: skip
AnyPanel = Builder[model.Panel]


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    size: tuple[int, int],
    onward: Sequence[Link],
    series: Sequence[Link] = (),
    colours: Mapping[str, str] | None = None,
    by_name: bool = False,
    shades: bool = False,
    most: float | None = None,
    limit: float | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Lines over time. `size`: columns (of 24) and rows; `limit`: where an alert begins, as a dashed line;
    `colours`: name of a series, or `/regular expression/`, → colour; `by_name`: the series are services or the like;
    `shades`: as many series as there happen to be; `series`: links of each."""
    mode = model.FieldColorModeId.SHADES if shades else model.FieldColorModeId.FIXED
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(size[0])
        .height(size[1])
        .datasource(source(queries))
        .targets(targets(queries))
        .links(linked(onward))
        .data_links(linked(series))
        .min(0)
        .line_width(2)
        .fill_opacity(40 if stacked else 8)
        .show_points(models.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(mode).fixed_color(BLUE))
    )
    if most is not None:
        panel = panel.max(most)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL).group("A"))
    if limit is not None:
        panel = panel.thresholds(_steps((0, GOOD), (limit, BAD))).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(models.GraphThresholdsStyleMode.DASHED)
        )
    if by_name:
        for letters, colour in _LETTERS.items():
            panel = panel.override_by_regexp(f"/^[{letters}{letters.upper()}]/", [_fixed(colour)])
    for name, colour in (colours or {}).items():
        override = panel.override_by_regexp if name.startswith("/") else panel.override_by_name
        panel = override(name, [_fixed(colour)])
    if any(query.legend in PAST for query in queries if not isinstance(query, Traces)):
        panel = panel.override_by_regexp(f"/^({'|'.join(PAST)})$/", _FAINT)
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    query: PromQL | LogQL,
    *,
    size: tuple[int, int],
    onward: Sequence[Link],
    steps: Sequence[tuple[float, str]] = ((0, BLUE),),
    words: Mapping[int, tuple[str, str]] | None = None,
    trend: bool = True,
    nothing: str = "no data",
) -> stat.Panel:
    """One number now, with its trend behind it. `steps`: from which value on which colour; `words`: value → word and
    colour; `nothing`: what stands there without data."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(size[0])
        .height(size[1])
        .datasource(source([query]))
        .targets(targets([query]))
        .links(linked(onward))
        .thresholds(_steps(*steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(models.BigValueColorMode.BACKGROUND if words else models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.AREA if trend else models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value(nothing)
    )
    if words:
        shown = {
            str(value): model.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(words.items())
        }
        panel = panel.mappings([model.ValueMap(options=shown)])
    return panel


def bars(
    title: str,
    description: str,
    unit: str,
    *queries: PromQL,
    size: tuple[int, int],
    onward: Sequence[Link],
    steps: Sequence[tuple[float, str]] = ((0, BLUE),),
    most: float | None = None,
    series: Sequence[Link] = (),
) -> bargauge.Panel:
    """One bar for each series, as it is now."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(size[0])
        .height(size[1])
        .datasource(source(queries))
        .targets(targets(queries))
        .links(linked(onward))
        .data_links(linked(series))
        .min(0)
        .thresholds(_steps(*steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .display_mode(models.BarGaugeDisplayMode.BASIC)
        .orientation(models.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return panel if most is None else panel.max(most)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the field that it shows, what stands above it, where its values lead."""

    field: str
    name: str
    unit: str | None = None
    width: int | None = None
    link: Link | None = None


def rows(
    title: str,
    description: str,
    queries: Query | tuple[Query, ...],
    *columns: Column,
    size: tuple[int, int],
    onward: Sequence[Link],
    unit: str = "none",
    unpack: str | None = None,
    largest: str | None = None,
) -> table.Panel:
    """A table of these columns; if any is renamed, of no others. Rows of several queries with the same labels become one.
    `unpack`: a field of labels whose values become columns; `largest`: the column, by what stands above it, whose largest
    values come first."""
    asked = queries if isinstance(queries, tuple) else (queries,)
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(size[0])
        .height(size[1])
        .datasource(source(asked))
        .targets(targets(asked))
        .links(linked(onward))
        .cell_height(models.TableCellHeight.SM)
    )
    if len(asked) > 1:
        panel = panel.with_transformation(_MERGE)
    if unpack:
        kept = {"source": unpack, "format": "auto", "keepTime": False, "replace": False}
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="extractFields", options=kept))
    if any(column.field != column.name for column in columns):
        panel = _only(panel, columns)
    if largest:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(largest).desc(desc=True)])
    for column in columns:
        properties = [
            *([model.DynamicConfigValue("unit", column.unit)] if column.unit else []),
            *([model.DynamicConfigValue("custom.width", column.width)] if column.width else []),
            *([model.DynamicConfigValue("links", _linked_values(column.link))] if column.link else []),
        ]
        if properties:
            panel = panel.override_by_name(column.name, properties)
    return panel


def _only(panel: table.Panel, columns: Sequence[Column]) -> table.Panel:
    """These columns in this order, by other names than those of the fields."""
    wanted = [column.field for column in columns]
    only = {"include": {"names": wanted}}
    order = {
        "indexByName": {name: index for index, name in enumerate(wanted)},
        "renameByName": {column.field: column.name for column in columns},
        "excludeByName": {},
    }
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="filterFieldsByName", options=only))
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=order))


def graph(
    title: str,
    description: str,
    number: PromQL,
    below: PromQL,
    *,
    unit: str,
    size: tuple[int, int],
    onward: Sequence[Link],
) -> nodegraph.Panel:
    """Circles and arrows, each with two numbers of one unit. The queries give a series for each arrow, with the labels `id`,
    `source` and `target`; the circles are made from these, with the sums of what comes in."""
    panel = (
        nodegraph.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(size[0])
        .height(size[1])
        .datasource(source([number, below]))
        .targets(targets([number, below]))
        .links(linked(onward))
        .with_transformation(_MERGE)
    )
    # It knows its fields by their own names, which renaming for display leaves as they are: so they are made anew.
    for field, name in {"Value #A": "mainstat", "Value #B": "secondarystat"}.items():
        made = {
            "mode": "reduceRow",
            "reduce": {"include": [field], "reducer": "sum"},
            "alias": name,
            "replaceFields": False,
            "timeSeries": False,
        }
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="calculateField", options=made))
    units = nodegraph.EdgeOptions().main_stat_unit(unit).secondary_stat_unit(unit)
    return panel.edges(units)


def log_lines(
    title: str, description: str, query: LogQL, *, size: tuple[int, int], onward: Sequence[Link]
) -> logs.Panel:
    """Lines as they were logged, the newest first. A trace id among the details of one leads to the trace."""
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .span(size[0])
        .height(size[1])
        .datasource(source([query]))
        .targets(targets([query]))
        .links(linked(onward))
        .show_time(show_time=True)
        .wrap_log_message(wrap_log_message=True)
        .enable_log_details(enable_log_details=True)
        .sort_order(models.LogsSortOrder.DESCENDING)
    )


def firing(size: tuple[int, int], onward: Sequence[Link]) -> dashboard.Panel:
    """The alerts that fire or are about to, of Prometheus and Loki."""
    shown = {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 20,
        "sortOrder": 3,  # the newest first
        "dashboardAlerts": False,
        "alertName": "",
        "alertInstanceLabelFilter": "",
        "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False, "error": True},
    }
    return (
        dashboard.Panel()
        .type("alertlist")
        .title("Alerts")
        .description("What fires, or will if it lasts, whoever judges it: Prometheus the metrics, Loki the logs.")
        .span(size[0])
        .height(size[1])
        .links(linked(onward))
        .options(shown)
    )


def errors_with_traces(selector: str, size: tuple[int, int], onward: Sequence[Link]) -> table.Panel:
    """The last hundred error lines; a click on a trace id opens the trace."""
    return rows(
        "Last 100 errors",
        "Lines of the levels error and fatal, the newest first. A trace id opens its trace, if it was kept: traces with "
        "an error always are.",
        LogQL(f"{{{selector}, {ERRORS}}}", lines=100),
        Column("Time", "Time", width=170),
        Column("service", "Service", width=110),
        Column("Line", "Line"),
        Column("trace_id", "Trace", width=120, link=to_trace()),
        size=size,
        onward=onward,
        unit="string",
        unpack="labels",
    )


def slow_traces(service: str, size: tuple[int, int], onward: Sequence[Link]) -> table.Panel:
    """Traces longer than a second, the slowest first."""
    return rows(
        "Slow traces",
        "Traces that took longer than one second. All of them are kept, and a click opens one. Jaeger searches one "
        "service at a time.",
        Traces(service, "1s"),
        # As Jaeger's data source calls and orders them: so nothing is lost if it ever calls one otherwise. It links the ids.
        Column("Trace ID", "Trace ID", width=120),
        Column("Trace name", "Trace name"),
        Column("Start time", "Start time", unit="dateTimeAsIso", width=170),
        Column("Duration", "Duration", unit="µs", width=100),
        size=size,
        onward=onward,
        unit="string",
        largest="Duration",
    )


_MERGE = model.DataTransformerConfig(id_val="merge", options={})


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(models.LegendDisplayMode.LIST)
        .placement(models.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )


def _steps(*steps: tuple[float, str]) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


_FAINT = [
    _fixed(GREY),
    model.DynamicConfigValue("custom.lineWidth", 1),
    model.DynamicConfigValue("custom.fillOpacity", 0),
    model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}),
    model.DynamicConfigValue("custom.stacking", {"mode": "none"}),
]


def _linked_values(link: Link) -> list[dict[str, object]]:
    title, address = link
    return [{"title": title, "url": address, "targetBlank": True}]
