"""What panels ask: Prometheus, Loki and Jaeger."""

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
"""In a selector of logs."""


@dataclass(frozen=True, slots=True)
class PromQL:
    """A query to Prometheus."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False
    """Show the exemplars of its series, as points that lead to a trace."""


@dataclass(frozen=True, slots=True)
class LogQL:
    """A query to Loki. Without a legend it asks for lines, at most `lines` of them."""

    expr: str
    legend: str = ""
    instant: bool = False
    lines: int = 100


@dataclass(frozen=True, slots=True)
class Traces:
    """A search in Jaeger, for one service: its API knows no other."""

    service: str
    slower_than: str
    most: int = 20


Query = PromQL | LogQL | Traces


def compared(expr: str, legend: str, *, exemplars: bool = False) -> tuple[PromQL, ...]:
    """A query with itself a day and a week ago. Every selector in `expr` is followed by `@past`."""
    now = PromQL(expr.replace("@past", ""), legend, exemplars=exemplars)
    return (now, *(PromQL(expr.replace("@past", f" offset {ago}"), name) for name, ago in PAST.items()))


class _JaegerQuery(Dataquery):
    """The SDK has no Jaeger."""

    def __init__(self, query: Traces, ref_id: str) -> None:
        self._json: dict[str, object] = {
            "refId": ref_id,
            "datasource": ref(links.JAEGER),
            "queryType": "search",
            "service": query.service,
            "minDuration": query.slower_than,
            "limit": query.most,
        }

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return self._json


def targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    """As panels hold them."""
    return [_target(query, ref_id) for query, ref_id in zip(queries, ascii_uppercase, strict=False)]


def _target(query: Query, ref_id: str) -> Any:
    if isinstance(query, Traces):
        return _JaegerQuery(query, ref_id)
    if isinstance(query, LogQL):
        asked = loki.Dataquery().ref_id(ref_id).datasource(ref(links.LOKI)).expr(query.expr)
        asked = asked.query_type("instant" if query.instant else "range")
        if query.legend:
            return asked.legend_format(query.legend)
        return asked.max_lines(query.lines).direction(LokiQueryDirection.BACKWARD)
    of_metrics = prometheus.Dataquery().ref_id(ref_id).datasource(ref(links.PROMETHEUS)).expr(query.expr)
    if query.legend:
        of_metrics = of_metrics.legend_format(query.legend)
    if query.instant:
        return of_metrics.instant().format(PromQueryFormat.TABLE)
    return of_metrics.range().exemplar(query.exemplars)


def source(queries: Sequence[Query]) -> model.DataSourceRef:
    """The data source of a panel with these queries."""
    sources = {
        links.PROMETHEUS if isinstance(q, PromQL) else links.LOKI if isinstance(q, LogQL) else links.JAEGER
        for q in queries
    }
    return ref(sources.pop()) if len(sources) == 1 else model.DataSourceRef(type_val="datasource", uid="-- Mixed --")


def ref(uid: str) -> model.DataSourceRef:
    """A data source, whose type is called as it is."""
    return model.DataSourceRef(type_val=uid, uid=uid)
