"""Reads and checks the dashboards: the project's, and your own.

Grafana refuses no dashboard: it only logs that it could not read one, or shows panels without data. So this module
checks everything that can be checked without Grafana.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from config.links import LOKI, PROMETHEUS
from config.services.correlation import dashboard_thresholds
from config.settings import Settings
from config.settings.loading import SettingsError
from config.settings.own_rules import must_be_inside
from config.settings.units import seconds
from config.yaml_text import one_spelling

OURS = Path(__file__).parents[3] / "dashboards" / "json"
THRESHOLDS = OURS.parent / "thresholds.json"
"""Says which numbers in the dashboards of OURS follow alert thresholds."""

SOURCES = ("prometheus", "loki", "jaeger", "alertmanager")
"""Uids of the data sources."""
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")  # what Grafana accepts
_RELATIVE = re.compile(r"now-(\d+[smhdw])")
_OFFSET = re.compile(r"\boffset\s+(\d+[smhdw])")
_RANGE = re.compile(r"\[(\d+[smhdw])\]")
BUILT_IN = ("grafana", "-- Grafana --", "-- Mixed --", "-- Dashboard --", "__expr__")


def read(settings: Settings, root: Path, *, stack_key: str) -> dict[str, str]:
    """Dashboards of a stack: uid → JSON text.

    The project's dashboards show the stack's thresholds, and no comparison with a past that the stack does not retain.
    Those of `grafana.dashboards` are paths relative to `root`, and stay unchanged. `stack_key` names that setting in
    messages.

    Raises:
        SettingsError: a file is missing or is not a dashboard, a query names an unknown data source, or two share a uid.
    """
    files = {f"{file.parent.name}/{file.name}": file for file in sorted(OURS.glob("*.json"))}
    files |= {f"{stack_key}: {path}": root / path for path in settings.grafana.dashboards}
    texts: dict[str, str] = {}
    for key, file in files.items():
        must_be_inside(OURS if file.parent == OURS else root, file, key)
        try:
            text = one_spelling(file.read_text(encoding="utf-8"))
            dashboard = json.loads(text)
        except OSError as error:
            raise SettingsError(f"{key}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{key}: is no JSON: {error}") from None
        for problem in _problems(dashboard, file.stem, texts):
            raise SettingsError(f"{key}: {problem}")
        texts[file.stem] = _for_stack(dashboard, text, settings) if file.parent == OURS else text
    return texts


def _for_stack(dashboard: dict[str, Any], text: str, settings: Settings) -> str:
    """One of the project's dashboards with the stack's thresholds and retention. Returns `text` if these change
    nothing."""
    marks = json.loads(THRESHOLDS.read_text(encoding="utf-8")).get(dashboard["uid"], {})
    dashboard_thresholds.apply(_panels(dashboard), marks, settings.alerts.thresholds)
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
    for panel in _panels(dashboard):
        for target in list(panel.get("targets", ())):
            expr, source = target.get("expr", ""), target.get("datasource", {}).get("uid")
            if _OFFSET.search(expr) and reach_seconds(expr, dashboard) > kept.get(source, float("inf")):
                panel["targets"].remove(target)


def _problems(dashboard: Any, stem: str, others: Iterable[str]) -> Iterator[str]:
    """Reasons why Grafana could not show this dashboard, or would show it changed."""
    if not isinstance(dashboard, dict) or not isinstance(dashboard.get("panels"), list):
        yield "is no dashboard: it has no panels. Export it from Grafana as JSON, not for sharing"
        return
    yield from _name_problems(dashboard.get("uid"), stem, others)
    if not dashboard.get("title"):
        yield "has no title"
    if dashboard.get("id") is not None:
        yield "has an id, which is that of another Grafana: remove it"
    if dashboard.get("__inputs"):
        yield "asks for inputs: export it without 'for sharing externally'"
    ids = [panel.get("id") for panel in _panels(dashboard)]
    if duplicates := {str(number) for number in ids if number is not None and ids.count(number) > 1}:
        yield f"two panels have the id {', '.join(sorted(duplicates))}"
    names = [variable.get("name") for variable in dashboard.get("templating", {}).get("list", [])]
    if "revision" in names:
        yield "has a variable called revision, which is reserved: choose another name"
    if unknown := unknown_sources(dashboard):
        yield f"asks the data source {', '.join(unknown)}: there are {', '.join(SOURCES)}"


def _name_problems(uid: Any, stem: str, others: Iterable[str]) -> Iterator[str]:
    if not _UID.fullmatch(stem):
        yield "its name is no uid: take letters, digits, - and _, at most 40"
    if uid != stem:
        yield f"its uid is {uid!r}: give the file that name, or the dashboard the uid {stem!r}"
    if stem in others:
        yield f"another dashboard has the uid {stem!r} too"


def unknown_sources(dashboard: dict[str, Any]) -> list[str]:
    """Data sources that the dashboard names and a stack does not have."""
    return sorted({name for name in _sources(dashboard) if not _known(name)})


def _panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, including those in collapsed rows."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


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
