"""Names that mean something to others get another one where an application gives them to its own things.

What the collector shows is one page for all applications, and Prometheus refuses it where a label is there twice. The name of a
service is a label everywhere, and stands in what people are sent. (Names of metrics: `OWN_METRICS` in `config/scrape.py`.)
"""

import re
from collections.abc import Iterator

from config.catalogue import SERVICES
from config.sampling import quoted
from config.service_names import CHARACTERS, LENGTH

LABELS = "^(le|quantile|job|instance|service|exported_(?:job|instance|service)|otel_scope_.*|_name_)$"
"""Those that Prometheus, its exporter, or the scrape config of this stack (`config/scrape.py`) sets."""
NO_UTF_8 = r"\x{FFFD}"
"""What Go's expressions take a byte for that is no part of a character."""


STACK = ("host", *SERVICES)
"""What is called so is watched by this stack's own alerts, which nobody else's lines and series shall belong to."""


def of_attributes(context: str) -> Iterator[str]:
    """Statements for a data point or a resource: `le` becomes `attribute_le`. If two keys would become the same label, the
    last one is kept."""
    attributes = f"{context}.attributes"
    if context == "datapoint":  # a resource is known by keys with a dot
        yield f'replace_all_patterns({attributes}, "key", "[^a-zA-Z0-9]+", "_")'
        yield f'replace_all_patterns({attributes}, "key", "^_?$", "attribute")'
    yield f'replace_all_patterns({attributes}, "key", {quoted(LABELS)}, "attribute_${{1}}")'
    yield f'replace_all_patterns({attributes}, "value", {quoted(NO_UTF_8)}, "?")'


def of_resource(own: str) -> Iterator[str]:
    """`own`: the address of the one service of the stack that sends by OTLP, and may be called what it is.

    One name of a service wherever it is stored; without it Jaeger has one of its own, and spans are not counted. What is no
    character of a name becomes `_`, and so do two slashes, which would begin an address; `loki` becomes `application_loki`."""
    name = 'resource.attributes["service.name"]'
    yield f"set({name}, String({name})) where not IsString({name})"
    yield f'set({name}, "unknown_service") where {name} == nil or {name} == ""'  # as OpenTelemetry's SDKs do
    yield f'replace_pattern({name}, {quoted(f"[^{CHARACTERS}]|//+")}, "_")'
    yield f'replace_pattern({name}, "^(.{{{LENGTH}}}).+$", "${{1}}")'
    not_own = f"not IsMatch(otelcol.client.addr, {quoted('^' + re.escape(own) + '(:|$)')})"
    yield f'replace_pattern({name}, {quoted("^(" + "|".join(STACK) + ")$")}, "application_${{1}}") where {not_own}'


def of_span() -> Iterator[str]:
    """Its name and that of its service are labels too."""
    yield f'replace_pattern(span.name, {quoted(NO_UTF_8)}, "?")'
