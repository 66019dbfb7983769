"""Alertmanager's metrics of itself (0.28 to 0.34)."""

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
            description="It keeps the old one: changed routes and receivers have no effect, and a restart would fail.",
        ),
        # The counter grows after the last retry, so a single failure is a lost alert. The sum drops the label `reason`: its values
        # changed in 0.34. Only with `notifications.receivers` there is a `receiver_name`.
        Alert(
            name="AlertmanagerNotificationsFailing",
            severity="critical",
            expr="""
            sum by (job, instance, service, integration, receiver_name) (
              increase(alertmanager_notifications_failed_total{job="alertmanager"}[15m])
            ) > 0
            """,
            summary="Alertmanager cannot deliver to {{ or $labels.receiver_name $labels.integration }}",
            description="Alerts that go through it are lost. The usual reason is a revoked webhook or key. A receiver of "
            "another kind still delivers this alert.",
        ),
    )
