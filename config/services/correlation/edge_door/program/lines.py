"""Loki's push (pkg/push/push.proto of Loki): the streams of a request under an edge's name."""

import re
from collections.abc import Iterable

from .wire import LENGTH, BadRequestError, field, fields

_STREAMS, _LABELS, _ENTRIES = 1, 1, 2
"""Numbers of fields: `streams` of a request, `labels` and `entries` of a stream."""
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*"'
_SET = re.compile(rf"\{{(?:{_LABEL}(?:, {_LABEL})*)?\}}", re.DOTALL)
"""The labels of a stream as edges write them (`LabelSet.String` of Prometheus' common)."""
_EACH = re.compile(_LABEL, re.DOTALL)


def under(edge: str, request: bytes, kept: Iterable[str]) -> bytes:
    """The request with `edge` as the label `host` of all its streams, and besides it no labels but those that are `kept`.

    Raises:
        BadRequestError: it is no such request.
    """
    names = frozenset(kept)
    out: list[bytes] = []
    for number, kind, _, content, end in fields(request, 0, len(request)):
        if (number, kind) == (_STREAMS, LENGTH):
            out.append(field(_STREAMS, _stream(edge, request, content, end, names)))
    return b"".join(out)


def _stream(edge: str, data: bytes, at: int, end: int, kept: frozenset[str]) -> bytes:
    labels: str | None = None
    entries = []
    for number, kind, begin, content, stop in fields(data, at, end):
        if number == _LABELS and kind == LENGTH:
            if labels is not None:
                raise BadRequestError("a stream in it has its labels twice")
            labels = data[content:stop].decode(errors="replace")
        elif number == _ENTRIES:
            entries.append(data[begin:stop])
    return field(_LABELS, _labels(edge, labels or "", kept).encode()) + b"".join(entries)


def _labels(edge: str, labels: str, kept: frozenset[str]) -> str:
    if not _SET.fullmatch(labels):
        raise BadRequestError("the labels of a stream in it are none")
    pairs = (one.partition("=") for one in _EACH.findall(labels))
    found = {name: value for name, _, value in pairs if name in kept}
    return "{" + ", ".join(f"{name}={value}" for name, value in sorted({**found, "host": f'"{edge}"'}.items())) + "}"
