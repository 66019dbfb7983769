"""VictoriaMetrics beside Prometheus (1.151, 1.152), which keeps a selection of series for a year and more."""

from config.alerts.rule import DISK_BUDGET_USED, Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope

_SELF = f'job="{Job.LONG_TERM}"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    store = scope.settings.metrics.long_term
    if store is None or not store.local:
        return ()
    stored = f"sum by (job, instance, service) (vm_data_size_bytes{{{_SELF}}})"
    return (
        RecordingRule(DISK_BUDGET_USED, f"{stored} / {int(store.disk)}"),
        Alert(
            name="LongTermDiskBudgetLow",
            severity="warning",
            wait="1h",
            expr=f"{stored} > {int(store.disk)} * {ratio(scope.thresholds.disk_budget)}",
            summary="Series that are kept for long take {{ $value | humanize1024 }}B of disk",
            description="This is close to their disk budget, or beyond. They are deleted by age only, so they may grow further.",
        ),
        Alert(
            name="LongTermReadOnly",
            severity="warning",
            wait="5m",
            expr=f"sum by (job, instance, service) (vm_storage_is_read_only{{{_SELF}}}) > 0",
            summary="The store for the long term takes nothing more: the disk is nearly full",
            description="It leaves one GiB of the disk free. Prometheus keeps what it cannot write there for two hours.",
        ),
        Alert(
            name="LongTermTooManySeries",
            severity="warning",
            expr=f"sum by (job, instance, service) (increase(vm_hourly_series_limit_rows_dropped_total{{{_SELF}}}[15m])) > 0",
            summary='The store for the long term has refused {{ printf "%.0f" $value }} samples: it has too many series',
            description="New series are refused until the next hour. Usually the names of services, or of their instances, contain "
            "something that changes all the time.",
        ),
    )
