"""What a dashboard is besides its panels: variables, marks in all panels, rows, the way to the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from config import links
from dashboards import look
from dashboards.queries import ref


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and its panels. Without a title there is no heading; `each`: once for each value of this variable."""

    panels: tuple[look.AnyPanel, ...]
    title: str = ""
    each: str | None = None


def choice(
    name: str,
    label: str,
    description: str,
    query: str,
    *,
    several: bool = True,
) -> dashboard.QueryVariable:
    """A variable with the values of a label. The regular expression for all of them has no plus sign: that would be a blank
    in the links that it gets into."""
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(ref(links.PROMETHEUS))
        .query({"query": query, "refId": "values"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if not several:
        return made.multi(multi=False).include_all(include_all=False)
    everything = model.VariableOption(text="All", value="$__all", selected=True)
    return made.multi(multi=True).include_all(include_all=True).all_value("..*").current(everything)


def board(
    uid: str,
    title: str,
    description: str,
    *content: Row,
    variables: Sequence[Builder[model.VariableModel]],
) -> model.Dashboard:
    """A dashboard. One of its variables is `service`, which also selects what is marked in all panels."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["nervous-system"])
        .readonly()
        .refresh("30s")
        .time(*links.LAST_HOUR)
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .timepicker(dashboard.TimePicker().refresh_intervals(["10s", "30s", "1m", "5m", "15m", "1h"]))
        .variables(list(variables))
        .annotations(_annotations())
        .links([_menu()])
    )
    for row in content:
        if row.title:
            heading = dashboard.Row(row.title)
            made = made.with_row(heading.repeat(row.each) if row.each else heading)
        for panel in row.panels:
            made = made.with_panel(panel)
    result = made.build()
    for number_, panel_ in enumerate(result.panels or [], start=1):
        panel_.id_val = number_
    return result


def _menu() -> dashboard.DashboardLink:
    """From each dashboard to all others, with the same time and services."""
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
    """Each is true for one step: Grafana draws a line for that, while what lasts is a filled region in every panel, and one
    alert that fires for hours would colour them all."""
    return [
        _Annotation(
            "Deployments",
            links.LOKI,
            look.BLUE,
            **_of_loki('{service="deployments"} | json'),
            titleFormat="Deployment",
            textFormat="{{message}}",
            tagKeys="environment",
        ),
        _Annotation(
            "Images",
            links.PROMETHEUS,
            look.SKY,
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
            look.BAD,
            expr=f"{_FIRING} unless {_FIRING} offset $__interval",
            step="60s",
            titleFormat="{{alertname}}",
            textFormat="{{service}} {{instance}}",
            tagKeys="severity",
            useValueForTime=False,
        ),
    ]


def _of_loki(expr: str) -> dict[str, Any]:
    """Loki's data source reads its own old field; what Grafana gives all data sources stands beside it."""
    return {"expr": expr, "target": {"refId": "Anno", "expr": expr, "queryType": "range"}}


class _Annotation(Builder[model.AnnotationQuery]):
    """The SDK knows none of the fields that the data sources take."""

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
