"""What applications send by OTLP is cut to what those can take who keep it, as statements of the transform processor.

One text that is too long would be everybody's trouble. Prometheus refuses the whole page on which one label is, so nobody's
metrics would come through. Jaeger refuses a span with an attribute that is no key for Badger (65,000 bytes), which the
collector then sends again without end, with all that is in the same request, and nothing gets past it.
"""

from typing import Any

from config.settings import ScrapeLimits

VALUE = 4096
"""Bytes of one attribute of a trace, where all of them together are more than `WHOLE`."""
WHOLE = 32 * 1024
"""Bytes of all attributes of a span, an event or a resource. One as long as this is a key for Badger still."""
ATTRIBUTES = 128
"""Of a span, an event or a resource with more than `WHOLE`: so many as an SDK keeps by default (OpenTelemetry
specification, attribute limits). With `VALUE` they fit in one request to Jaeger."""
IDENTITY = ("service.name", "service.namespace", "service.instance.id")
"""Of a resource: they become the labels `service` and `instance`."""
PEERS = ("peer.service", "db.name", "db.system", "db.system.name")
"""Of a span: the service graph calls by them who sends no spans."""
SCOPE_LABELS = 4
"""Attributes of a scope, each of which is a label of its metrics."""
OTHER_LABELS = 9
"""Name, job, instance, service, `le`, and what names the scope (three): beside the attributes. One to spare."""


def labels(limits: ScrapeLimits) -> dict[str, Any]:
    """What becomes a label in Prometheus: at most as long as a label may be, and as many as there may be."""
    length = limits.label_value_length
    characters = length // 4
    resource = _context("resource", *(_cut_attribute("resource", key, characters) for key in IDENTITY))
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


def stored() -> dict[str, Any]:
    """What Jaeger makes keys of."""
    texts = {"scope": ("name", "version"), "span": ("status.message", "trace_state"), "spanevent": ("name",)}
    cut = [
        _context(context, *(_cut(f"{context}.{name}", VALUE // 4) for name in names))
        for context, names in texts.items()
    ]
    return {"error_mode": "ignore", "trace_statements": [*cut, *map(_whole, ("resource", "span", "spanevent"))]}


def body(length: int) -> str:
    """The text of a log record: as Loki would cut it, but that it fits in one request."""
    return f"set(log.body, Substring(log.body, 0, {length})) where IsString(log.body) and Len(log.body) > {length}"


def _context(name: str, *statements: str) -> dict[str, Any]:
    return {"context": name, "statements": list(statements)}


def _whole(context: str) -> dict[str, Any]:
    attributes = f"{context}.attributes"
    keys = f'delete_matching_keys({attributes}, "^.{{256}}")'
    small = _context(context, keys, *_few(context, VALUE, ATTRIBUTES, keep=IDENTITY if context == "resource" else ()))
    return {**small, "conditions": [f"Len(String({attributes})) > {WHOLE}"]}


def _few(context: str, length: int, count: int, keep: tuple[str, ...] = ()) -> list[str]:
    """Attributes are texts (a list is one in a label anyway), none longer than `length`, and no more than `count`."""
    attributes = f"{context}.attributes"
    first = ", ".join(f'"{key}"' for key in keep)
    return [
        f"stringify_all({attributes})",
        f"truncate_all({attributes}, {length})",
        f"limit({attributes}, {count}, [{first}])",
    ]


def _cut(path: str, characters: int) -> str:
    """Four bytes are the longest character: of a text with more bytes than four times `characters`, so many are there."""
    return f"set({path}, Substring({path}, 0, {characters}, true)) where Len({path}) > {4 * characters}"


def _cut_attribute(context: str, key: str, characters: int) -> str:
    path = f'{context}.attributes["{key}"]'
    return _cut(path, characters).replace(" where ", f" where IsString({path}) and ")
