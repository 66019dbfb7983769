"""Panels by Grafana's own names for them, each with the same legend, thresholds and way to mark the past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, nodegraph
from grafana_foundation_sdk.builders.logs import Panel as LogsPanel
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.table import Panel as TablePanel
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeriesPanel
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards.colours import BAD, BLUE, FIRST_LETTERS, GOOD, GREY, WARNING
from dashboards.panel_links import Link, dashboard_links
from dashboards.queries import PAST, LogQL, PromQL, Query, Traces, source, targets

AnyPanel = Builder[model.Panel]
Size = tuple[int, int]
"""Columns, of the 24 of Grafana's grid, and rows."""
Steps = Sequence[tuple[float | AlertThreshold, str]]
"""The colour from each value on, the lowest first."""


class ThresholdStep(model.Threshold):
    """A step that follows a setting. `make dashboards` lists it in `thresholds.json`."""

    def __init__(self, threshold: AlertThreshold, color: str) -> None:
        super().__init__(threshold.value(), color)
        self.threshold = threshold


def alert_steps(threshold: AlertThreshold, *, warning: float = 1.25) -> Steps:
    """Green, orange from the threshold divided by `warning` on, and red where the alert fires."""
    return ((0, GOOD), (threshold / warning, WARNING), (threshold, BAD))


def timeseries(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    size: Size,
    links: Sequence[Link],
    series_links: Sequence[Link] = (),
    colours: Mapping[str, str] | None = None,
    service_colours: bool = False,
    shades: bool = False,
    maximum: float | None = None,
    threshold: AlertThreshold | float | None = None,
    stacked: bool = False,
) -> TimeSeriesPanel:
    """Lines over time.

    `colours`: name of a series, or `/regular expression/` → its colour. `service_colours`: the series are named after services
    or the like, and get their colours by first letter. `shades`: the number of series is open, each gets a shade of one
    colour. `threshold`: a dashed line where an alert begins.
    """
    mode = model.FieldColorModeId.SHADES if shades else model.FieldColorModeId.FIXED
    panel = (
        _panel(TimeSeriesPanel(), title, description, *queries, size=size, links=links)
        .unit(unit)
        .data_links(dashboard_links(series_links))
        .min(0)
        .line_width(2)
        .fill_opacity(40 if stacked else 8)
        .show_points(models.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(mode).fixed_color(BLUE))
    )
    if maximum is not None:
        panel = panel.max(maximum)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL).group("A"))
    if threshold is not None:
        panel = panel.thresholds(_thresholds(((0, GOOD), (threshold, BAD)))).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(models.GraphThresholdsStyleMode.DASHED)
        )
    if service_colours:
        for letters, colour in FIRST_LETTERS.items():
            panel = panel.override_by_regexp(f"/^[{letters}{letters.upper()}]/", [_fixed(colour)])
    for name, colour in (colours or {}).items():
        override = panel.override_by_regexp if name.startswith("/") else panel.override_by_name
        panel = override(name, [_fixed(colour)])
    if any(query.legend in PAST for query in queries if not isinstance(query, Traces)):
        panel = panel.override_by_regexp(f"/^({'|'.join(PAST)})$/", _FAINT)
    return panel


def stat(
    title: str,
    description: str,
    unit: str,
    query: PromQL | LogQL,
    *,
    size: Size,
    links: Sequence[Link],
    steps: Steps = ((0, BLUE),),
    words: Mapping[int, tuple[str, str]] | None = None,
    sparkline: bool = True,
    name_only: bool = False,
    missing: str = "no data",
) -> StatPanel:
    """The latest value, with its course behind it. `words`: value → the word shown instead, and its colour. `name_only`: the
    query's legend instead of its value. `missing`: shown where there is no value."""
    panel = (
        _panel(StatPanel(), title, description, query, size=size, links=links)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(models.BigValueColorMode.BACKGROUND if words else models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.AREA if sparkline else models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value(missing)
    )
    if name_only:
        panel = panel.text_mode(models.BigValueTextMode.NAME)
    if words:
        results = {
            str(value): model.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(words.items())
        }
        panel = panel.mappings([model.ValueMap(options=results)])
    return panel


def bar_gauge(
    title: str,
    description: str,
    unit: str,
    *queries: PromQL,
    size: Size,
    links: Sequence[Link],
    steps: Steps,
    maximum: float,
    series_links: Sequence[Link] = (),
) -> bargauge.Panel:
    """The latest value of each series as a bar."""
    return (
        _panel(bargauge.Panel(), title, description, *queries, size=size, links=links)
        .unit(unit)
        .data_links(dashboard_links(series_links))
        .min(0)
        .max(maximum)
        .thresholds(_thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .display_mode(models.BarGaugeDisplayMode.BASIC)
        .orientation(models.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    field: str
    """Name of the field that it shows."""
    title: str
    unit: str | None = None
    width: int | None = None
    """In pixels."""
    link: Link | None = None
    """Where a cell leads."""


def table(
    title: str,
    description: str,
    queries: Sequence[Query],
    *columns: Column,
    size: Size,
    links: Sequence[Link],
    unit: str = "none",
    label_columns: bool = False,
    sort_by: str | None = None,
) -> TablePanel:
    """A table of these columns, and of no others if one has another title than its field.

    Rows of several queries with the same labels become one row. `label_columns`: the labels, which Loki gives as one field,
    become columns. `sort_by`: title of the column whose largest values come first.
    """
    panel = (
        _panel(TablePanel(), title, description, *queries, size=size, links=links)
        .unit(unit)
        .cell_height(models.TableCellHeight.SM)
    )
    if len(queries) > 1:
        panel = panel.with_transformation(_MERGE)
    if label_columns:
        options = {"source": "labels", "format": "auto", "keepTime": False, "replace": False}
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="extractFields", options=options))
    if any(column.field != column.title for column in columns):
        panel = _only(panel, columns)
    if sort_by:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(desc=True)])
    for column in columns:
        properties = [
            *([model.DynamicConfigValue("unit", column.unit)] if column.unit else []),
            *([model.DynamicConfigValue("custom.width", column.width)] if column.width else []),
            *([model.DynamicConfigValue("links", _cell_links(column.link))] if column.link else []),
        ]
        if properties:
            panel = panel.override_by_name(column.title, properties)
    return panel


def _only(panel: TablePanel, columns: Sequence[Column]) -> TablePanel:
    """These columns in this order, by their titles."""
    fields = [column.field for column in columns]
    only = {"include": {"names": fields}}
    order = {
        "indexByName": {name: index for index, name in enumerate(fields)},
        "renameByName": {column.field: column.title for column in columns},
        "excludeByName": {},
    }
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="filterFieldsByName", options=only))
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=order))


def node_graph(
    title: str,
    description: str,
    main: PromQL,
    secondary: PromQL,
    *,
    unit: str,
    size: Size,
    links: Sequence[Link],
) -> nodegraph.Panel:
    """Nodes and edges, each with two numbers of one unit.

    Both queries give a series for each edge, with the labels `id`, `source` and `target`. Grafana makes the nodes from these, with
    the sums of what comes in.
    """
    panel = (
        _panel(nodegraph.Panel(), title, description, main, secondary, size=size, links=links)
        .unit(unit)
        .with_transformation(_MERGE)
    )
    # The panel finds its fields by their real names, which a rename for display does not change: so each is computed anew.
    for field, name in {"Value #A": "mainstat", "Value #B": "secondarystat"}.items():
        options = {
            "mode": "reduceRow",
            "reduce": {"include": [field], "reducer": "sum"},
            "alias": name,
            "replaceFields": False,
            "timeSeries": False,
        }
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="calculateField", options=options))
    units = nodegraph.EdgeOptions().main_stat_unit(unit).secondary_stat_unit(unit)
    return panel.edges(units)


def logs(title: str, description: str, query: LogQL, *, size: Size, links: Sequence[Link]) -> LogsPanel:
    """Log lines as they were written, the newest first. A trace id in the details of a line leads to the trace."""
    return (
        _panel(LogsPanel(), title, description, query, size=size, links=links)
        .show_time(show_time=True)
        .wrap_log_message(wrap_log_message=True)
        .enable_log_details(enable_log_details=True)
        .sort_order(models.LogsSortOrder.DESCENDING)
    )


def alert_list(title: str, description: str, size: Size, links: Sequence[Link]) -> dashboard.Panel:
    """Firing and pending alerts of Prometheus and Loki. The SDK has no builder for this panel."""
    options = {
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
    return _panel(dashboard.Panel().type("alertlist"), title, description, size=size, links=links).options(options)


class _PanelBuilder(Protocol):
    """What the SDK's builders of panels have in common; they share no class."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...
    def links(self, links: list[Builder[model.DashboardLink]]) -> Self: ...
    def datasource(self, datasource: model.DataSourceRef) -> Self: ...
    def targets(self, targets: list[Builder[Dataquery]]) -> Self: ...


_P = TypeVar("_P", bound=_PanelBuilder)


def _panel(panel: _P, title: str, description: str, *queries: Query, size: Size, links: Sequence[Link]) -> _P:
    """What every panel has."""
    width, height = size
    panel = panel.title(title).description(description).span(width).height(height).links(dashboard_links(links))
    return panel.datasource(source(queries)).targets(targets(queries)) if queries else panel


_MERGE = model.DataTransformerConfig(id_val="merge", options={})


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(models.LegendDisplayMode.LIST)
        .placement(models.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                ThresholdStep(value, colour) if isinstance(value, AlertThreshold) else model.Threshold(value, colour)
                for value, colour in steps
            ]
        )
    )


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


_FAINT = [
    _fixed(GREY),
    model.DynamicConfigValue("custom.lineWidth", 1),
    model.DynamicConfigValue("custom.fillOpacity", 0),
    model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}),
    model.DynamicConfigValue("custom.stacking", {"mode": "none"}),
]


def _cell_links(link: Link) -> list[dict[str, object]]:
    title, address = link
    return [{"title": title, "url": address, "targetBlank": True}]
