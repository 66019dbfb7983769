"""A stack's Grafana, asked as its pages ask it; and what is found where a link leads."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import requests

from tests.support.deployment import Deployment

_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Grafana:
    """As its admin."""

    stack: Deployment
    password: str

    def get(self, path: str, **query: str) -> Any:
        """JSON of Grafana's own."""
        url = f"{self.stack.url('grafana')}{path}"
        answer = requests.get(url, params=query, auth=("admin", self.password), timeout=30)
        answer.raise_for_status()
        return answer.json()

    def through(self, source: str, path: str, **query: str) -> Any:
        """JSON that a data source answers through Grafana's proxy."""
        return self.get(f"/api/datasources/proxy/uid/{source}{path}", **query)

    def json_data(self, uid: str) -> dict[str, Any]:
        """The part of a data source that says where it leads, as the running Grafana has it."""
        options: dict[str, Any] = self.get(f"/api/datasources/uid/{uid}")["jsonData"]
        return options

    def follow(self, address: str) -> list[Any]:
        """What is found there: streams of lines, traces, or the one dashboard; empty for nothing.

        `address`: of Explore, a dashboard, or Jaeger's page of searches; without its host it is Grafana's.
        """
        assert not re.search(r"\$\{|\{\{", address), f"{address} is not filled in"
        parts = urlsplit(address)
        if parts.path == "/explore":
            return self._explore(pane(address))
        if parts.path.startswith("/d/"):
            return [self._dashboard(parts)]
        assert parts.path == "/search"
        assert address.startswith(self.stack.url("jaeger"))
        return list(self.stack.get("jaeger", f"/api/traces?{parts.query}&limit=1000")["data"])

    def _explore(self, pane_state: Mapping[str, Any]) -> list[Any]:
        [query] = pane_state["queries"]
        start, end = (moment(pane_state["range"][name]) for name in ("from", "to"))
        if pane_state["datasource"] == "loki":
            return self.lines(query["expr"], start, end)
        assert pane_state["datasource"] == "jaeger"
        if "query" in query:
            return list(self.through("jaeger", f"/api/traces/{query['query']}")["data"])
        assert query["queryType"] == "search"
        period = {"start": f"{start * 1e6:.0f}", "end": f"{end * 1e6:.0f}", "lookback": "custom", "limit": "1000"}
        return list(self.through("jaeger", "/api/traces", service=query["service"], **period)["data"])

    def lines(self, query: str, start: float, end: float) -> list[Any]:
        """Streams, the newest thousand lines of them. Times in seconds."""
        period = {"start": f"{start:.0f}000000000", "end": f"{end + 1:.0f}000000000", "limit": "1000"}
        return list(self.through("loki", "/loki/api/v1/query_range", query=query, **period)["data"]["result"])

    def _dashboard(self, parts: SplitResult) -> dict[str, Any]:
        """It must have the variables that the address sets."""
        dashboard: dict[str, Any] = self.get(f"/api/dashboards/uid/{parts.path.removeprefix('/d/')}")["dashboard"]
        variables = {variable["name"] for variable in dashboard["templating"]["list"]}
        values = {name.removeprefix("var-") for name in parse_qs(parts.query) if name.startswith("var-")}
        assert values <= variables
        return dashboard


def pane(address: str) -> dict[str, Any]:
    """What an address of Explore asks."""
    [state] = json.loads(parse_qs(urlsplit(address).query)["panes"][0]).values()
    return dict(state)


def moment(text: str) -> float:
    """Seconds since 1970 of what stands in an address: milliseconds, ``now``, or as ``now-15m``."""
    if text.isdecimal():
        return int(text) / 1000
    ago = re.fullmatch(r"now(?:-(\d+)([smh]))?", text)
    assert ago, text
    return time.time() - (int(ago[1]) * _SECONDS[ago[2]] if ago[1] else 0)
