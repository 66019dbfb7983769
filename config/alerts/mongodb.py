"""MongoDB, as Percona's mongodb_exporter 0.47 reports it, with its own metric names (not the compatible ones)."""

from config.alerts.rule import Alert, Rule, ratio
from config.alerts.scope import Scope

_MONGO = 'job="mongodb_exporter"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds

    def connections(conn_type: str) -> str:
        return f"sum by (job, instance, service) (mongodb_ss_connections{{{_MONGO},conn_type{conn_type}}})"

    return (
        Alert(
            name="MongodbDown",
            severity="critical",
            wait="1m",
            expr=f"max by (job, instance, service) (mongodb_up{{{_MONGO}}}) == 0",
            summary="{{ $labels.service }} does not answer the exporter",
            description="MongoDB is down, or refuses the exporter. Every service that needs it fails.",
        ),
        Alert(
            name="MongodbConnectionsHigh",
            severity="warning",
            wait="5m",
            expr=f"""
            {connections('="current"')}
              / {connections('=~"current|available"')}
              > {ratio(limits.db_connections)}
            """,
            summary="{{ $labels.service }} has {{ $value | humanizePercentage }} of its connections in use",
            description="When all are in use, MongoDB refuses new connections and the services fail at once.",
        ),
    )
