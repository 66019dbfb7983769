"""Addresses of what belongs together: dashboards, logs and traces of one service at one time.

Everything that links builds its links here: panels, where Grafana fills in `${…}`, and alerts, where Prometheus or Loki
fills in `{{ … }}`. Both stay as they are; the rest is percent-encoded.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

PROMETHEUS, LOKI, JAEGER, ALERTMANAGER = "prometheus", "loki", "jaeger", "alertmanager"
"""Data sources: the uid of each, which is also its type."""

LAST_HOUR = ("now-1h", "now")
SHOWN = ("${__from}", "${__to}")
"""What Grafana's time picker says, in milliseconds."""

SERVICE_TAG = "observability.service"
"""Attribute of every stored span: what logs and metrics of its service have as label `service`. The collector sets it: Grafana
makes links of a span from its tags and those of its process, and in Jaeger's answers `service.name` is neither."""

_LATER = re.compile(r"\$\{[^}]*\}|\{\{.*?\}\}")


def dashboard(uid: str, start: str, end: str, *, base: str = "", **variables: str) -> str:
    """A dashboard with these variables. `start` and `end`: milliseconds, or relative as in ``now-1h``."""
    chosen = "".join(f"&var-{name}={_quoted(value)}" for name, value in variables.items())
    return f"{base}/d/{uid}?orgId=1&from={_quoted(start)}&to={_quoted(end)}{chosen}"


def logs(query: str, start: str, end: str, *, base: str = "") -> str:
    """Explore with a LogQL query."""
    return _explore(LOKI, {"expr": query, "queryType": "range"}, start, end, base)


def traces(service: str, start: str, end: str, *, base: str = "") -> str:
    """Explore with a search for the traces of one service."""
    return _explore(JAEGER, {"queryType": "search", "service": service}, start, end, base)


def trace(identifier: str, start: str, end: str, *, base: str = "") -> str:
    """Explore with one trace."""
    return _explore(JAEGER, {"query": identifier}, start, end, base)


def jaeger_search(base: str, service: str) -> str:
    """Jaeger's own page with the traces of one service in the last hour; without a service, its form."""
    return f"{base}/search?{f'service={_quoted(service)}&' if service else ''}lookback=1h"


def exactly() -> dict[str, tuple[str, str]]:
    """How `LAST_HOUR` stands in the addresses made here → how a time in milliseconds or microseconds would, as a format for
    two integers, and the method of Go's `time.Time` that gives them: for who knows the time only when a link is sent."""
    start, end = LAST_HOUR
    in_panes = _quoted(f'"from":"{start}","to":"{end}"')
    return {
        f"from={start}&to={end}": ("from=%d&to=%d", "UnixMilli"),
        in_panes: (
            in_panes.replace("%", "%%").replace(start, "%d").replace(f"%%22{end}%%22", "%%22%d%%22"),
            "UnixMilli",
        ),
        "lookback=1h": ("lookback=custom&start=%d&end=%d", "UnixMicro"),
    }


def _explore(source: str, query: Mapping[str, Any], start: str, end: str, base: str) -> str:
    """Schema version 1 of Explore's address, which Grafana has had since 10."""
    asked = {"refId": "A", "datasource": {"type": source, "uid": source}, **query}
    pane = {"datasource": source, "queries": [asked], "range": {"from": start, "to": end}}
    panes = json.dumps({"a": pane}, separators=(",", ":"), ensure_ascii=False)
    return f"{base}/explore?schemaVersion=1&orgId=1&panes={_quoted(panes)}"


def _quoted(text: str) -> str:
    """Percent-encoded, but for what is filled in later."""
    made, end = "", 0
    for later in _LATER.finditer(text):
        made += quote(text[end : later.start()], safe="") + later.group()
        end = later.end()
    return made + quote(text[end:], safe="")
