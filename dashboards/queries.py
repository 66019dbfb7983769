"""Queries of panels, to Prometheus, Loki and Jaeger."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import loki, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.loki import LokiQueryDirection
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from config import links

PAST = {"yesterday": "1d", "last week": "1w"}
"""Legend → how long ago."""
ERRORS = 'level=~"error|fatal"'
"""Part of a log selector."""
MESSAGE = (
    "json message, msg, event | drop __error__, __error_details__ "
    "| label_format said=`{{ or .message .msg .event __line__ }}`"
)
"""Stage of a LogQL pipeline: the label `said` is the message of a JSON line, or else the line."""
TOP, FEW = 8, 5
"""Series by name that a panel shows, and one that is narrow or shows the past too. More cannot be told apart."""
OTHERS = "others"
"""Legend of the sum of all other series."""


@dataclass(frozen=True, slots=True)
class PromQL:
    """A query to Prometheus."""

    expr: str
    legend: str = ""
    instant: bool = False
    """The answer is a table of the latest values, or, with a legend, one series for each."""
    exemplars: bool = False
    """Show the exemplars of its series, as points that lead to a trace."""
    names: int = TOP
    """Series at most, if the legend names a label."""


@dataclass(frozen=True, slots=True)
class LogQL:
    """A query to Loki. Without a legend it returns log lines, at most `lines`."""

    expr: str
    legend: str = ""
    instant: bool = False
    lines: int = 100
    names: int = TOP
    """Series at most, if the legend names a label."""


@dataclass(frozen=True, slots=True)
class Traces:
    """A search in Jaeger. Its API searches one service at a time."""

    service: str
    slower_than: str
    limit: int = 20


Query = PromQL | LogQL | Traces


def compared(expr: str, legend: str, *, exemplars: bool = False) -> tuple[PromQL, ...]:
    """A query now, a day ago and a week ago. Every selector in `expr` is followed by `@past`, where the offset goes::

    compared("sum(up@past)", "now")  # sum(up), sum(up offset 1d), sum(up offset 1w)
    """
    return (
        PromQL(now(expr), legend, exemplars=exemplars),
        *(PromQL(expr.replace("@past", f" offset {ago}"), name) for name, ago in PAST.items()),
    )


def top(expr: str, label: str = "service", *, count: int = TOP, rest: bool = True) -> tuple[PromQL, ...]:
    """The series of `expr`, one for each value of `label`, that are the largest at any time shown, and the sum of the `rest`.

    A sum of shares means nothing: for them there is no rest. The set is the same at each time, so that no line has gaps.
    """
    largest = f"topk({count}, max_over_time(({expr})[$__range:$__interval] @ end()))"
    series = PromQL(f"({expr}) and on ({label}) {largest}", f"{{{{{label}}}}}", names=count)
    return (series, PromQL(f"sum(({expr}) unless on ({label}) {largest})", OTHERS)) if rest else (series,)


def top_lines(expr: str, lines: str, label: str = "service", *, count: int = FEW) -> tuple[LogQL, ...]:
    """As `top`, for LogQL, which has no `@`: the largest are those with most of `lines` in a time as long as the one shown, before
    each point. So few lines have gaps. It reads `lines` twice: use it for few, such as errors."""
    largest = f"topk({count}, sum by ({label}) (count_over_time({lines}[$__range])))"
    series = LogQL(f"{expr} and on ({label}) {largest}", f"{{{{{label}}}}}", names=count)
    return (series, LogQL(f"sum({expr} unless on ({label}) {largest})", OTHERS))


def now(expr: str) -> str:
    """`expr` without its `@past`."""
    return expr.replace("@past", "")


class _JaegerQuery(Dataquery):
    """The SDK has no query for Jaeger."""

    def __init__(self, query: Traces, ref_id: str) -> None:
        self._json: dict[str, object] = {
            "refId": ref_id,
            "datasource": ref(links.JAEGER),
            "queryType": "search",
            "service": query.service,
            "minDuration": query.slower_than,
            "limit": query.limit,
        }

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return self._json


def targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    """The queries in the form of the SDK, with the ids A, B, …"""
    return [_target(query, ref_id) for query, ref_id in zip(queries, ascii_uppercase, strict=False)]


def _target(query: Query, ref_id: str) -> Any:
    if isinstance(query, Traces):
        return _JaegerQuery(query, ref_id)
    if isinstance(query, LogQL):
        logql = loki.Dataquery().ref_id(ref_id).datasource(ref(links.LOKI)).expr(query.expr)
        logql = logql.query_type("instant" if query.instant else "range")
        if query.legend:
            return logql.legend_format(query.legend)
        return logql.max_lines(query.lines).direction(LokiQueryDirection.BACKWARD)
    promql = prometheus.Dataquery().ref_id(ref_id).datasource(ref(links.PROMETHEUS)).expr(query.expr)
    if query.legend:
        promql = promql.legend_format(query.legend)
    if query.instant:
        return promql.instant().format(PromQueryFormat.TIME_SERIES if query.legend else PromQueryFormat.TABLE)
    return promql.range().exemplar(query.exemplars)


def source(queries: Sequence[Query]) -> model.DataSourceRef:
    """The data source of a panel with these queries."""
    sources = {
        links.PROMETHEUS if isinstance(q, PromQL) else links.LOKI if isinstance(q, LogQL) else links.JAEGER
        for q in queries
    }
    return ref(sources.pop()) if len(sources) == 1 else model.DataSourceRef(type_val="datasource", uid="-- Mixed --")


def ref(uid: str) -> model.DataSourceRef:
    """A data source of the stack. Its uid is also its type."""
    return model.DataSourceRef(type_val=uid, uid=uid)
