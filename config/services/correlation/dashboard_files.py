"""Reads the dashboards: the project's, and your own.

Grafana refuses no dashboard: it only logs that it could not read one, or shows panels without data. So what can be
checked without Grafana is checked here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config.additions import Dashboard
from config.links import LOKI, PROMETHEUS
from config.services.correlation import dashboard_thresholds, long_term
from config.services.correlation.own_dashboards import BUILT_IN, SOURCES, UnfitError, adapted, panels
from config.settings import Settings
from config.settings.grafana import FOLDER
from config.settings.loading import SettingsError
from config.settings.own_files import matching_files, must_be_inside, text_of
from config.settings.units import seconds
from config.sizes import MIB

OURS = Path(__file__).parents[3] / "dashboards" / "json"
THRESHOLDS = OURS.parent / "thresholds.json"
"""Says which numbers in the dashboards of OURS follow alert thresholds."""

LARGEST = 4 * MIB
"""Largest size of a dashboard in bytes. The largest public ones have less than 1 MiB. Dashboards are stored in the state and shown
in previews."""
_RELATIVE = re.compile(r"now-(\d+[smhdw])")
_OFFSET = re.compile(r"\boffset\s+(\d+[smhdw])")
_RANGE = re.compile(r"\[(\d+[smhdw])\]")


def read(settings: Settings, root: Path, *, stack_key: str) -> dict[str, Dashboard]:
    """Dashboards of a stack: uid → dashboard.

    The project's dashboards show the stack's thresholds, and no comparison with a past that the stack does not retain.
    Those of `grafana.dashboards` and `grafana.folders` are paths relative to `root`; `config/services/correlation/own_dashboards.py` says
    what is changed in them. `stack_key` names the first of these settings in messages.

    Raises:
        SettingsError: a file is missing or is not a dashboard, a query names an unknown data source, two share a uid
            or a title, or there is no dashboard to begin with.
    """
    result: dict[str, Dashboard] = {}
    titles: set[str] = set()
    for file in sorted(OURS.glob("*.json")):
        must_be_inside(OURS, file, f"{OURS.name}/{file.name}")
        text = file.read_text(encoding="utf-8")
        board = json.loads(text)
        result[board["uid"]] = Dashboard(_for_stack(board, text, settings))
        titles.add(board["title"])
    for uid, dashboard in own(settings, root, stack_key=stack_key).items():
        title = json.loads(dashboard.text)["title"].strip()
        if uid in result:
            raise SettingsError(_doubled(dashboard.key, uid))
        # Grafana would then take no change of any dashboard ("no database write permissions because of duplicates").
        if title in titles:
            raise SettingsError(
                f"{dashboard.key}: another dashboard has the title {title!r} too: change it in the file"
            )
        result[uid] = dashboard
        titles.add(title)
    if "home" in settings.grafana.model_fields_set and settings.grafana.home not in result:
        home, uids = settings.grafana.home, ", ".join(sorted(result))
        raise SettingsError(f"{_of_grafana(stack_key)}.home: no dashboard has the uid {home!r}: there are {uids}")
    return result


def own(settings: Settings, root: Path, *, stack_key: str) -> dict[str, Dashboard]:
    """Your dashboards, as this stack's Grafana takes them: uid → dashboard.

    Raises:
        SettingsError: as `read`.
    """
    result: dict[str, Dashboard] = {}
    lists = [(stack_key, FOLDER, settings.grafana.dashboards)]
    for name, paths in settings.grafana.folders.items():
        lists.append((f"{_of_grafana(stack_key)}.folders.{name}", name, paths))
    for key_of_list, folder, paths in lists:
        for key, file in matching_files(paths, root, endings=(".json",), stack_key=key_of_list):
            uid, text = _adapted(file, key, settings)
            if uid in result:
                raise SettingsError(_doubled(key, uid))
            result[uid] = Dashboard(text, folder, key)
    return result


def _adapted(file: Path, key: str, settings: Settings) -> tuple[str, str]:
    """The uid of a dashboard of yours, and its JSON."""
    text = text_of(file, key, LARGEST)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{key}: is not JSON: {error}") from None
    try:
        board = adapted(document, file.stem, settings.grafana.data_sources)
    except UnfitError as error:
        raise SettingsError(f"{key}: {error}") from None
    if not isinstance(board.get("title"), str) or not board["title"].strip():
        raise SettingsError(f"{key}: has no title")
    return board["uid"], text if board == document else json.dumps(board, ensure_ascii=False, indent=1) + "\n"


def _doubled(key: str, uid: str) -> str:
    return f"{key}: another dashboard has the uid {uid!r} too: change it, or remove it from the file"


def _of_grafana(stack_key: str) -> str:
    return stack_key.removesuffix(".dashboards")


def _for_stack(dashboard: dict[str, Any], text: str, settings: Settings) -> str:
    """One of the project's dashboards with the stack's thresholds and retention. Returns `text` if these change
    nothing."""
    marks = json.loads(THRESHOLDS.read_text(encoding="utf-8")).get(dashboard["uid"], {})
    dashboard_thresholds.apply(panels(dashboard), marks, settings.alerts.thresholds)
    _remove_unkept(dashboard, kept_seconds(settings))
    if settings.edges:
        dashboard["templating"]["list"] += list(_of_hosts(dashboard))
    return text if dashboard == json.loads(text) else json.dumps(dashboard, ensure_ascii=False)


def _of_hosts(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Filters with which a reader chooses a host: Grafana adds them to every query of their data source."""
    used = {
        target.get("datasource", {}).get("uid") for panel in panels(dashboard) for target in panel.get("targets", ())
    }
    for source, label in ((PROMETHEUS, "Hosts"), (LOKI, "Hosts of logs")):
        if source in used:
            yield {
                "type": "adhoc",
                "name": f"hosts_{source}",
                "label": label,
                "datasource": {"type": source, "uid": source},
                "filters": [],
                "hide": 0,
                "skipUrlSync": False,
            }


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


def _remove_unkept(dashboard: dict[str, Any], retention: Mapping[str, float]) -> None:
    """Removes comparisons that reach back further than `retention`, the seconds that each data source keeps. Prometheus would return nothing, and Loki an error in
    the panel."""
    for panel in panels(dashboard):
        for target in list(panel.get("targets", ())):
            expr, source = target.get("expr", ""), target.get("datasource", {}).get("uid")
            if _OFFSET.search(expr) and reach_seconds(expr, dashboard) > retention.get(source, float("inf")):
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
    return name in SOURCES or name in BUILT_IN or name == long_term.UID or name.startswith("$")
