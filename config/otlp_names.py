"""Names that mean something to Prometheus get another one where an application gives them to its own things.

What the collector shows is one page for all applications. A label that is there twice, or a metric called `up`, would be
everybody's trouble: Prometheus refuses the page, or believes that a target is down, and alerts are muted by that.
"""

from collections.abc import Iterator

from config.sampling import quoted

METRICS = "^[^a-zA-Z0-9]*(up|scrape[^a-zA-Z0-9].*|ALERTS.*)$"
"""Those that Prometheus makes itself, also as it writes them: what is no letter and no digit is `_` there."""
LABELS = "^(le|quantile|job|instance|service|exported_(?:job|instance|service)|otel_scope_.*|_name_)$"
"""Those that Prometheus, its exporter, or the scrape config of this stack (`config/scrape.py`) sets."""
NO_UTF_8 = r"\x{FFFD}"
"""What Go's expressions take a byte for that is no part of a character."""


def of_metric() -> Iterator[str]:
    """Statement that renames a metric: `up` becomes `application_up`."""
    yield f'replace_pattern(metric.name, {quoted(METRICS)}, "application_${{1}}")'


def of_attributes(context: str) -> Iterator[str]:
    """Statements for a data point or a resource: `le` becomes `attribute_le`. If two keys would become the same label, the
    last one is kept."""
    attributes = f"{context}.attributes"
    if context == "datapoint":  # a resource is known by keys with a dot
        yield f'replace_all_patterns({attributes}, "key", "[^a-zA-Z0-9]+", "_")'
        yield f'replace_all_patterns({attributes}, "key", "^_?$", "attribute")'
    yield f'replace_all_patterns({attributes}, "key", {quoted(LABELS)}, "attribute_${{1}}")'
    yield f'replace_all_patterns({attributes}, "value", {quoted(NO_UTF_8)}, "?")'


def of_resource() -> Iterator[str]:
    """One name of a service wherever it is stored; without it Jaeger has one of its own, and spans are not counted."""
    name = 'resource.attributes["service.name"]'
    yield f"set({name}, String({name})) where not IsString({name})"
    yield f'set({name}, "unknown_service") where {name} == nil or {name} == ""'  # as OpenTelemetry's SDKs do


def of_span() -> Iterator[str]:
    """Its name and that of its service are labels too."""
    yield f'replace_pattern(span.name, {quoted(NO_UTF_8)}, "?")'
