"""Panels by Grafana's own names for them, each with the same legend, thresholds and way to mark the past."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, nodegraph
from grafana_foundation_sdk.builders.logs import Panel as LogsPanel
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeriesPanel
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours as palette
from dashboards import legends, units
from dashboards.colours import BAD, BLUE, GOOD, GREY, WARNING
from dashboards.panel_links import Link, dashboard_links
from dashboards.queries import OTHERS, PAST, LogQL, PromQL, Query, Traces, source, targets

AnyPanel = Builder[model.Panel]
Size = tuple[int, int]
"""Columns, of the 24 of Grafana's grid, and rows."""
Steps = Sequence[tuple[float | AlertThreshold, str]]
"""The colour from each value on, the lowest first."""
NOTHING = "nothing in this time"
"""Shown where a query has no answer, unless the panel says what to configure."""
NUMBER_HEIGHT, SHORT = 28, 12
"""Pixels of the number in a stat, where Grafana would fill the panel, each with another size; and the letters that fit at this size.
A longer text is as small as it has to be."""


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
    maximum: float | None = None,
    threshold: AlertThreshold | float | None = None,
    stacked: bool = False,
    missing: str = NOTHING,
) -> TimeSeriesPanel:
    """Lines over time.

    Series that a query names by a label have their colours and strokes by these names. `colours`: name of a series, or
    `/regular expression/` → its colour instead. `threshold`: a dashed line where an alert begins. `missing`: shown without data.
    """
    panel = (
        described(TimeSeriesPanel(), title, description, *queries, size=size, links=links)
        .unit(unit)
        .data_links(dashboard_links(series_links))
        .min(0)
        .no_value(missing)
        .line_width(2)
        .fill_opacity(40 if stacked else 8)
        .show_points(models.VisibilityMode.NEVER)
        .legend(legends.legend(queries, size))
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(BLUE))
    )
    if (decimals := units.decimals(unit, maximum=maximum)) is not None:
        panel = panel.decimals(decimals)
    panel = panel.axis_soft_max(units.least_top(unit)) if maximum is None else panel.max(maximum)
    if any(isinstance(query, LogQL) for query in queries):
        # A rate over less than a minute of few lines is a row of spikes.
        panel = panel.interval("1m")
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL).group("A"))
    if threshold is not None:
        panel = panel.thresholds(_thresholds(((0, GOOD), (threshold, BAD)))).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(models.GraphThresholdsStyleMode.DASHED)
        )
    legend_texts = [query.legend for query in queries if not isinstance(query, Traces)]
    if any("{{" in text for text in legend_texts):
        panel = _coloured_by_name(panel)
    for name, colour in (colours or {}).items():
        override = panel.override_by_regexp if name.startswith("/") else panel.override_by_name
        panel = override(name, [fixed(colour), _line("solid")])
    if OTHERS in legend_texts:
        panel = panel.override_by_name(OTHERS, [fixed(GREY), _line("solid")])
    if any(text in PAST for text in legend_texts):
        panel = panel.override_by_regexp(f"/^({'|'.join(PAST)})$/", _FAINT)
    return panel


def _coloured_by_name(panel: TimeSeriesPanel) -> TimeSeriesPanel:
    for names, colour in palette.by_name().items():
        panel = panel.override_by_regexp(names, [fixed(colour)])
    return panel.override_by_regexp(palette.dashed(), [_line("dash", dash=[12, 4])])


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
    label: str = "",
    named: bool = False,
    missing: str = "no data",
) -> StatPanel:
    """The latest value, above its course. `words`: value → the word shown instead, and its colour. `label`: the text of this label
    instead of the value. `named`: a value for each series, with its name. `missing`: shown where there is no value."""
    course = sparkline and not words and not label
    reduction = common.ReduceDataOptions().calcs(["lastNotNull"])
    mappings: list[model.ValueMapping] = [_missing(missing), *([word_mapping(words)] if words else [])]
    panel = (
        described(StatPanel(), title, description, query, size=size, links=links)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(models.BigValueColorMode.BACKGROUND if words and not named else models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.AREA if course else models.BigValueGraphMode.NONE)
        .text_mode(models.BigValueTextMode.VALUE_AND_NAME if named else models.BigValueTextMode.VALUE)
        .reduce_options(reduction.fields(f"/^{label}$/") if label else reduction)
        .mappings(mappings)
        .no_value(missing)
    )
    if not words and not label and len(missing) <= SHORT:
        panel = panel.text(common.VizTextDisplayOptions().value_size(NUMBER_HEIGHT))
    if (decimals := units.decimals(unit)) is not None:
        panel = panel.decimals(decimals)
    return panel


def word_mapping(words: Mapping[int, tuple[str, str]]) -> model.ValueMap:
    """Value → the word shown instead, and its colour."""
    results = {
        str(value): model.ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, (word, colour)) in enumerate(words.items(), start=1)
    }
    return model.ValueMap(options=results)


def _missing(text: str) -> model.SpecialValueMap:
    """Grey, because the colour of a threshold would say something about a value that is not there."""
    result = model.ValueMappingResult(text=text, color=GREY, index=0)
    match = model.SpecialValueMatch.NULL_AND_NAN
    return model.SpecialValueMap(options=model.DashboardSpecialValueMapOptions(match=match, result=result))


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
    missing: str = NOTHING,
) -> bargauge.Panel:
    """The latest value of each series as a bar, in the order of an instant query's answer."""
    panel = (
        described(bargauge.Panel(), title, description, *queries, size=size, links=links)
        .unit(unit)
        .data_links(dashboard_links(series_links))
        .min(0)
        .max(maximum)
        .no_value(missing)
        .thresholds(_thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .display_mode(models.BarGaugeDisplayMode.BASIC)
        .orientation(models.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    decimals = units.decimals(unit, maximum=maximum)
    return panel if decimals is None else panel.decimals(decimals)


def node_graph(
    title: str,
    description: str,
    edges: tuple[PromQL, PromQL],
    nodes: tuple[PromQL, PromQL],
    *,
    names: tuple[str, str],
    number_units: tuple[str, str],
    steps: Steps,
    size: Size,
    links: Sequence[Link],
) -> nodegraph.Panel:
    """Nodes and edges, each with two numbers, which have these names and units. The second also colours a node, by `steps`.

    The queries of edges give a series for each, with the labels `id`, `source` and `target`; those of nodes with `id` and `title`.
    """
    panel = (
        described(nodegraph.Panel(), title, description, *edges, *nodes, size=size, links=links)
        .unit(number_units[0])
        .thresholds(_thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .edges(nodegraph.EdgeOptions().main_stat_unit(number_units[0]).secondary_stat_unit(number_units[1]))
        .nodes(nodegraph.NodeOptions().main_stat_unit(number_units[0]).secondary_stat_unit(number_units[1]))
    )
    for pair in ("A|B", "C|D"):
        panel = panel.with_transformation(
            model.DataTransformerConfig(id_val="merge", filter_val=_of_queries(f"^({pair})$"), options={})
        )
    # The panel finds its fields by their real names, which a rename for display does not change: so each is computed anew.
    for query, field in (
        ("A", "mainstat"),
        ("B", "secondarystat"),
        ("C", "mainstat"),
        ("D", "secondarystat"),
        ("D", "color"),
    ):
        options = {
            "mode": "reduceRow",
            "reduce": {"include": [f"Value #{query}"], "reducer": "sum"},
            "alias": field,
            "replaceFields": False,
            "timeSeries": False,
        }
        only = _of_queries("A" if query in "AB" else "C")  # a merged answer has the letters of all its queries
        panel = panel.with_transformation(
            model.DataTransformerConfig(id_val="calculateField", filter_val=only, options=options)
        )
    for field, name, unit in zip(("mainstat", "secondarystat"), names, number_units, strict=True):
        properties = (("displayName", name), ("unit", unit), ("decimals", 2))
        panel = panel.override_by_name(field, [model.DynamicConfigValue(*pair) for pair in properties])
    return panel


def _of_queries(letters: str) -> model.MatcherConfig:
    return model.MatcherConfig(id_val="byRefId", options=f"/{letters}/")


def logs(title: str, description: str, query: LogQL, *, size: Size, links: Sequence[Link]) -> LogsPanel:
    """Log lines as they were written, the newest first. A trace id in the details of a line leads to the trace."""
    return (
        described(LogsPanel(), title, description, query, size=size, links=links)
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
    return described(dashboard.Panel().type("alertlist"), title, description, size=size, links=links).options(options)


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


def described(panel: _P, title: str, description: str, *queries: Query, size: Size, links: Sequence[Link]) -> _P:
    """What every panel has."""
    width, height = size
    panel = panel.title(title).description(description).span(width).height(height).links(dashboard_links(links))
    return panel.datasource(source(queries)).targets(targets(queries)) if queries else panel


MERGE = model.DataTransformerConfig(id_val="merge", options={})


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


def fixed(colour: str = BLUE) -> model.DynamicConfigValue:
    """This colour, whatever the value is."""
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _line(fill: str, **more: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("custom.lineStyle", {"fill": fill, **more})


_FAINT = [
    fixed(GREY),
    model.DynamicConfigValue("custom.lineWidth", 1),
    model.DynamicConfigValue("custom.fillOpacity", 0),
    _line("dash", dash=[6, 6]),
    model.DynamicConfigValue("custom.stacking", {"mode": "none"}),
]
