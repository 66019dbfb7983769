"""Prometheus' remote write, version 1 (prompb/remote.proto, prompb/types.proto): the series of a request under an edge's name."""

import re
from collections.abc import Callable

from .wire import LENGTH, BadRequestError, encoded, field, field_at, fields

_SERIES, _LABELS, _NAME, _VALUE = 1, 1, 1, 2
"""Numbers of fields: `timeseries` of a request, `labels` of a series, `name` and `value` of a label."""
_RECORDED = re.compile(rb"ALERTS|[^:]*:", re.ASCII)
"""Metrics that only rules create. An edge has none, and one that sends them all the same would mislead those of the centre."""

Admits = Callable[[bytes], bool]
"""Whether a series with these labels may come in."""


def under(edge: str, request: bytes, admits: Admits) -> tuple[bytes, int]:
    """The request with `edge` as the label `host` of all its series; and how many of them it had that were not admitted.

    Nothing but series stays: what Prometheus does not store of a request is left out.

    Raises:
        BadRequestError: it is no such request.
    """
    host = field(_LABELS, field(_NAME, b"host") + field(_VALUE, edge.encode()))
    out: list[bytes] = []
    refused = 0
    for number, kind, _, content, end in fields(request, 0, len(request)):
        if (number, kind) != (_SERIES, LENGTH):
            continue
        labels, rest, recorded = _parts(request, content, end)
        if recorded:
            continue
        if not admits(labels):
            refused += 1
            continue
        series = labels + host + rest
        out += (b"\x0a", encoded(len(series)), series)
    return b"".join(out), refused


def _parts(data: bytes, at: int, end: int) -> tuple[bytes, bytes, bool]:
    """The parts of one series: its labels without `host`, all its other fields, and whether its name is one that rules record."""
    labels, rest, recorded = [], [], False
    while at < end:
        begin = at
        number, kind, content, at = field_at(data, begin, end)
        if number != _LABELS:
            rest.append(data[begin:at])
            continue
        name, value = _label(data, content, at) if kind == LENGTH else (b"", b"")
        if name == b"host":
            continue
        if name == b"__name__" and _RECORDED.match(value):
            recorded = True
        labels.append(data[begin:at])
    return b"".join(labels), b"".join(rest), recorded


def _label(data: bytes, at: int, end: int) -> tuple[bytes, bytes]:
    """Name and value: one field each, as all writers have them. What else is there could be read in another way by others."""
    number, kind, content, stop = field_at(data, at, end)
    name, value = data[content:stop], b""
    right = (number, kind) == (_NAME, LENGTH)
    if stop < end:
        number, kind, content, stop = field_at(data, stop, end)
        value = data[content:stop]
        right = right and (number, kind, stop) == (_VALUE, LENGTH, end)
    if not right:
        raise BadRequestError("a label in it is more than a name and a value")
    return name, value
