"""Reads the dashboards: the project's, and your own.

Grafana refuses no dashboard: it only logs that it could not read one, or shows panels without data. So what can be
checked without Grafana is checked here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config.links import LOKI, PROMETHEUS
from config.own_dashboards import BUILT_IN, SOURCES, UnfitError, adapted, panels
from config.services.correlation import dashboard_thresholds
from config.settings import Settings
from config.settings.loading import SettingsError
from config.settings.own_files import found, must_be_inside, text_of
from config.settings.units import seconds
from config.sizes import MIB

OURS = Path(__file__).parents[3] / "dashboards" / "json"
THRESHOLDS = OURS.parent / "thresholds.json"
"""Says which numbers in the dashboards of OURS follow alert thresholds."""

LARGEST = 4 * MIB
"""In bytes. The largest of the public ones have less than 1 MiB. All of it is stored in the state and shown in
previews."""
_RELATIVE = re.compile(r"now-(\d+[smhdw])")
_OFFSET = re.compile(r"\boffset\s+(\d+[smhdw])")
_RANGE = re.compile(r"\[(\d+[smhdw])\]")


def read(settings: Settings, root: Path, *, stack_key: str) -> dict[str, str]:
    """Dashboards of a stack: uid → JSON text.

    The project's dashboards show the stack's thresholds, and no comparison with a past that the stack does not retain.
    Those of `grafana.dashboards` are paths relative to `root`; `config/own_dashboards.py` says what is changed in them.
    `stack_key` names that setting in messages.

    Raises:
        SettingsError: a file is missing or is not a dashboard, a query names an unknown data source, or two share a uid
            or a title.
    """
    texts: dict[str, str] = {}
    titles: dict[str, str] = {}
    for file in sorted(OURS.glob("*.json")):
        must_be_inside(OURS, file, f"{OURS.name}/{file.name}")
        text = file.read_text(encoding="utf-8")
        board = json.loads(text)
        texts[board["uid"]], titles[board["title"]] = _for_stack(board, text, settings), board["uid"]
    for uid, (key, text) in own(settings, root, stack_key=stack_key).items():
        title = json.loads(text)["title"].strip()
        if uid in texts:
            raise SettingsError(
                f"{key}: another dashboard has the uid {uid!r} too: change it, or remove it from the file"
            )
        # Grafana would then take no change of any dashboard ("no database write permissions because of duplicates").
        if title in titles:
            raise SettingsError(f"{key}: another dashboard has the title {title!r} too: change it in the file")
        texts[uid], titles[title] = text, uid
    return texts


def own(settings: Settings, root: Path, *, stack_key: str) -> dict[str, tuple[str, str]]:
    """Your dashboards, as this stack's Grafana takes them: uid → (key for messages, JSON text).

    Raises:
        SettingsError: as `read`.
    """
    made: dict[str, tuple[str, str]] = {}
    paths = settings.grafana.dashboards
    for key, file in found(paths, root, endings=(".json",), stack_key=stack_key):
        text = text_of(file, key, LARGEST)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{key}: is no JSON: {error}") from None
        try:
            board = adapted(document, file.stem, settings.grafana.data_sources)
        except UnfitError as error:
            raise SettingsError(f"{key}: {error}") from None
        if not isinstance(board.get("title"), str) or not board["title"].strip():
            raise SettingsError(f"{key}: has no title")
        if (uid := board["uid"]) in made:
            raise SettingsError(
                f"{key}: another dashboard has the uid {uid!r} too: change it, or remove it from the file"
            )
        made[uid] = key, text if board == document else json.dumps(board, ensure_ascii=False, indent=1) + "\n"
    return made


def _for_stack(dashboard: dict[str, Any], text: str, settings: Settings) -> str:
    """One of the project's dashboards with the stack's thresholds and retention. Returns `text` if these change
    nothing."""
    marks = json.loads(THRESHOLDS.read_text(encoding="utf-8")).get(dashboard["uid"], {})
    dashboard_thresholds.apply(panels(dashboard), marks, settings.alerts.thresholds)
    _remove_unkept(dashboard, kept_seconds(settings))
    return text if dashboard == json.loads(text) else json.dumps(dashboard, ensure_ascii=False)


def kept_seconds(settings: Settings) -> dict[str, float]:
    """Uid of a data source → seconds that the stack retains its data."""
    return {
        PROMETHEUS: seconds(settings.metrics.retention.time),
        LOKI: seconds(settings.logs.retention.longest),
    }


def reach_seconds(expr: str, dashboard: Mapping[str, Any]) -> float:
    """Seconds that a query reads back when its dashboard opens: the initial time range, plus ranges and offsets."""
    start = _RELATIVE.fullmatch(dashboard.get("time", {}).get("from", ""))
    lengths = [max(map(seconds, each.findall(expr)), default=0) for each in (_OFFSET, _RANGE)]
    return sum(lengths) + (seconds(start[1]) if start else 0)


def _remove_unkept(dashboard: dict[str, Any], kept: Mapping[str, float]) -> None:
    """Removes comparisons that reach back further than `kept`. Prometheus would return nothing, and Loki an error in
    the panel."""
    for panel in panels(dashboard):
        for target in list(panel.get("targets", ())):
            expr, source = target.get("expr", ""), target.get("datasource", {}).get("uid")
            if _OFFSET.search(expr) and reach_seconds(expr, dashboard) > kept.get(source, float("inf")):
                panel["targets"].remove(target)


def unknown_sources(dashboard: dict[str, Any]) -> list[str]:
    """Data sources that the dashboard names and a stack does not have."""
    return sorted({name for name in _sources(dashboard) if not _known(name)})


def _sources(part: Any) -> Iterator[str]:
    """Data sources named anywhere in `part`: by uid or, in older dashboards, by name."""
    if isinstance(part, list):
        for item in part:
            yield from _sources(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "datasource" and value:
                yield str(value.get("uid") if isinstance(value, dict) else value)
            elif key == "datasourceUid" and isinstance(value, str):
                yield value
            else:
                yield from _sources(value)


def _known(name: str) -> bool:
    return name in SOURCES or name in BUILT_IN or name.startswith("$")
