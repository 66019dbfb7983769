"""Evidence from Jaeger: a failed request, a slow one, and the service that is to blame for them."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .asking import Inquiry, TooLongError

_SERVICE_TAG = "observability.service"
"""Attribute of every span: the value of the label `service` of its service's logs and metrics."""
_ID = re.compile(r"[0-9a-f]{16,32}")
_DEEPEST = 500
"""Spans above a span. More of them is a circle."""


@dataclass(frozen=True, slots=True)
class Span:
    identifier: str
    parent: str
    """Empty for a root, or if the parent is not among the spans."""
    service: str
    operation: str
    took: float
    """Seconds."""
    failed: bool


@dataclass(frozen=True, slots=True)
class Trace:
    identifier: str
    at: float
    """Its beginning, in seconds since 1970."""
    spans: tuple[Span, ...]

    @property
    def root(self) -> Span:
        """The longest span without a parent."""
        return max((span for span in self.spans if not span.parent), key=lambda span: span.took, default=self.spans[0])

    @property
    def services(self) -> set[str]:
        return {span.service for span in self.spans}


def failing(inquiry: Inquiry, service: str) -> list[Trace]:
    """The newest traces of `service` in which a span failed.

    Raises:
        NoAnswerError: Jaeger does not tell.
    """
    found = _search(inquiry, service, tags=json.dumps({"error": "true"}))
    return [trace for trace in found if any(span.failed for span in trace.spans)]


def slow(inquiry: Inquiry, service: str) -> list[Trace]:
    """Traces of `service` that took long, the longest first.

    Raises:
        NoAnswerError: Jaeger does not tell.
    """
    found = _search(inquiry, service, minDuration=f"{max(1, round(inquiry.rules.slow * 1000))}ms")
    return sorted(found, key=lambda trace: -trace.root.took)


def origin(trace: Trace) -> Span | None:
    """The span in which a failure began: it failed, and none below it did. Of several the deepest. None if none failed."""
    failed = [span for span in trace.spans if span.failed]
    above = {span.parent for span in failed}
    parents = {span.identifier: span.parent for span in trace.spans}
    candidates = [span for span in failed if span.identifier not in above]
    return max(candidates, key=lambda span: _depth(span.identifier, parents), default=None)


def slowest(trace: Trace) -> Span:
    """The span that took longest without what is below it."""
    below = Counter[str]()
    for span in trace.spans:
        below[span.parent] += round(span.took * 1e6)
    return max(trace.spans, key=lambda span: span.took - below[span.identifier] / 1e6)


def blamed(services: Iterable[str]) -> str | None:
    """The service that is named most often."""
    counts = Counter(services).most_common(1)
    return counts[0][0] if counts else None


def _depth(identifier: str, parents: dict[str, str]) -> int:
    depth = 0
    while (identifier := parents.get(identifier, "")) and depth < _DEEPEST:
        depth += 1
    return depth


def _search(inquiry: Inquiry, service: str, **more: str) -> list[Trace]:
    period = {"start": int(inquiry.since * 1e6), "end": int(inquiry.now * 1e6), "service": service}
    try:
        answer = inquiry.get("Jaeger", "/api/traces", limit=inquiry.rules.traces, **period, **more)
    except TooLongError:
        answer = inquiry.get("Jaeger", "/api/traces", limit=1, **period, **more)
    return [_trace(told) for told in answer["data"] if told["spans"] and _ID.fullmatch(told["traceID"])]


def _trace(told: dict[str, Any]) -> Trace:
    there = {span["spanID"] for span in told["spans"]}
    spans = tuple(_span(span, told["processes"], there) for span in told["spans"])
    return Trace(told["traceID"], min(int(span["startTime"]) for span in told["spans"]) / 1e6, spans)


def _span(told: dict[str, Any], processes: dict[str, Any], there: set[str]) -> Span:
    process = processes[told["processID"]]
    tags = dict(_tags(process) | _tags(told))
    parents = [one["spanID"] for one in told.get("references") or [] if one["refType"] == "CHILD_OF"]
    return Span(
        identifier=str(told["spanID"]),
        parent=next((str(parent) for parent in parents if parent in there), ""),
        service=str(tags.get(_SERVICE_TAG) or process["serviceName"]),
        operation=str(told["operationName"]),
        took=int(told["duration"]) / 1e6,
        failed=str(tags.get("error", "")).lower() == "true",
    )


def _tags(told: dict[str, Any]) -> dict[str, Any]:
    return dict(_pairs(told.get("tags") or []))


def _pairs(tags: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for tag in tags:
        yield str(tag["key"]), tag["value"]
