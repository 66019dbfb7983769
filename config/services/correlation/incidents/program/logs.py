"""Evidence from Loki: the newest error lines of services, their most frequent message, and the last deployment."""

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from .asking import Inquiry
from .text import one_line, one_of

_HOUR = 3600
READ = 100
"""Error lines of which the most frequent messages are counted."""
LENGTH = 300
"""Characters of a line in a message. Loki cuts it off, so a long line does not come here."""
_VARIABLE = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{12,}\b|\d+"
)
"""What differs between lines that mean the same: ids and numbers."""
_MESSAGES = ("message", "msg", "error", "err", "event")
"""Fields of a line in JSON that hold its message."""
_TRACE = re.compile(r"[0-9a-f]{16,32}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_DEPLOYMENTS = '{service="deployments"}'
_MONTH = 30 * 86400


@dataclass(frozen=True)
class Line:
    at: float
    """Seconds since 1970."""
    service: str
    text: str
    trace: str
    """Id of its trace; empty if it has none."""


@dataclass(frozen=True)
class Lines:
    newest: tuple[Line, ...] = ()
    frequent: tuple[tuple[str, int], ...] = ()
    """The most frequent messages, and how many of the lines say so."""
    read: int = 0
    """How many lines were looked at."""


def errors(inquiry: Inquiry, services: list[str]) -> Lines:
    """The error lines of `services`. If the first of them has some, those of the others are left out.

    Raises:
        NoAnswerError: Loki does not tell.
    """
    # The length is bounded where the lines are, and not by the bound of an answer.
    query = f'{{service=~{one_of(services)},level=~"error|fatal"}} | line_format "{{{{ trunc {LENGTH} __line__ }}}}"'
    lines = _asked(inquiry, query, inquiry.since, READ)
    of_first = [line for line in lines if line.service == services[0]]
    lines = of_first or lines
    counts = Counter(meaning(line.text) for line in lines)
    return Lines(tuple(lines[: inquiry.rules.lines]), tuple(counts.most_common(2)), len(lines))


def deployment(inquiry: Inquiry) -> Line | None:
    """The last deployment of the stack that changed something; None if there was none in the hour before, or since.

    Raises:
        NoAnswerError: Loki does not tell.
    """
    lines = _asked(inquiry, _DEPLOYMENTS, inquiry.since - _HOUR, 1)
    return lines[0] if lines else None


def commit_before(inquiry: Inquiry, last: Line) -> str:
    """The commit of the deployment before `last`; empty if it is not known, or the same.

    Raises:
        NoAnswerError: Loki does not tell.
    """
    lines = _asked(replace(inquiry, now=last.at), _DEPLOYMENTS, last.at - _MONTH, 1)
    before = _commit(lines[0].text) if lines else ""
    return before if before != _commit(last.text) else ""


def _commit(line: str) -> str:
    try:
        told = str(json.loads(line)["commit"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return told if _COMMIT.fullmatch(told) else ""


def message(line: str) -> str:
    """The message of a line: of JSON the field that holds it, else the line."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(told, dict):
        return line
    return next((text for name in _MESSAGES if isinstance(text := told.get(name), str)), line)


def meaning(line: str) -> str:
    """The message of a line with ``…`` in place of ids and numbers, by which lines that mean the same are counted."""
    return one_line(_VARIABLE.sub("…", message(line)), 160)


def _asked(inquiry: Inquiry, query: str, since: float, limit: int) -> list[Line]:
    """The newest lines first."""
    period = {"start": int(since * 1e9), "end": int(inquiry.now * 1e9), "direction": "backward", "limit": limit}
    answer = inquiry.get("Loki", "/loki/api/v1/query_range", query=query, **period)
    lines = [
        _line(stream["stream"], moment, text)
        for stream in answer["data"]["result"]
        for moment, text in (value[:2] for value in stream["values"])
    ]
    return sorted(lines, key=lambda line: -line.at)


def _line(labels: dict[str, Any], moment: str, text: str) -> Line:
    trace = str(labels.get("trace_id", ""))
    known = trace if _TRACE.fullmatch(trace) else ""
    return Line(int(moment) / 1e9, str(labels.get("service", "")), str(text), known)
