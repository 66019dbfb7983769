"""Addresses that link dashboards, logs and traces of one service at one time.

All links are built here. In panels, Grafana fills in `${…}`; in alerts, Prometheus or Loki fills in `{{ … }}`. These
placeholders are kept; the rest is percent-encoded.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

PROMETHEUS, LOKI, JAEGER, ALERTMANAGER = "prometheus", "loki", "jaeger", "alertmanager"
"""Uid of each data source, which is also its type."""

LAST_HOUR = ("now-1h", "now")
SHOWN = ("${__from}", "${__to}")
"""Bounds of Grafana's time picker, in milliseconds."""

SERVICE_TAG = "observability.service"
"""Attribute of every stored span: the value of the label `service` of its service's logs and metrics. The collector
sets it, because Grafana builds a span's links from the tags of span and process, and Jaeger's answers have
`service.name` in neither."""

_LATER = re.compile(r"\$\{[^}]*\}|\{\{.*?\}\}")


def dashboard(uid: str, start: str, end: str, *, base: str = "", **variables: str) -> str:
    """URL of a dashboard with these variables. `start` and `end` are milliseconds, or relative as in ``now-1h``."""
    parameters = "".join(f"&var-{name}={_quoted(value)}" for name, value in variables.items())
    return f"{base}/d/{uid}?orgId=1&from={_quoted(start)}&to={_quoted(end)}{parameters}"


def logs(query: str, start: str, end: str, *, base: str = "") -> str:
    """URL of Explore with a LogQL query."""
    return _explore(LOKI, {"expr": query, "queryType": "range"}, start, end, base)


def traces(service: str, start: str, end: str, *, base: str = "") -> str:
    """URL of Explore with a search for the traces of one service."""
    return _explore(JAEGER, {"queryType": "search", "service": service}, start, end, base)


def trace(identifier: str, start: str, end: str, *, base: str = "") -> str:
    """URL of Explore with one trace."""
    return _explore(JAEGER, {"query": identifier}, start, end, base)


def jaeger_search(base: str, service: str) -> str:
    """URL of Jaeger's own search for the traces of one service in the last hour; without a service, its search form."""
    return f"{base}/search?{f'service={_quoted(service)}&' if service else ''}lookback=1h"


def exactly() -> dict[str, tuple[str, str]]:
    """Replacements for links whose time is known only when they are sent.

    Maps a spelling of `LAST_HOUR` in these addresses to its exact form, a format for two integers, and to the method of
    Go's `time.Time` that returns these integers in milliseconds or microseconds. For example, ``"lookback=1h"`` →
    ``("lookback=custom&start=%d&end=%d", "UnixMicro")``.
    """
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
    """Uses schema version 1 of Explore's URL, which Grafana supports since 10."""
    pane_query = {"refId": "A", "datasource": {"type": source, "uid": source}, **query}
    pane = {"datasource": source, "queries": [pane_query], "range": {"from": start, "to": end}}
    panes = json.dumps({"a": pane}, separators=(",", ":"), ensure_ascii=False)
    return f"{base}/explore?schemaVersion=1&orgId=1&panes={_quoted(panes)}"


def _quoted(text: str) -> str:
    """`text` percent-encoded, except its placeholders."""
    quoted, end = "", 0
    for later in _LATER.finditer(text):
        quoted += quote(text[end : later.start()], safe="") + later.group()
        end = later.end()
    return quoted + quote(text[end:], safe="")
