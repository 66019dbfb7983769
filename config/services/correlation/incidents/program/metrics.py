"""Evidence from Prometheus: how bad it is and since when, what got worse elsewhere, and which containers were replaced."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .asking import Inquiry
from .text import one_of, quoted

HOUR = 3600
STEP = 15
"""Seconds between two values, as many as between two scrapes by default."""
BEFORE = 600
"""Seconds before now in which an incident has begun, usually: what is older shows what is usual."""
RISE = 0.1
"""Part of the way from what is usual to the peak at which something counts as begun."""
AFTER = 60
"""Seconds. A container that was started that much later than what it caused was seen later, or is the consequence."""
START = 900
"""Seconds for which a start with the same image counts."""
KEPT = "6h"
"""How far back an image is looked for that was replaced."""
_WORSE = {"errors": 0.01, "p95": 0.05}
"""Least difference from an hour before that is told: a ratio, and seconds."""


@dataclass(frozen=True)
class Course:
    """One symptom of a service over the last hour."""

    worst: float
    """Its highest value in the last ten minutes."""
    began: float | None
    """When it left what is usual, in seconds since 1970; None if it has not."""


@dataclass(frozen=True)
class Change:
    """A container of a service was started, maybe with another image."""

    at: float
    service: str
    image: str
    before: str
    """The image that it replaced; empty if it is the same."""


def course(inquiry: Inquiry, symptom: str, service: str) -> Course | None:
    """How `symptom` (`errors` or `p95`) of a service went; None if nothing counts it.

    Raises:
        NoAnswerError: Prometheus does not tell.
    """
    query = f"max(({inquiry.rules.series[symptom]}{{service={quoted(service)}}}) >= 0)"
    period = {"start": inquiry.now - HOUR, "end": inquiry.now, "step": STEP}
    series = _result(inquiry.get("Prometheus", "/api/v1/query_range", query=query, **period))
    values = [(float(at), float(value)) for at, value in series[0]["values"]] if series else []
    return _judged(values, inquiry.now)


def _judged(values: list[tuple[float, float]], now: float) -> Course | None:
    recent = [value for at, value in values if at > now - BEFORE]
    if not recent:
        return None
    usual = statistics.median([value for at, value in values if at <= now - BEFORE] or [min(v for _, v in values)])
    worst = max(recent)
    bound = usual + RISE * (worst - usual)
    began = None
    for at, value in reversed(values):  # the end of it is in the course of the last minutes, not before them
        if value > bound:
            began = at
        elif began is not None:
            break
    return Course(worst, began if worst > usual else None)


def worse(inquiry: Inquiry, symptom: str) -> dict[str, float]:
    """Service → its value, of up to six services for which `symptom` is worse than an hour before; the worst first.

    Raises:
        NoAnswerError: Prometheus does not tell.
    """
    recorded = inquiry.rules.series[symptom]
    series = f"max by (service) ({recorded})"
    before = f"max by (service) (avg_over_time({recorded}[30m] offset 10m))"
    # What was not there before counts from zero.
    query = f"topk(6, {series} and ({series} - ({before} or {series} * 0) > {_WORSE[symptom]}))"
    found = {_label(one, "service"): float(one["value"][1]) for one in _instant(inquiry, query)}
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def changes(inquiry: Inquiry, services: Iterable[str]) -> list[Change]:
    """The last start of a container of each of `services`, the newest first.

    Raises:
        NoAnswerError: Prometheus does not tell.
    """
    series = f'container_start_time_seconds{{job="cadvisor",image!="",service=~{one_of(services)}}}'
    query = f"max by (service, image) (last_over_time({series}[{KEPT}]))"
    started: dict[str, list[tuple[float, str]]] = {}
    for one in _instant(inquiry, query):
        started.setdefault(_label(one, "service"), []).append((float(one["value"][1]), _label(one, "image")))
    found = []
    for service, images in started.items():
        (at, image), *older = sorted(images, reverse=True)
        found.append(Change(at, service, image, older[0][1] if older else ""))
    return sorted(found, key=lambda change: -change.at)


def cause(changes: Iterable[Change], service: str, began: float) -> Change | None:
    """The change that may have caused what began then in `service`.

    It is another image of the hour before, first of the service itself, then the last one; else a start of the service
    a quarter of an hour before.
    """

    def possible(change: Change) -> bool:
        since = began - (HOUR if change.before else START)
        return since <= change.at <= began + AFTER and bool(change.before or change.service == service)

    def weight(change: Change) -> tuple[bool, bool, float]:
        return bool(change.before), change.service == service, change.at

    return max(filter(possible, changes), key=weight, default=None)


def _instant(inquiry: Inquiry, query: str) -> list[dict[str, Any]]:
    return _result(inquiry.get("Prometheus", "/api/v1/query", query=query, time=inquiry.now))


def _result(answer: Any) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def _label(sample: dict[str, Any], name: str) -> str:
    return str(sample["metric"].get(name, ""))
