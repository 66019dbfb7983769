"""What a dashboard has besides its panels: variables, annotations, rows and the menu of the other dashboards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from config import links
from dashboards import colours
from dashboards.panels import AnyPanel
from dashboards.queries import ref


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    panels: tuple[AnyPanel, ...]
    title: str = ""
    """Without one there is no heading."""


def choice(
    name: str,
    label: str,
    description: str,
    query: str,
    *,
    several: bool = True,
) -> dashboard.QueryVariable:
    """A variable with the values of a label. `several`: the reader may choose more than one value, or all.

    The regular expression for all values is `..*`, because a plus sign becomes a blank in links.
    """
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(ref(links.PROMETHEUS))
        .query({"query": query, "refId": "values"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if not several:
        return variable.multi(multi=False).include_all(include_all=False)
    all_values = model.VariableOption(text="All", value="$__all", selected=True)
    return variable.multi(multi=True).include_all(include_all=True).all_value("..*").current(all_values)


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
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .timepicker(dashboard.TimePicker().refresh_intervals(["10s", "30s", "1m", "5m", "15m", "1h"]))
        .variables(list(variables))
        .annotations(_annotations())
        .links([_menu()])
    )
    for row in rows:
        if row.title:
            builder = builder.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            builder = builder.with_panel(panel)
    result = builder.build()
    for identifier, placed in enumerate(result.panels or [], start=1):
        placed.id_val = identifier
    return result


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
    """Marks in all panels: deployments, new images and alerts that begin to fire.

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
        self._fields = fields

    def build(self) -> model.AnnotationQuery:
        return _WithFields(self._query.build(), self._fields)


class _WithFields(model.AnnotationQuery):
    def __init__(self, query: model.AnnotationQuery, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(query.__dict__)
        self._fields = fields

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._fields}
