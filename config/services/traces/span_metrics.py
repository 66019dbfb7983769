"""The collector's connectors: between its pipelines, and from spans to metrics."""

from typing import Any

from config.settings import Settings
from config.settings.units import go_duration, seconds

BUCKETS = ("5ms", "10ms", "25ms", "50ms", "100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s")


def connectors(settings: Settings) -> dict[str, Any]:
    """The section `connectors` of the collector's file."""
    traces = settings.traces
    scrape = seconds(settings.metrics.scrape_interval)
    of_spans = {
        "histogram": {"unit": "s", "explicit": {"buckets": list(BUCKETS)}},
        "aggregation_cardinality_limit": traces.span_metrics.operations,
        "resource_metrics_cache_size": traces.span_metrics.services,
        "resource_metrics_key_attributes": ["service.name"],
        "series_expiration": "1h",  # otherwise a name that was used once would take its place for ever
    }
    own_name = "collector.instance.id"  # changes at each reload
    return {
        "forward/received": {},
        "forward/masked": {},
        "forward/counted": {},
        "forward/sampled": {},
        # Before sampling: rates and errors of all spans. After it: exemplars, whose traces are stored.
        "span_metrics": {
            "namespace": "traces.span.metrics",
            **of_spans,
            "exclude_dimensions": [own_name],
            "metrics_flush_interval": go_duration(scrape),
        },
        "span_metrics/kept": {
            "namespace": "traces.kept",
            **of_spans,
            "exclude_dimensions": [own_name, "span.name"],
            # The first exemplars of a series between two flushes, of any bucket. With few (the default is 5), fast
            # spans would take all places, and the slow ones that people look for would have none.
            "exemplars": {"enabled": True, "max_per_data_point": 500},
            # An exemplar lasts until the next flush, so it must not appear and disappear between two scrapes.
            "metrics_flush_interval": go_duration(2 * scrape),
        },
        "service_graph": {
            "latency_histogram_buckets": list(BUCKETS),
            # A database sends no spans. A call to one is recognised by the current attribute or its predecessor.
            "database_name_attributes": ["db.system.name", "db.system"],
            # Both spans of a call arrive within the time that a trace waits for its decision.
            "store": {"ttl": traces.sampling.decision_wait, "max_items": settings.memory_mib("otel_collector") * 10},
            "metrics_flush_interval": go_duration(scrape),
        },
    }
