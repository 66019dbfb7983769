"""Elasticsearch, by elasticsearch_exporter 1.11."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_ES = 'job="elasticsearch_exporter"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (
        # The exporter has no metric that says "down": it just serves no health when it gets none.
        Alert(
            name="ElasticsearchDown",
            severity="critical",
            wait="2m",
            expr=f"up{{{_ES}}} == 1 unless on (instance) elasticsearch_cluster_health_status{{{_ES}}}",
            summary="{{ $labels.service }} does not answer the exporter",
            description="Elasticsearch is down, still starting, or refuses the exporter.",
        ),
        # Yellow is what a single node always is as soon as an index wants a replica: no alert.
        Alert(
            name="ElasticsearchRed",
            severity="critical",
            wait="5m",
            expr=f"""
            max by (job, instance, service) (elasticsearch_cluster_health_status{{{_ES},color="red"}}) == 1
            """,
            summary="{{ $labels.service }} is red: some data is out of reach",
            description="At least one primary shard has no home. Searches miss its documents, and writing to it fails.",
        ),
        Alert(
            name="ElasticsearchReadOnly",
            severity="critical",
            wait="2m",
            expr=f"elasticsearch_indices_settings_stats_read_only_indices{{{_ES}}} > 0",
            summary='{{ printf "%.0f" $value }} indices of {{ $labels.service }} are read-only',
            description="Nothing can be written to them. Elasticsearch makes every index read-only when its disk is 95 % "
            "full, and takes that back by itself when there is room again.",
        ),
        Alert(
            name="ElasticsearchHeapHigh",
            severity="warning",
            wait="15m",
            expr=f"""
            max by (job, instance, service, name) (elasticsearch_jvm_memory_used_bytes{{{_ES},area="heap"}})
              / max by (job, instance, service, name) (elasticsearch_jvm_memory_max_bytes{{{_ES},area="heap"}})
              > {ratio(limits.elasticsearch_heap)}
            """,
            summary="{{ $labels.name }} uses {{ $value | humanizePercentage }} of its heap",
            description="Garbage collection takes more and more time, then circuit breakers refuse requests.",
        ),
    )
