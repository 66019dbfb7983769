"""Alertmanager about itself (0.28 to 0.34)."""

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope


def rules(_scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="AlertmanagerReloadFailed",
            severity="warning",
            wait="5m",
            expr='alertmanager_config_last_reload_successful{job="alertmanager"} == 0',
            summary="Alertmanager has refused its new configuration",
            description="It goes on with the old one: changed routes and receivers are not in force, and a restart would "
            "fail.",
        ),
        # Counted after the last retry, so one is one too many. The label `reason` has other values from 0.34 on: it is summed away.
        Alert(
            name="AlertmanagerNotificationsFailing",
            severity="critical",
            expr="""
            sum by (job, instance, service, integration) (
              increase(alertmanager_notifications_failed_total{job="alertmanager"}[15m])
            ) > 0
            """,
            summary="Alertmanager cannot deliver through {{ $labels.integration }}",
            description="Alerts that go this way are lost. A revoked webhook or key is the usual reason; a receiver of "
            "another kind still brings this alert.",
        ),
    )
