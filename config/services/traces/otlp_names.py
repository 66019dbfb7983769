"""Renames applications' labels and services whose names have a meaning for the stack.

The collector has one page for all applications, and Prometheus refuses a page with a duplicate label. The name of a
service is a label everywhere, and appears in notifications. (Names of metrics: `OWN_METRICS` in `config/services/metrics/scrape.py`.)
"""

import re
from collections.abc import Collection, Iterator, Sequence

from config.catalogue import SERVICES
from config.service_names import CHARACTERS, LENGTH
from config.services.traces.sampling import quoted

LABELS = "^(le|quantile|job|instance|service|exported_(?:job|instance|service)|otel_scope_.*|_name_)$"
"""Labels that Prometheus, its exporter or this stack's scrape config (`config/services/metrics/scrape.py`) sets."""
NO_UTF_8 = r"\x{FFFD}"
"""Go's expressions read an invalid byte as this character."""


LATER = frozenset({"long_term", "rollback_door"})
"""Services whose names applications may have had before the stack did: reserved only where the stack runs them."""


def reserved(running: Collection[str]) -> tuple[str, ...]:
    """Names that the alerts of a stack with these services watch. No line or series of an application may use one."""
    return ("host", *(service for service in SERVICES if service not in LATER or service in running))


def of_attributes(context: str) -> Iterator[str]:
    """Statements for a data point or a resource: `le` becomes `attribute_le`. If two keys would become the same label,
    the last one is kept."""
    attributes = f"{context}.attributes"
    if context == "datapoint":  # a resource needs keys with dots, such as `service.name`
        yield f'replace_all_patterns({attributes}, "key", "[^a-zA-Z0-9]+", "_")'
        yield f'replace_all_patterns({attributes}, "key", "^_?$", "attribute")'
    yield f'replace_all_patterns({attributes}, "key", {quoted(LABELS)}, "attribute_${{1}}")'
    yield f'replace_all_patterns({attributes}, "value", {quoted(NO_UTF_8)}, "?")'


def of_resource(own: str, names: Sequence[str]) -> Iterator[str]:
    """Statements that give a resource a valid `service.name`, the same in every store.

    Without a name, Jaeger would use its own, and spans would not be counted. Characters that a name may not have become
    `_`, and so do two slashes, which would begin an address. One of `names`, such as `loki`, becomes `application_loki`,
    unless it comes from `own`: the address of the one service of the stack that sends by OTLP.
    """
    name = 'resource.attributes["service.name"]'
    yield f"set({name}, String({name})) where not IsString({name})"
    yield f'set({name}, "unknown_service") where {name} == nil or {name} == ""'  # as in OpenTelemetry's SDKs
    yield f'replace_pattern({name}, {quoted(f"[^{CHARACTERS}]|//+")}, "_")'
    yield f'replace_pattern({name}, "^(.{{{LENGTH}}}).+$", "${{1}}")'
    not_own = f"not IsMatch(otelcol.client.addr, {quoted('^' + re.escape(own) + '(:|$)')})"
    yield f'replace_pattern({name}, {quoted("^(" + "|".join(names) + ")$")}, "application_${{1}}") where {not_own}'


def of_span() -> Iterator[str]:
    """Statements for a span's name, which is a label too."""
    yield f'replace_pattern(span.name, {quoted(NO_UTF_8)}, "?")'
