"""Sends queries of the dashboards, by the API calls that Grafana's data sources make."""

import re
import time
from dataclasses import replace
from typing import Any

import requests

from dashboards.queries import OTHERS
from tests.support import dashboard_queries
from tests.support.dashboard_queries import DashboardQuery, filled_in
from tests.support.deployment import Deployment

STEP = "15"
MINUTES = 15
"""Time range of the queries."""

PAST = {"1d": "20s", "1w": "30s"}
"""No stack here is a day old: a comparison with the past asks for this long ago instead."""


def of_past(query: DashboardQuery) -> bool:
    """Whether a query compares with the past."""
    return any(f"offset {ago}" in query.expr for ago in PAST)


def of_others(query: DashboardQuery) -> bool:
    """Whether a query is the sum of what the panel does not name, which is nothing in a small stack."""
    return query.json.get("legendFormat") == OTHERS


def recent(query: DashboardQuery) -> DashboardQuery:
    """A query with the short past of `PAST`."""
    expr = query.expr
    for ago, less in PAST.items():
        expr = expr.replace(f"offset {ago}", f"offset {less}")
    return replace(query, json={**query.json, "expr": expr}) if of_past(query) else query


def answer(stack: Deployment, query: DashboardQuery, **variables: str) -> list[Any]:
    """The series, lines, traces or values that a query returns."""
    now = time.time()
    start = now - MINUTES * 60
    if query.panel == "variable":
        return _values(stack, query.filled_in(**variables), start, now)
    if query.source == "loki":
        return _of_loki(stack, query, query.filled_in(**variables), start, now)
    if query.source == "jaeger":
        return _of_jaeger(stack, filled_in(query.json["service"], **variables), query, start, now)
    return _of_prometheus(stack, query, query.filled_in(**variables), start, now)


def of_source(stack: Deployment, service: str) -> dict[str, str]:
    """Values of the hidden variables of a service's dashboard, which follow what counts its requests."""
    hidden = {
        query.ref: str(answer(stack, query, service=service)[0])
        for query in dashboard_queries.queries()
        if (query.board, query.panel) == ("golden-signals", "variable") and query.ref != "service"
    }
    return hidden | {"by": ",".join(f'"{label}"' for label in hidden["by"].split(":")[1:])}


def exemplars(stack: Deployment, promql: str) -> list[str]:
    """Ids of the traces that the exemplars of a query lead to."""
    period = _period(time.time() - MINUTES * 60, time.time())
    series = stack.get("prometheus", "/api/v1/query_exemplars", query=promql, **period)["data"]
    return [one["labels"]["trace_id"] for each in series for one in each["exemplars"]]


def _period(start: float, end: float) -> dict[str, str]:
    return {"start": f"{start:.3f}", "end": f"{end:.3f}"}


def _values(stack: Deployment, expr: str, start: float, end: float) -> list[Any]:
    """The answer to `label_values(selector, label)` or `query_result(query)`, which only Grafana knows."""
    if query := re.fullmatch(r"query_result\((.+)\)", expr):
        result = stack.get("prometheus", "/api/v1/query", query=query[1], time=f"{end:.3f}")["data"]["result"]
        return [value for series in result for value in series["metric"].values()]
    parsed = re.fullmatch(r"label_values\((.+), (\w+)\)", expr)
    assert parsed, expr
    selector, label = parsed.groups()
    parameters = {"match[]": selector, **_period(start, end)}
    return list(stack.get("prometheus", f"/api/v1/label/{label}/values", **parameters)["data"])


def _of_prometheus(stack: Deployment, query: DashboardQuery, promql: str, start: float, end: float) -> list[Any]:
    if query.json.get("instant"):
        result = stack.get("prometheus", "/api/v1/query", query=promql, time=f"{end:.3f}")
    else:
        result = stack.get("prometheus", "/api/v1/query_range", query=promql, step=STEP, **_period(start, end))
    return list(result["data"]["result"])


def _of_loki(stack: Deployment, query: DashboardQuery, logql: str, start: float, end: float) -> list[Any]:
    if query.json.get("queryType") == "instant":
        result = stack.get("loki", "/loki/api/v1/query", query=logql, time=f"{end:.0f}000000000")
    else:
        period = {"start": f"{start:.0f}000000000", "end": f"{end:.0f}000000000", "step": STEP}
        limit = str(query.json.get("maxLines", 100))
        result = stack.get("loki", "/loki/api/v1/query_range", query=logql, limit=limit, direction="backward", **period)
    return list(result["data"]["result"])


def _of_jaeger(stack: Deployment, service: str, query: DashboardQuery, start: float, end: float) -> list[Any]:
    search = {"service": service, "minDuration": query.json["minDuration"], "limit": str(query.json["limit"])}
    period = {"start": f"{start * 1e6:.0f}", "end": f"{end * 1e6:.0f}", "lookback": "custom"}
    response = requests.get(f"{stack.url('jaeger')}/api/traces", params={**search, **period}, timeout=10)
    response.raise_for_status()
    return list(response.json()["data"])
