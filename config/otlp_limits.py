"""What applications send by OTLP is cut to what those can take who keep it, as statements of the transform processor.

One text that is too long would be everybody's trouble. Prometheus refuses the whole page on which one label is, so nobody's
metrics would come through. Jaeger refuses a span with an attribute that is no key for Badger (65,000 bytes), which the
collector then sends again without end, with all that is in the same request, and nothing gets past it. Loki refuses a record
whose attributes are too long. And to look for secrets takes a second of CPU for each MiB, so all of this comes first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from config import otlp_errors, otlp_names, otlp_numbers
from config.otlp_masks import CONTEXTS, suspect
from config.settings.metrics import ScrapeLimits

KEY = 256
"""Bytes of an attribute's name, where it is looked at."""


@dataclass(frozen=True)
class Room:
    """For the attributes of one thing, in bytes."""

    whole: int
    """All attributes together may be this long. If they are longer, each is cut to `value`, and only `count` are kept."""
    value: int
    count: int
    least: int | None = None
    """Attributes that are longer than `whole` even then are cut to this."""

    @property
    def most(self) -> int:
        """What is left at most."""
        return max(self.whole, self.count * ((self.least or self.value) + KEY))


TRACE = Room(whole=32 * 1024, value=4096, count=128)
"""One attribute as long as all may be is a key for Badger still. So many as an SDK keeps by default (OpenTelemetry
specification, attribute limits) fit in one request to Jaeger."""
LOG: Mapping[str, Room] = {
    "resource": Room(whole=8 * 1024, value=1024, count=28, least=128),
    "scope": Room(whole=4 * 1024, value=256, count=8),
    "log": Room(whole=32 * 1024, value=4096, count=88, least=128),
}
"""A stack trace of some 200 frames stays whole."""
LOKI = {"size": 64 * 1024, "entries": 160}
"""What Loki is told to take of all that is not a label of one record; the first is its default."""
IDENTITY = ("service.name", "service.instance.id")
"""Of a resource: they become the labels `service` and `instance`."""
PEERS = ("peer.service", "db.name", "db.system", "db.system.name")
"""Of a span: the service graph calls by them who sends no spans."""
_TEXTS = {
    "scope": ("name", "version"),
    "span": ("name", "status.message", "trace_state"),
    "spanevent": ("name",),
    "log": ("event_name", "severity_text"),
}
"""Context → its texts that are no attributes."""
SCOPE_LABELS = 4
"""Attributes of a scope, each of which is a label of its metrics."""
OTHER_LABELS = 9
"""Name, job, instance, service, `le`, and what names the scope (three): beside the attributes. One to spare."""


def labels(limits: ScrapeLimits) -> dict[str, Any]:
    """What becomes a label in Prometheus: at most as long as a label may be, and as many as there may be."""
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
    """The name of a service as a label, the same in Prometheus, in Loki and in Jaeger."""
    return [_cut_attribute("resource", key, limits.label_value_length // 4) for key in IDENTITY]


def received(line: int, own: str) -> dict[str, Any]:
    """What stands before all others: nothing is lost by it that would be kept. `line`: bytes of the text of a record; `own`: the
    address of the stack's own sender."""
    parts = {
        "trace": [
            _context("resource", *otlp_names.of_resource(own)),
            _context("span", *otlp_names.of_span(), *otlp_errors.of_span()),
        ],
        "metric": [
            _context("resource", *otlp_names.of_resource(own)),
            *(_context(context, *otlp_names.of_attributes(context)) for context in ("resource", "datapoint")),
        ],
        "log": [
            _context("resource", *otlp_names.of_resource(own)),
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
    return {"error_mode": "silent", **groups}  # an error is how numbers are found that JSON does not know


@cache
def _received(context: str, *, of_log: bool) -> dict[str, Any]:
    """The same object for whoever shares it: the file has it once."""
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
    """The text of a log record: as Loki would cut it, but that it fits in one request."""
    yield f"set(log.body, Substring(log.body, 0, {length}, true)) where IsString(log.body) and Len(log.body) > {length}"
    text = "String(log.body)"
    yield f"set(log.body, Substring({text}, 0, {length}, true)) where not IsString(log.body) and Len({text}) > {length}"


def _context(name: str, *statements: str) -> dict[str, Any]:
    return {"context": name, "statements": list(statements)}


def _few(context: str, length: int, count: int, keep: tuple[str, ...] = ()) -> list[str]:
    """Attributes are texts (a list is one in a label anyway), none longer than `length`, and no more than `count`."""
    attributes = f"{context}.attributes"
    return [f"stringify_all({attributes})", f"truncate_all({attributes}, {length})", _limit(attributes, count, keep)]


def _limit(attributes: str, count: int, keep: tuple[str, ...]) -> str:
    first = ", ".join(f'"{key}"' for key in keep)
    return f"limit({attributes}, {count}, [{first}])"


def _cut(path: str, characters: int) -> str:
    """Four bytes are the longest character: of a text with more bytes than four times `characters`, so many are there."""
    return f"set({path}, Substring({path}, 0, {characters}, true)) where Len({path}) > {4 * characters}"


def _cut_attribute(context: str, key: str, characters: int) -> str:
    path = f'{context}.attributes["{key}"]'
    return _cut(path, characters).replace(" where ", f" where IsString({path}) and ")
