"""What a dashboard has besides its panels: variables, annotations, rows and the menu of the other dashboards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from config import links
from config.alerts import response_times
from dashboards import colours
from dashboards.panels import AnyPanel
from dashboards.queries import now, ref
from dashboards.signal_series import CHOSEN, each

COLUMNS = 24
"""Columns of Grafana's grid."""
NO_SERVICE = "none yet"
"""Value of a variable with one service, where there is none."""
_EVERY = model.VariableOption(text="All", value="$__all", selected=True)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    panels: tuple[AnyPanel, ...]
    title: str = ""
    """Without one there is no heading."""
    closed: bool = False
    """Shows its panels, and asks their queries, after a click on the heading."""


def choice(name: str, label: str, description: str, query: str) -> dashboard.QueryVariable:
    """A variable with the values of a label, of which the reader may choose several, or all.

    The regular expression for all values is `..*`, because a plus sign becomes a blank in links.
    """
    return (
        _variable(name, label, description, query)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value("..*")
        .current(_EVERY)
    )


def first_of(name: str, label: str, description: str, expr: str) -> dashboard.QueryVariable:
    """A variable with one service. It begins with the one that has the largest value of `expr`, so never with one that has nothing
    to show. Without any service it is `NO_SERVICE`, because Jaeger refuses a search for none."""
    nothing = f'label_replace(vector(0), "service", "{NO_SERVICE}", "", "")'
    query = f"query_result(sort_desc(({expr}) or on () {nothing}))"
    return (
        _variable(name, label, description, query)
        .regex('/service="([^"]*)"/')
        .sort(model.VariableSort.DISABLED)
        .multi(multi=False)
        .include_all(include_all=False)
    )


def mapped(
    name: str, description: str, expr: str, values: Mapping[str, str], otherwise: str, *, several: bool = False
) -> dashboard.QueryVariable:
    """A hidden variable: the value that belongs to the label `source` of what `expr` finds, or `otherwise`. With `several`, each
    word of it that follows a colon is a value, and all of them are chosen."""
    sources: dict[str, list[str]] = {}
    for source, value in values.items():
        sources.setdefault(value, []).append(source)
    series = f'label_replace({expr}, "{name}", "{otherwise}", "", "")'
    for value, names in sources.items():
        series = f'label_replace({series}, "{name}", "{value}", "source", "{"|".join(names)}")'
    nothing = f'label_replace(vector(0), "{name}", "{otherwise}", "", "")'
    query = f"query_result(sort_desc(max by ({name}) ({series}) or on () {nothing}))"
    variable = _variable(name, name, description, query).sort(model.VariableSort.DISABLED)
    variable.hide(model.VariableHide.HIDE_VARIABLE).multi(multi=several).include_all(include_all=several)
    if several:
        variable.current(_EVERY)
    return variable.regex(r"/:(\w+)/g" if several else f'/{name}="([^"]*)"/')


def slowest() -> dashboard.QueryVariable:
    """The slowest of the chosen services that send traces. Jaeger searches one service at a time. It is hidden, so that the other
    variables have one row, and follows them."""
    p95 = now(each(response_times.quantile(95)))
    senders = f"group by (service) (traces_span_metrics_calls_total{{{CHOSEN}}})"
    expr = f"topk(1, ({p95} and on (service) {senders}) or {senders} * 0)"
    variable = first_of("trace_service", "Traces of", "The slowest of the chosen services that send traces.", expr)
    return variable.hide(model.VariableHide.HIDE_VARIABLE)


def _variable(name: str, label: str, description: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(ref(links.PROMETHEUS))
        .query({"query": query, "refId": "values"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def board(
    uid: str,
    title: str,
    description: str,
    *rows: Row,
    variables: Sequence[Builder[model.VariableModel]],
    start: str = links.LAST_HOUR[0],
) -> model.Dashboard:
    """A dashboard. One of `variables` is `service`, which also selects the annotations. `start`: from when on it shows data, as
    Grafana writes it."""
    builder = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["nervous-system"])
        .readonly()
        .refresh("30s")
        .time(start, links.LAST_HOUR[1])
        .timezone("")  # the setting `grafana.time_zone`, or what a user prefers
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .timepicker(dashboard.TimePicker().refresh_intervals(["10s", "30s", "1m", "5m", "15m", "1h"]))
        .variables(list(variables))
        .annotations(_annotations())
        .links([_menu()])
    )
    result = builder.build()
    result.panels = list(_placed(rows))
    panels = [
        *result.panels,
        *(panel for row in result.panels if isinstance(row, model.RowPanel) for panel in row.panels),
    ]
    for identifier, panel in enumerate(panels, start=1):
        panel.id_val = identifier
    return result


def _placed(rows: Sequence[Row]) -> Iterator[model.Panel | model.RowPanel]:
    """The panels with their places: from left to right, and from row to row. Those of a closed row are inside its heading, placed
    as if it were open, and take no room."""
    top = 0
    for row in rows:
        heading = dashboard.Row(row.title).collapsed(collapsed=row.closed).build()
        if row.title:
            heading.grid_pos = model.GridPos(x=0, y=top, w=COLUMNS, h=1)
            heading.panels = []
            yield heading
            top += 1
        x, y, height = 0, top, 0
        for builder in row.panels:
            panel = builder.build()
            size = panel.grid_pos or model.GridPos()
            if x + size.w > COLUMNS:
                x, y, height = 0, y + height, 0
            panel.grid_pos = model.GridPos(x=x, y=y, w=size.w, h=size.h)
            x, height = x + size.w, max(height, size.h)
            if row.closed:
                heading.panels.append(panel)
            else:
                yield panel
        top = top if row.closed else y + height


def _menu() -> dashboard.DashboardLink:
    """Links to all dashboards, with the same time and services."""
    return (
        dashboard.DashboardLink("Dashboards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags(["nervous-system"])
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
        .as_dropdown(as_dropdown=True)
    )


_FIRING = 'ALERTS{alertstate="firing",severity=~"critical|warning",service=~"$service"}'


def _annotations() -> list[Builder[model.AnnotationQuery]]:
    """Marks in all panels: deployments, new images, incidents, and alerts that begin to fire.

    Each query gives a value for one step only, which Grafana draws as a line. A lasting value would be a filled region: one
    alert that fires for hours would colour every panel.
    """
    return [
        _Annotation(
            "Deployments",
            links.LOKI,
            colours.BLUE,
            **_loki_fields('{service="deployments"} | json'),
            titleFormat="Deployment",
            textFormat="{{message}}",
            tagKeys="environment",
        ),
        _Annotation(
            "Images",
            links.PROMETHEUS,
            colours.SKY,
            expr=(
                'group by (service, image) (container_start_time_seconds{image!="",service=~"$service"}) '
                "unless group by (service, image) "
                '(last_over_time(container_start_time_seconds{image!=""}[5m] offset $__interval))'
            ),
            step="60s",
            titleFormat="{{service}}",
            textFormat="{{image}}",
            tagKeys="service",
            useValueForTime=False,
        ),
        _Annotation(
            "Incidents",
            links.LOKI,
            colours.PURPLE,
            **_loki_fields('{service="incidents"} | json | event=~"began|rose|ended"'),
            titleFormat="Incident {{event}}: {{incident}}",
            textFormat="{{message}}",
            tagKeys="severity",
        ),
        _Annotation(
            "Alerts",
            links.PROMETHEUS,
            colours.BAD,
            expr=f"{_FIRING} unless {_FIRING} offset $__interval",
            step="60s",
            titleFormat="{{alertname}}",
            textFormat="{{service}} {{instance}}",
            tagKeys="severity",
            useValueForTime=False,
        ),
    ]


def _loki_fields(expr: str) -> dict[str, Any]:
    """Loki's data source reads the old field `expr`; `target` is what Grafana gives to all data sources."""
    return {"expr": expr, "target": {"refId": "Anno", "expr": expr, "queryType": "range"}}


class _Annotation(Builder[model.AnnotationQuery]):
    """An annotation with the fields of its data source, which the SDK does not know."""

    def __init__(self, name: str, source: str, colour: str, **fields: Any) -> None:
        self._query = (
            dashboard.AnnotationQuery().name(name).datasource(ref(source)).icon_color(colour).enable(enable=True)
        )
        self._fields = {
            **fields,
            "placement": "inControlsMenu",
        }  # in a row with the variables it would need a second one

    def build(self) -> model.AnnotationQuery:
        return _WithFields(self._query.build(), self._fields)


class _WithFields(model.AnnotationQuery):
    def __init__(self, query: model.AnnotationQuery, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(query.__dict__)
        self._fields = fields

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._fields}
