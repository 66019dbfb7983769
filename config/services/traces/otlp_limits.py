"""Cuts data that applications send by OTLP to the limits of the stores, with statements of the transform processor.

Without this, one long text would affect everybody. Prometheus refuses a whole page if one label on it is too long, so
no application's metrics would arrive. Jaeger refuses a span with an attribute too long for a Badger key (65,000 bytes).
The collector then resends the request for ever, and all spans behind it wait. Loki refuses a record with too many bytes
of attributes. Searching for secrets takes a second of CPU per MiB, so the cuts come first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from config.services.traces import otlp_errors, otlp_names, otlp_numbers
from config.services.traces.otlp_masks import CONTEXTS, suspect
from config.settings.metrics import ScrapeLimits

KEY = 256
"""Attributes with names of this length or more are removed, if all attributes together exceed `Room.whole`. `Room.most`
counts it as bytes."""


@dataclass(frozen=True)
class Room:
    """Limits for the attributes of one object. Sizes are in bytes."""

    whole: int
    """Total size up to which attributes stay unchanged. Beyond it, each is cut to `value`, and only `count` are kept."""
    value: int
    count: int
    least: int | None = None
    """If they are longer than `whole` even then, each is cut to this."""

    @property
    def most(self) -> int:
        """Maximum size of the result."""
        return max(self.whole, self.count * ((self.least or self.value) + KEY))


TRACE = Room(whole=32 * 1024, value=4096, count=128)
"""An attribute of `whole` bytes still fits a Badger key. An SDK's default number of attributes (OpenTelemetry
specification, attribute limits) fits in one request to Jaeger."""
LOG: Mapping[str, Room] = {
    "resource": Room(whole=8 * 1024, value=1024, count=28, least=128),
    "scope": Room(whole=4 * 1024, value=256, count=8),
    "log": Room(whole=32 * 1024, value=4096, count=88, least=128),
}
"""Context → its limits in a record. A stack trace of some 200 frames stays whole."""
LOKI = {"size": 64 * 1024, "entries": 160}
"""Loki's limits for all fields of a record that are not labels. The size is Loki's default."""
IDENTITY = ("service.name", "service.instance.id")
"""Resource attributes that become the labels `service` and `instance`."""
PEERS = ("peer.service", "db.name", "db.system", "db.system.name")
"""Span attributes that give the service graph the name of an uninstrumented peer."""
_TEXTS = {
    "scope": ("name", "version"),
    "span": ("name", "status.message", "trace_state"),
    "spanevent": ("name",),
    "log": ("event_name", "severity_text"),
}
"""Context → its texts that are not attributes."""
SCOPE_LABELS = 4
"""Maximum number of attributes of a scope. Each becomes a label of its metrics."""
OTHER_LABELS = 9
"""Labels that are not attributes: name, job, instance, service, `le`, three for the scope, and one to spare."""


def labels(limits: ScrapeLimits) -> dict[str, Any]:
    """Transform processor that bounds the length and the number of labels in Prometheus."""
    length = limits.label_value_length
    characters = length // 4
    resource = _context("resource", *identity(limits))
    span = _context("span", _cut("span.name", characters), *(_cut_attribute("span", key, characters) for key in PEERS))
    scope = _context(
        "scope",
        *(_cut(f"scope.{name}", characters) for name in ("name", "version", "schema_url")),
        *_few("scope", length, SCOPE_LABELS),
    )
    room = max(1, limits.labels - OTHER_LABELS - SCOPE_LABELS)
    return {
        "error_mode": "ignore",
        "trace_statements": [resource, span],
        "metric_statements": [
            resource,
            scope,
            _context("metric", _cut("metric.name", characters)),
            _context("datapoint", *_few("datapoint", length, room)),
        ],
    }


def identity(limits: ScrapeLimits) -> list[str]:
    """Statements that cut a service's name and instance to the same length for Prometheus, Loki and Jaeger."""
    return [_cut_attribute("resource", key, limits.label_value_length // 4) for key in IDENTITY]


def received(line: int, own: str, names: Sequence[str]) -> dict[str, Any]:
    """Transform processor that runs before all others, and cuts nothing that would be stored.

    `line`: maximum size of a record's text in bytes. `own`: address of the stack's own sender. `names`: what no
    service of yours may be called.
    """
    parts = {
        "trace": [
            _context("resource", *otlp_names.of_resource(own, names)),
            _context("span", *otlp_names.of_span(), *otlp_errors.of_span()),
        ],
        "metric": [
            _context("resource", *otlp_names.of_resource(own, names)),
            *(_context(context, *otlp_names.of_attributes(context)) for context in ("resource", "datapoint")),
        ],
        "log": [
            _context("resource", *otlp_names.of_resource(own, names)),
            _context("log", *otlp_numbers.of_body(), *_body(line)),
        ],
    }
    groups = {
        f"{signal}_statements": [
            *parts[signal],
            *(_received(context, of_log=signal == "log") for context in contexts),
        ]
        for signal, contexts in CONTEXTS.items()
    }
    return {"error_mode": "silent", **groups}  # an error shows a number that JSON cannot represent


@cache
def _received(context: str, *, of_log: bool) -> dict[str, Any]:
    """Cached, so that all users share one object, which the file then contains once."""
    return _context(context, *_bounded(context, of_log=of_log))


def _bounded(context: str, *, of_log: bool) -> Iterator[str]:
    attributes, text = f"{context}.attributes", f'{context}.cache["attributes"]'
    yield from otlp_numbers.of_attributes(attributes, text)
    yield from (_cut(f"{context}.{name}", TRACE.value // 4) for name in _TEXTS.get(context, ()))
    room = LOG[context] if of_log else TRACE
    keep = IDENTITY if context == "resource" else ()
    if of_log:
        yield _limit(attributes, room.count, keep)
    few = (f'delete_matching_keys({attributes}, "^.{{{KEY}}}")', *_few(context, room.value, room.count, keep))
    yield from (f"{statement} where Len({text}) > {room.whole}" for statement in few)
    if room.least:
        yield f"truncate_all({attributes}, {room.least}) where Len(String({attributes})) > {room.whole}"
    yield from suspect(context, text)


def _body(length: int) -> Iterator[str]:
    """Cuts the text of a log record as Loki would, but so that it fits in one request."""
    yield f"set(log.body, Substring(log.body, 0, {length}, true)) where IsString(log.body) and Len(log.body) > {length}"
    text = "String(log.body)"
    yield f"set(log.body, Substring({text}, 0, {length}, true)) where not IsString(log.body) and Len({text}) > {length}"


def _context(name: str, *statements: str) -> dict[str, Any]:
    return {"context": name, "statements": list(statements)}


def _few(context: str, length: int, count: int, keep: tuple[str, ...] = ()) -> list[str]:
    """Statements that turn attributes into texts (a list becomes one in a label anyway), cut each to `length` bytes,
    and keep `count` of them."""
    attributes = f"{context}.attributes"
    return [f"stringify_all({attributes})", f"truncate_all({attributes}, {length})", _limit(attributes, count, keep)]


def _limit(attributes: str, count: int, keep: tuple[str, ...]) -> str:
    first = ", ".join(f'"{key}"' for key in keep)
    return f"limit({attributes}, {count}, [{first}])"


def _cut(path: str, characters: int) -> str:
    """Statement that cuts the text at `path` to `characters` if its bytes are more than four times as many: a character
    has at most four bytes, so such a text has at least that many characters."""
    return f"set({path}, Substring({path}, 0, {characters}, true)) where Len({path}) > {4 * characters}"


def _cut_attribute(context: str, key: str, characters: int) -> str:
    path = f'{context}.attributes["{key}"]'
    return _cut(path, characters).replace(" where ", f" where IsString({path}) and ")
