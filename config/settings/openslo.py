"""Reads SLOs from files in OpenSLO's format (openslo.com, specification v1).

It reads documents of the kinds `SLO` and `SLI`, with a ratio of events or a threshold, over a rolling window. It ignores `Service`,
`DataSource` and `Alert…`, because the stack has its own. It refuses everything else: an SLO of which it reads only half would be
another SLO.
"""

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from config.settings.model import wrong_text
from config.settings.slos import Slo
from config.sizes import MIB

VERSION = "openslo/v1"
UNUSED = frozenset({"Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"})
LARGEST = MIB
"""Largest size of a file, in bytes."""

_WINDOW = re.compile(r"\[\s*\{\{\s*\.window\s*\}\}\s*\]")
"""Sloth's placeholder for the time that a rate is about."""
_COUNTER = re.compile(r"(sum\s*\(\s*)?([a-zA-Z_:][\w:]*(?:\s*\{[^{}]*\})?)(\s*\))?")
_COMPARED = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class OpenSloError(ValueError):
    """An error in an OpenSLO file: the file, the document, and the reason."""


def read(paths: Iterable[str], root: Path) -> list[Slo]:
    """The SLOs of files named relative to `root`, in their order.

    Raises:
        OpenSloError: a file is missing, or one of its documents cannot be read as it is meant.
    """
    documents = [(path, document) for path in paths for document in _documents(path, root)]
    indicators: dict[str, Mapping[str, Any]] = {}
    for path, document in documents:
        if document["kind"] == "SLI":
            with _inside(path, document):
                indicators[document["metadata"]["name"]] = _mapping(document, "spec")
    result: list[Slo] = []
    for path, document in documents:
        if document["kind"] == "SLO":
            with _inside(path, document):
                result += _slos(document, indicators)
    return result


@contextlib.contextmanager
def _inside(path: str, document: Mapping[str, Any]) -> Iterator[None]:
    """Puts file and document before the message of what is wrong in this block."""
    where = f"{path}: {document['metadata']['name']}"
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        key = "".join(f"{part}: " for part in first["loc"])
        raise OpenSloError(f"{where}: {key}{first['msg'].removeprefix('Value error, ')}") from None
    except OpenSloError as error:
        raise OpenSloError(f"{where}: {error}") from None


def _documents(path: str, root: Path) -> Iterator[dict[str, Any]]:
    file = root / path
    if not file.resolve().is_relative_to(root.resolve()):
        raise OpenSloError(f"{path}: is a link that leads out of the project: put the file itself there")
    try:
        if file.stat().st_size > LARGEST:
            raise OpenSloError(f"{path}: is larger than {LARGEST // MIB} MiB: split it")
        documents = [one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise OpenSloError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise OpenSloError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    each = (one for document in documents for one in (document if isinstance(document, list) else [document]))
    for number, document in enumerate(each, start=1):
        where = f"{path}: document {number}"
        if not isinstance(document, dict) or document.get("apiVersion") != VERSION:
            raise OpenSloError(f"{where}: is not apiVersion: {VERSION}, the only version that is read")
        if document.get("kind") not in UNUSED | {"SLO", "SLI"}:
            raise OpenSloError(f"{where}: kind: {document.get('kind')} is none of OpenSLO's: write SLO or SLI")
        if not isinstance(document.get("metadata"), dict) or not isinstance(document["metadata"].get("name"), str):
            raise OpenSloError(f"{where}: has no metadata.name")
        yield document


def _slos(document: Mapping[str, Any], indicators: Mapping[str, Mapping[str, Any]]) -> Iterator[Slo]:
    spec, name = _mapping(document, "spec"), document["metadata"]["name"]
    if (method := spec.get("budgetingMethod", "Occurrences")) != "Occurrences":
        raise OpenSloError(f"spec.budgetingMethod: {method} is not supported: write Occurrences")
    window, indicator = _window(spec), _indicator(spec, indicators)
    objectives = spec.get("objectives")
    if not isinstance(objectives, list) or not objectives:
        raise OpenSloError("spec.objectives: needs at least one")
    for number, objective in enumerate(objectives, start=1):
        if not isinstance(objective, dict):
            raise OpenSloError(f"spec.objectives: {number} is not a mapping of keys")
        if composite := {"indicator", "indicatorRef", "compositeWeight"} & objective.keys():
            raise OpenSloError(f"spec.objectives: {min(composite)}: a composite is not read: make an SLO of each part")
        yield Slo.model_validate(
            {
                "name": name if number == 1 else f"{name}-{number}",
                "service": spec.get("service"),
                "objective": _percent(objective),
                "window": window,
                **_counted(indicator, objective),
            }
        )


def _mapping(owner: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    result = owner.get(key)
    if not isinstance(result, dict):
        raise OpenSloError(f"{key}: is missing, or no mapping of keys")
    return result


def _window(spec: Mapping[str, Any]) -> str:
    windows = spec.get("timeWindow")
    if not isinstance(windows, list) or len(windows) != 1 or not isinstance(windows[0], dict):
        raise OpenSloError("spec.timeWindow: needs one window, e.g. [{duration: 30d, isRolling: true}]")
    if not windows[0].get("isRolling") or "calendar" in windows[0]:
        raise OpenSloError(
            "spec.timeWindow: only a rolling window is counted (isRolling: true); for calendar months use make slo REPORT="
        )
    duration = str(windows[0].get("duration", ""))
    if not re.fullmatch(r"[0-9]+[hdw]", duration):
        raise OpenSloError(f"spec.timeWindow: duration: {duration!r} has no fixed length: write it in days, like 30d")
    return duration


def _indicator(spec: Mapping[str, Any], indicators: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if reference := spec.get("indicatorRef"):
        if reference not in indicators:
            raise OpenSloError(f"spec.indicatorRef: no file of slo_files has an SLI called {reference}")
        return indicators[reference]
    return _mapping(_mapping(spec, "indicator"), "spec")


def _percent(objective: Mapping[str, Any]) -> float:
    ratio, percent = objective.get("target"), objective.get("targetPercent")
    if isinstance(ratio, int | float) and not isinstance(ratio, bool) and percent is None and math.isfinite(ratio):
        return round(ratio * 100, 9)
    if isinstance(percent, int | float) and not isinstance(percent, bool) and ratio is None:
        return float(percent)
    raise OpenSloError("spec.objectives: needs either target, like 0.999, or targetPercent, like 99.9")


def _counted(indicator: Mapping[str, Any], objective: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of an `Slo` that say what it counts."""
    if "thresholdMetric" in indicator:
        return _threshold(_mapping(indicator, "thresholdMetric"), objective)
    ratio = _mapping(indicator, "ratioMetric")
    if "raw" in ratio:
        raise OpenSloError(
            "ratioMetric.raw: is not read, because it does not say how many requests there were: write good and total"
        )
    kind = "good" if "good" in ratio else "bad"
    if not {"total", kind} <= ratio.keys():
        raise OpenSloError("ratioMetric: needs total, and good or bad")
    counter = ratio.get("counter", False)
    queries = {key: _query(_mapping(ratio, key), f"ratioMetric.{key}") for key in ("total", kind)}
    rates = {key: _rate(query, f"ratioMetric.{key}") if counter else query for key, query in queries.items()}
    return {"total": rates["total"], "good" if kind == "good" else "errors": rates[kind]}


_PATIENCE_SECONDS = 300
"""How long a threshold must be missed before an alert. An evaluation stands for a minute, and one of them is no incident."""


def _threshold(metric: Mapping[str, Any], objective: Mapping[str, Any]) -> dict[str, Any]:
    """Each second counts as an event, well if the comparison holds."""
    query, sign, value = (
        _query(metric, "thresholdMetric"),
        _COMPARED.get(str(objective.get("op"))),
        objective.get("value"),
    )
    if sign is None or not isinstance(value, int | float) or isinstance(value, bool):
        raise OpenSloError(f"spec.objectives: a threshold needs op ({', '.join(_COMPARED)}) and value, a number")
    good = f"({query}) {sign} bool {value}"
    return {"total": f"({query}) * 0 + 1", "good": good, "min_errors": _PATIENCE_SECONDS}


def _query(metric: Mapping[str, Any], where: str) -> str:
    source = _mapping(metric, "metricSource")
    if str(source.get("type", "Prometheus")).lower() != "prometheus":
        raise OpenSloError(
            f"{where}.metricSource.type: {source['type']} is not supported: write a query for Prometheus"
        )
    query = _mapping(source, "spec").get("query")
    if not isinstance(query, str) or not query.strip():
        raise OpenSloError(f"{where}.metricSource.spec.query: is missing")
    if "#" in query and "\n" in query.strip():
        raise OpenSloError(f"{where}.metricSource.spec.query: has a comment: leave it out")
    text = " ".join(_WINDOW.sub("[5m]", query).split())
    if wrong := wrong_text(text):
        raise OpenSloError(f"{where}.metricSource.spec.query: {wrong}")
    return text


def _rate(query: str, where: str) -> str:
    """Events per second of a counter: ``sum(jobs_total)`` → ``sum(rate(jobs_total[5m]))``."""
    counter = _COUNTER.fullmatch(query)
    if counter and bool(counter[1]) == bool(counter[3]):
        return f"sum(rate({counter[2].strip()}[5m]))"
    if re.search(r"\b(rate|increase|irate)\s*\(", query):
        return query
    raise OpenSloError(f"{where}: is neither a counter nor the sum of one: write its rate, and counter: false")
