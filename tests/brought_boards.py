"""Dashboards in the shapes in which people download and export them. Written for the tests; no content of others."""

import json
from typing import Any

PROMETHEUS_INPUT = {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}
ELSEWHERE = {"type": "prometheus", "uid": "P1809F7CD0C75ACF3"}
"""A data source of another Grafana, as newer exports name it."""


def graph(number: int, expr: str = "up", source: Any = None, kind: str = "timeseries", **more: Any) -> dict[str, Any]:
    """A panel with one query."""
    target = {"refId": "A", "expr": expr}
    place = {"h": 8, "w": 12, "x": 0, "y": 8 * number}
    return {
        "id": number,
        "type": kind,
        "title": f"Panel {number}",
        "datasource": source,
        "gridPos": place,
        "targets": [target],
        **more,
    }


def variable(name: str, kind: str, query: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "query": query, **more}


def row(number: int, *panels: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A row of schema 16 and later: collapsed with panels, open without."""
    return {"id": number, "type": "row", "title": "Row", "collapsed": bool(panels), "panels": list(panels), **more}


BOARDS: dict[str, dict[str, Any]] = {
    # grafana.com, "Download JSON" of a board exported for sharing.
    "Shared Externally_rev37.json": {
        "__inputs": [
            PROMETHEUS_INPUT,
            {"name": "VAR_JOB", "type": "constant", "label": "job", "value": "node_exporter"},
        ],
        "__elements": {},
        "__requires": [{"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.0.0"}],
        "annotations": {
            "list": [{"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "name": "A"}]
        },
        "id": None,
        "uid": "rYdddlPWk",
        "title": "Shared externally",
        "schemaVersion": 39,
        "version": 93,
        "templating": {"list": [variable("job", "constant", "${VAR_JOB}")]},
        "panels": [graph(1, 'up{job="$job"}', {"type": "prometheus", "uid": "${DS_PROMETHEUS}"})],
    },
    # Of the time of schema 14: rows are lists of their own, the data source is an input as text.
    "dashboard-14 (1).json": {
        "__inputs": [PROMETHEUS_INPUT],
        "title": "Rows of schema 14",
        "schemaVersion": 14,
        "rows": [
            {"title": "First", "panels": [graph(1, source="${DS_PROMETHEUS}", kind="graph", span=6)]},
            {"title": "Second", "collapse": True, "repeat": "job", "panels": [graph(2, kind="singlestat", span=6)]},
        ],
        "templating": {
            "list": [variable("job", "query", "label_values(up, job)", datasource="${DS_PROMETHEUS}", refresh=1)]
        },
    },
    "old name.json": {
        "id": 12,
        "uid": None,
        "title": "Source by name",
        "schemaVersion": 16,
        "panels": [graph(1, source="Prometheus", kind="graph"), graph(2, '{service=~".+"}', "loki", "logs")],
    },
    "default.json": {
        "uid": "",
        "title": "The default source",
        "schemaVersion": 22,
        "panels": [graph(1), graph(2, source="default"), {"id": 3, "type": "text", "title": "Notes"}],
        "templating": {"list": None},
    },
    # With a variable that chooses the data source, and a filter on its name elsewhere.
    "Übersicht.json": {
        "uid": "x" * 41,
        "title": "Chosen source",
        "schemaVersion": 27,
        "templating": {
            "list": [
                variable(
                    "ds", "datasource", "prometheus", regex="/^prod-/", current={"text": "prod-1", "value": "prod-1"}
                ),
                variable("job", "query", {"query": "label_values(up, job)", "refId": "A"}, datasource="$ds"),
                variable("revision", "custom", "1,2"),
            ]
        },
        "panels": [graph(1, source="${ds}"), graph(2, source={"uid": "$ds"}), graph(3, source="-- Mixed --")],
    },
    "uids-of-elsewhere.json": {
        "id": 7,
        "uid": "uids-of-elsewhere",
        "title": "Uids of another Grafana",
        "schemaVersion": 36,
        "panels": [
            graph(1, source=ELSEWHERE),
            graph(1, source={"type": "loki", "uid": "P8E80F9AEF21F6940"}, expr='{job="x"}'),
        ],
        "annotations": {"list": [{"datasource": ELSEWHERE, "expr": "up == 0", "name": "Down", "enable": True}]},
    },
    "repeated.json": {
        "title": "Repeated rows",
        "schemaVersion": 30,
        "templating": {"list": [variable("job", "query", "label_values(up, job)", includeAll=True, multi=True)]},
        "panels": [
            row(1, graph(2, 'up{job="$job"}', "Prometheus"), repeat="job"),
            row(3, repeat="job"),
            graph(4, 'up{job="$job"}', "Prometheus", repeat="job", repeatDirection="h", maxPerRow=4),
        ],
    },
    "library.json": {
        "__inputs": [PROMETHEUS_INPUT],
        "__elements": {
            "lib-1": {
                "uid": "lib-1",
                "name": "Up",
                "kind": 1,
                "model": graph(
                    99, source={"type": "prometheus", "uid": "${DS_PROMETHEUS}"}, libraryPanel={"uid": "lib-1"}
                ),
            }
        },
        "uid": "library",
        "title": "Library panels",
        "schemaVersion": 38,
        "panels": [
            {"id": 5, "gridPos": {"h": 4, "w": 6, "x": 0, "y": 0}, "libraryPanel": {"uid": "lib-1", "name": "Up"}}
        ],
    },
    # As the API answers.
    "api.json": {
        "meta": {"slug": "api"},
        "dashboard": {
            "id": 3,
            "uid": "of-the-api",
            "title": "Of the API",
            "schemaVersion": 42,
            "panels": [graph(1, source=ELSEWHERE)],
        },
    },
    # As a resource of Kubernetes, with the classic model.
    "resource.json": {
        "apiVersion": "dashboard.grafana.app/v1beta1",
        "kind": "Dashboard",
        "metadata": {"name": "of-kubernetes"},
        "spec": {"title": "A resource", "schemaVersion": 42, "panels": [graph(1, source=ELSEWHERE)]},
    },
}
"""File name → its JSON."""

UIDS = {
    "Shared Externally_rev37.json": "rYdddlPWk",
    "dashboard-14 (1).json": "dashboard-14-1",
    "old name.json": "old-name",
    "default.json": "default",
    "Übersicht.json": "ubersicht-4d2bb368",
    "uids-of-elsewhere.json": "uids-of-elsewhere",
    "repeated.json": "repeated",
    "library.json": "library",
    "api.json": "of-the-api",
    "resource.json": "of-kubernetes",
}
"""File name → uid of its dashboard: its own, or one made from the name."""


def texts() -> dict[str, str]:
    """File name → its text."""
    return {name: json.dumps(board) for name, board in BOARDS.items()}
