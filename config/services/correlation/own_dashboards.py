"""Makes a dashboard of yours fit this stack's Grafana: its data sources, its uid, its library panels.

Grafana itself migrates old schemas when it shows a dashboard, so nothing else is changed.
"""

import copy
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from config.links import ALERTMANAGER, JAEGER, LOKI, PROMETHEUS

SOURCES = (PROMETHEUS, LOKI, JAEGER, ALERTMANAGER)
"""Uids of the stack's data sources. Each is also the type, and in lower case the name, of its source."""
BUILT_IN = ("grafana", "-- Grafana --", "-- Mixed --", "-- Dashboard --", "__expr__")
_OF_GRAFANA = frozenset({"datasource", "grafana", "__expr__", "dashboard", "mixed"})
"""Types of the built-in data sources."""
PANELS = frozenset(
    {
        *(
            "alertGroups",
            "alertlist",
            "annolist",
            "barchart",
            "bargauge",
            "candlestick",
            "canvas",
            "dashlist",
            "datagrid",
        ),
        *("debug", "flamegraph", "gauge", "geomap", "gettingstarted", "heatmap", "histogram", "icon", "live", "logs"),
        *("news", "nodeGraph", "piechart", "row", "stat", "state-timeline", "status-history", "table", "text"),
        *("timeseries", "traces", "trend", "welcome", "xychart"),
        # Older types, which Grafana shows as one of these (its `autoMigrateAngular`; `heatmap-new`: `PanelModel`).
        *("graph", "grafana-piechart-panel", "grafana-singlestat-panel", "grafana-worldmap-panel", "heatmap-new"),
        *("natel-discrete-panel", "singlestat", "table-old"),
    }
)
"""Types of panels that Grafana shows without further plugins (`public/app/plugins/panel` of 10.0)."""
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""What Grafana accepts as a uid."""
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)[^}]*\}|\[\[(\w+)[^\]]*\]\]")
_INPUT = re.compile(r"\$\{([\w-]+)\}")
Board = dict[str, Any]


class UnfitError(ValueError):
    """Why a file cannot become a dashboard of this stack, and what to do: one line."""


def adapted(document: Any, stem: str, sources: Mapping[str, str]) -> Board:
    """The dashboard in `document` as this stack's Grafana takes it. It equals `document` if nothing is to be done.

    Args:
        document: the file's JSON: a dashboard, or the answer of an API that contains one.
        stem: the file's name without its ending. It becomes the uid of a dashboard that has none.
        sources: name, uid, variable or input of a data source elsewhere → uid of one of `SOURCES`.

    Raises:
        UnfitError: it is not a dashboard, or asks for something that this stack does not have.
    """
    try:
        return _adapted(copy.deepcopy(_unwrapped(document)), stem, sources)
    except (AttributeError, TypeError, KeyError, RecursionError):
        raise UnfitError("is not a dashboard as Grafana exports it: export it again as JSON") from None


def _adapted(board: Board, stem: str, sources: Mapping[str, str]) -> Board:
    values = _inputs(board.pop("__inputs", None) or [], sources)
    board = _replaced(board, lambda text: _INPUT.sub(lambda name: values.get(name[1], name[0]), text))
    _put_library_panels(board, board.pop("__elements", None) or {})
    for key in ("id", "version", "__requires"):  # of another Grafana
        board.pop(key, None)
    _choose_source_variables(board, sources)
    unknown: dict[str, str] = {}
    names = frozenset(variable.get("name", "") for variable in variables(board))
    board = _with_sources(board, lambda reference: _source(reference, names, sources, unknown))
    if unknown:
        raise UnfitError(_which(unknown))
    _number(board)
    if not (isinstance(board.get("uid"), str) and UID.fullmatch(board["uid"])):
        board["uid"] = _uid(stem)
    return board


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, including those in rows, which were separate lists until schema 16."""
    for panel in (*(board.get("panels") or ()), *(board.get("rows") or ())):
        if isinstance(panel, dict):
            yield panel
            yield from panels({"panels": panel.get("panels")})


def variables(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The variables of a dashboard."""
    listed = (board.get("templating") or {}).get("list") or []
    return [variable for variable in listed if isinstance(variable, dict)]


def _unwrapped(document: Any) -> Board:
    """The dashboard itself: `document`, or what the API or a resource of Kubernetes has around it."""
    board: Any = document
    uid = None
    if isinstance(board, dict) and isinstance(board.get("dashboard"), dict):
        board = board["dashboard"]
    elif isinstance(board, dict) and board.get("kind") == "Dashboard":
        uid = (board.get("metadata") or {}).get("name")
        board = board.get("spec")
    if isinstance(board, dict) and "elements" in board and "layout" in board:
        raise UnfitError(
            "is in the schema v2 of Grafana (elements, layout), which cannot be read from files everywhere: "
            "export it with the model Classic"
        )
    if not isinstance(board, dict) or not (
        isinstance(board.get("panels"), list) or isinstance(board.get("rows"), list)
    ):
        raise UnfitError("is not a dashboard: it has no panels. Export it from Grafana as JSON")
    return {**board, "uid": uid} if uid and not board.get("uid") else board


def _inputs(inputs: list[dict[str, Any]], sources: Mapping[str, str]) -> dict[str, str]:
    """Name → value of what "export for sharing" left open."""
    values, unknown = {}, {}
    for one in inputs:
        name, kind = str(one.get("name")), str(one.get("pluginId"))
        if one.get("type") == "datasource":
            if choice := sources.get(name) or (kind if kind in SOURCES else ""):
                values[name] = choice
            else:
                unknown[name] = kind
        elif one.get("value") is None:
            raise UnfitError(f"leaves the constant {name} open: write its value into the file (__inputs, value)")
        else:
            values[name] = str(one["value"])
    if unknown:
        raise UnfitError(_which(unknown))
    return values


def _replaced(part: Any, change: Callable[[str], str]) -> Any:
    """`part` with each text changed."""
    if isinstance(part, list):
        return [_replaced(item, change) for item in part]
    if isinstance(part, dict):
        return {key: _replaced(value, change) for key, value in part.items()}
    return change(part) if isinstance(part, str) else part


def _put_library_panels(board: Board, elements: Any) -> None:
    """Puts each library panel in its place: the file's copy of it, because this Grafana has no library."""
    models = {uid: one.get("model") for uid, one in elements.items()} if isinstance(elements, dict) else {}
    for panel in panels(board):
        library = panel.pop("libraryPanel", None)
        if not library or panel.get("type") not in {None, "library-panel-ref"}:
            continue
        model = models.get(library.get("uid")) or library.get("model")
        if not model:
            raise UnfitError(
                f"has the library panel {library.get('name') or library.get('uid')!r}, which only the other Grafana has: "
                "unlink it there, or export the dashboard for sharing, which puts it into the file"
            )
        place = {key: panel[key] for key in ("id", "gridPos", "repeat", "repeatDirection", "maxPerRow") if key in panel}
        panel.clear()
        panel.update({key: value for key, value in copy.deepcopy(model).items() if key != "libraryPanel"}, **place)


def _choose_source_variables(board: Board, sources: Mapping[str, str]) -> None:
    """Sets each variable that chooses a data source to the one of its type that the stack has."""
    unknown = {}
    for variable in variables(board):
        if variable.get("type") != "datasource":
            continue
        name, kind = str(variable.get("name")), str(variable.get("query"))
        choice = sources.get(name) or (kind if kind in SOURCES else "")
        if not choice:
            unknown[name] = kind
            continue
        several = bool(variable.get("multi"))
        text, value = choice.title(), choice
        current = {"selected": True, "text": [text], "value": [value]} if several else {"text": text, "value": value}
        # Its filter is for names in another Grafana.
        variable.update(query=choice, regex="", options=[], current=current)
    if unknown:
        raise UnfitError(_which(unknown))


def _with_sources(part: Any, change: Callable[[Any], Any]) -> Any:
    """`part` with each reference to a data source changed: by uid or, in older dashboards, by name."""
    if isinstance(part, list):
        return [_with_sources(item, change) for item in part]
    if not isinstance(part, dict):
        return part
    result = {}
    for key, value in part.items():
        if key == "datasource":
            result[key] = change(value)
        elif key == "datasourceUid" and isinstance(value, str):
            changed = change(value)
            result[key] = changed["uid"] if isinstance(changed, dict) else changed
        else:
            result[key] = _with_sources(value, change)
    return result


def _source(reference: Any, names: frozenset[str], sources: Mapping[str, str], unknown: dict[str, str]) -> Any:
    """The stack's data source for `reference`. One that nothing tells is added to `unknown`, with its type."""
    if not isinstance(reference, str | dict) or not reference:
        return reference
    source: dict[str, Any] = reference if isinstance(reference, dict) else {"uid": reference}
    name, kind = str(source.get("uid") or source.get("name") or ""), str(source.get("type") or "")
    if variable := _VARIABLE.fullmatch(name):
        name = next(filter(None, variable.groups()))
        if name in names:
            return reference
    if name in BUILT_IN or kind in _OF_GRAFANA:
        return reference
    own_name = name.removeprefix("DS_").lower()  # what an export for sharing makes of a name
    choice = sources.get(name) or (kind if kind in SOURCES else "" if kind else own_name if own_name in SOURCES else "")
    if not choice and name in {"", "default"} and not kind:
        return None  # the default, which is Prometheus
    if not choice:
        unknown[name or kind] = kind
        return reference
    return reference if reference is source and name == choice else {"type": choice, "uid": choice}


def _which(unknown: Mapping[str, str]) -> str:
    names = ", ".join(f"{name} (of the type {kind})" if kind else name for name, kind in sorted(unknown.items()))
    example = next(iter(sorted(unknown)))
    return (
        f"asks the data source {names}: there are {', '.join(SOURCES)}; say which one is meant, like  "
        f"grafana.data_sources: {{{example}: {PROMETHEUS}}}  or remove what asks it"
    )


def _number(board: Board) -> None:
    """Gives a panel another id if one before it has the same, as Grafana does."""
    numbers: set[Any] = set()
    for panel in panels(board):
        number = panel.get("id")
        if number in numbers and number is not None:
            number = panel["id"] = 1 + max((one for one in _ids(board) if isinstance(one, int)), default=0)
        numbers.add(number)


def _ids(board: Board) -> Iterator[Any]:
    return (panel.get("id") for panel in panels(board))


def _uid(stem: str) -> str:
    """A uid that follows from the file's name, and so stays."""
    stem = unicodedata.normalize("NFC", stem)  # checkouts on macOS have another form
    if UID.fullmatch(stem):
        return stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")
    if words and UID.fullmatch(words) and stem.isascii():
        return words
    return f"{words[:31].strip('-')}-{sha256(stem.encode()).hexdigest()[:8]}".strip("-")
