"""The queries of the dashboards, read from the committed JSON and filled in as Grafana does."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = Path(__file__).parents[2] / "dashboards" / "json"

INTERVALS = {"$__rate_interval": "1m", "$__auto": "1m", "$__range": "1h", "$__interval": "15s"}
"""What Grafana sets by the width of a panel and the scrape interval; these are the shortest with a scrape interval of 15 s."""
VARIABLES = {
    "service": "..*",
    "slo": "..*",
    "trace_service": "shop",
    "level": "..*",
    "text": "",
    # Those of a service that OpenTelemetry counts.
    "job": "application",
    "counter": "http_server_request_duration_seconds_count",
    "durations": "http_server_request_duration_seconds_bucket|http_server_request_duration_seconds",
    "per_second": "1",
    "by": '"http_request_method","http_route"',
}
"""Values of the dashboards' own variables, unless a test gives others: `All` if the variable has it."""


@dataclass(frozen=True)
class DashboardQuery:
    """One query."""

    board: str
    """uid of the dashboard."""
    panel: str
    """Title of the panel, or `variable` or `annotation`."""
    source: str
    """uid of the data source."""
    json: Mapping[str, Any]
    """The query as the dashboard has it."""
    ref: str

    @property
    def where(self) -> str:
        return f"{self.board}: {self.panel}: {self.ref}"

    @property
    def expr(self) -> str:
        """The query in the language of its source, with its variables."""
        return str(self.json.get("expr", self.json.get("query", "")))

    def filled_in(self, **variables: str) -> str:
        """`expr` with all variables as Grafana fills them in."""
        return filled_in(self.expr, **variables)


def filled_in(text: str, **variables: str) -> str:
    """`text` with every variable replaced, written as ``$name``, ``${name}``, ``${name:pipe}`` or ``${name:doublequote}``."""
    for name, value in INTERVALS.items():
        text = text.replace(name, variables.get(name.removeprefix("$"), value))
    for name, value in sorted({**VARIABLES, **variables}.items(), reverse=True):
        for spelled in (f"${{{name}}}", f"${{{name}:pipe}}", f"${{{name}:doublequote}}", f"${name}"):
            text = text.replace(spelled, value)
    return text


def boards() -> dict[str, dict[str, Any]]:
    """uid → dashboard."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(JSON.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels of a dashboard except headings."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panels({"panels": panel.get("panels", [])})
        else:
            yield panel


def queries() -> list[DashboardQuery]:
    """Every query of every panel, variable and annotation."""
    return [query for uid, board in boards().items() for query in _queries(uid, board)]


def _queries(uid: str, board: Mapping[str, Any]) -> Iterator[DashboardQuery]:
    for panel in panels(board):
        for target in panel.get("targets", ()):
            yield DashboardQuery(uid, panel["title"], target["datasource"]["uid"], target, target["refId"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield DashboardQuery(uid, "variable", variable["datasource"]["uid"], variable["query"], variable["name"])
    for annotation in board["annotations"]["list"]:
        query = annotation.get("target", annotation)
        yield DashboardQuery(uid, "annotation", annotation["datasource"]["uid"], query, annotation["name"])
