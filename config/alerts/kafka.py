"""Kafka 3 and 4 with KRaft: by the JMX exporter's Java agent, as the names of its example for KRaft have them, and by
kafka_exporter 1.9, which knows the consumers. A node whose page does not answer raises TargetDown."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope

_KAFKA = f'job="{Job.KAFKA}"'
_BY = "by (job, service)"


def rules(scope: Scope) -> tuple[Rule, ...]:
    return (*_partitions(), *_nodes(), _consumers(scope.thresholds.kafka_lag))


def _partitions() -> tuple[Rule, ...]:
    return (
        # Each controller counts the partitions of the whole cluster.
        Alert(
            name="KafkaPartitionsOffline",
            severity="critical",
            wait="1m",
            expr=f"max {_BY} (kafka_controller_kafkacontroller_offlinepartitionscount{{{_KAFKA}}}) > 0",
            summary='{{ printf "%.0f" $value }} partitions of {{ $labels.service }} have no leader',
            description="No broker that has these partitions is there. Nobody can read or write them.",
        ),
        Alert(
            name="KafkaReplicasMissing",
            severity="critical",
            wait="1m",
            expr=f"sum {_BY} (kafka_server_replicamanager_underminisrpartitioncount{{{_KAFKA}}}) > 0",
            summary='{{ printf "%.0f" $value }} partitions of {{ $labels.service }} take no safe writes',
            description="They have fewer replicas in sync than min.insync.replicas asks for. Producers with acks=all get errors; "
            "others may lose what they write.",
        ),
        # A broker counts those that it leads; the exporter counts all.
        Alert(
            name="KafkaPartitionsUnderReplicated",
            severity="warning",
            wait="10m",
            expr=f"""
            sum {_BY} (kafka_server_replicamanager_underreplicatedpartitions{{{_KAFKA}}}) > 0
            or sum {_BY} (kafka_topic_partition_under_replicated_partition{{{_KAFKA}}}) > 0
            """,
            summary='{{ printf "%.0f" $value }} partitions of {{ $labels.service }} lack a replica',
            description="A broker is down, or too slow to follow. If another one fails, partitions have no leader, or lose data.",
        ),
    )


def _nodes() -> tuple[Rule, ...]:
    active = f"sum {_BY} (kafka_controller_kafkacontroller_activecontrollercount{{{_KAFKA}}})"
    return (
        # While a page does not answer, the active controller may be the one behind it: TargetDown tells that.
        Alert(
            name="KafkaControllerMissing",
            severity="critical",
            wait="2m",
            expr=f"{active} == 0 unless on (job, service) up{{{_KAFKA}}} == 0",
            summary="{{ $labels.service }} has no active controller",
            description="The controllers have no majority, or none has been elected. No partition gets another leader, and no "
            "topic can be made or changed.",
        ),
        Alert(
            name="KafkaDiskFailed",
            severity="critical",
            wait="1m",
            expr=f"kafka_log_logmanager_offlinelogdirectorycount{{{_KAFKA}}} > 0",
            summary='{{ $labels.instance }} of {{ $labels.service }} cannot use {{ printf "%.0f" $value }} of its folders',
            description="The broker could not write to a folder of log.dirs: its disk is full, broken or read-only. What is in "
            "it is served by other brokers only.",
        ),
    )


def _consumers(many: int) -> Alert:
    lag = f"kafka_consumergroup_lag_sum{{{_KAFKA}}}"
    return Alert(
        name="KafkaConsumersLag",
        severity="warning",
        wait="15m",
        expr=f"{lag} > {many}\nand deriv({lag}[15m]) > 0",
        summary='{{ $labels.consumergroup }} is {{ printf "%.0f" $value }} messages behind in {{ $labels.topic }}, and falls back',
        description="The group reads slower than producers write, or does not read at all. Messages that reach the topic's "
        "retention before are lost to it.",
    )
