"""Elasticsearch, as elasticsearch_exporter 1.11 reports it."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_ES = 'job="elasticsearch_exporter"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (
        # The exporter has no metric for "down". It omits the health when it gets none.
        Alert(
            name="ElasticsearchDown",
            severity="critical",
            wait="2m",
            expr=f"up{{{_ES}}} == 1 unless on (instance) elasticsearch_cluster_health_status{{{_ES}}}",
            summary="{{ $labels.service }} does not answer the exporter",
            description="Elasticsearch is down, is still starting, or refuses the exporter.",
        ),
        # Yellow raises no alert: a single node is yellow as soon as an index wants a replica.
        Alert(
            name="ElasticsearchRed",
            severity="critical",
            wait="5m",
            expr=f"""
            max by (job, instance, service) (elasticsearch_cluster_health_status{{{_ES},color="red"}}) == 1
            """,
            summary="{{ $labels.service }} is red: some data is not available",
            description="At least one primary shard is not assigned. Searches miss its documents, and writes to it "
            "fail.",
        ),
        Alert(
            name="ElasticsearchReadOnly",
            severity="critical",
            wait="2m",
            expr=f"elasticsearch_indices_settings_stats_read_only_indices{{{_ES}}} > 0",
            summary='{{ printf "%.0f" $value }} indices of {{ $labels.service }} are read-only',
            description="Nothing can write to them. Elasticsearch makes every index read-only when its disk is 95 % "
            "full, and writable again when there is room.",
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
            description="Garbage collection takes more and more time. Then circuit breakers refuse requests.",
        ),
    )
