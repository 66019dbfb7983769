"""Prometheus' metrics of itself: configuration, rules, storage and delivery to Alertmanager (3.13 to 3.16)."""

from config.alerts.rule import DISK_BUDGET_USED, Alert, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_SELF = 'job="prometheus"'

_STORAGE_FAILURES = (
    "prometheus_tsdb_compactions_failed_total",
    "prometheus_tsdb_checkpoint_creations_failed_total",
    "prometheus_tsdb_head_truncations_failed_total",
    "prometheus_tsdb_wal_truncations_failed_total",
    "prometheus_tsdb_wal_writes_failed_total",
    "prometheus_tsdb_reloads_failures_total",
)


def rules(scope: Scope) -> tuple[Rule, ...]:
    return (_watchdog(), *_evaluation(), *_storage(scope.thresholds), *_delivery())


def _watchdog() -> Rule:
    return Alert(
        name="Watchdog",
        severity="none",
        service="prometheus",
        expr="vector(1)",
        summary="Alerting works",
        description="This alert always fires. It goes to an outside monitor that raises the alarm when it stops coming: "
        "then the host, Prometheus, Alertmanager or the connection to the outside is down.",
    )


def _evaluation() -> tuple[Rule, ...]:
    return (
        Alert(
            name="PrometheusReloadFailed",
            severity="warning",
            wait="5m",
            expr=f"prometheus_config_last_reload_successful{{{_SELF}}} == 0",
            summary="Prometheus has refused its new configuration",
            description="It keeps the old one: changed targets and rules have no effect, and a restart would fail.",
        ),
        Alert(
            name="PrometheusRuleFailures",
            severity="critical",
            wait="5m",
            expr=f"""
            sum by (job, instance, service, rule_group) (
              increase(prometheus_rule_evaluation_failures_total{{{_SELF}}}[5m])
            ) > 0
            """,
            summary="Rules in {{ $labels.rule_group }} cannot be evaluated",
            description="An alert whose rule cannot be evaluated never fires, whatever happens.",
        ),
        Alert(
            name="PrometheusRulesLate",
            severity="warning",
            wait="10m",
            expr=f"""
            sum by (job, instance, service, rule_group) (
              increase(prometheus_rule_group_iterations_missed_total{{{_SELF}}}[5m])
            ) > 0
            """,
            summary='{{ $labels.rule_group }} has missed {{ printf "%.0f" $value }} evaluations in five minutes',
            description="Evaluating the group takes longer than the evaluation interval, so alerts come late. "
            "Prometheus is short of CPU, or a rule reads too many series.",
        ),
        # A minute without any rule is a fifth. This rule is evaluated again right after such a minute, and reports it then.
        Alert(
            name="PrometheusRulesStarved",
            severity="critical",
            wait="1m",
            expr=f"""
            {_iterations("missed_")} / ({_iterations("")} > 0) > 0.15
            """,
            summary="Prometheus has skipped {{ $value | humanizePercentage }} of all rule evaluations in five minutes",
            description="Meanwhile no alert rule is evaluated and no alert fires. Somebody runs more queries than the "
            "host can answer, or Prometheus is short of CPU or memory.",
        ),
    )


def _iterations(which: str) -> str:
    """Evaluations of all groups in five minutes. Missed ones count as due."""
    return f"sum by (job, instance, service) (increase(prometheus_rule_group_iterations_{which}total{{{_SELF}}}[5m]))"


def _storage(limits: Thresholds) -> tuple[Rule, ...]:
    age = f"(time() - prometheus_tsdb_lowest_timestamp_seconds{{{_SELF}}})"
    wanted = f"(prometheus_tsdb_retention_limit_seconds{{{_SELF}}} > 0)"
    # Retention by size counts blocks, write-ahead log and head chunks (tsdb/db.go, BeyondSizeRetention).
    parts = ("storage_blocks_bytes", "wal_storage_size_bytes", "head_chunks_storage_size_bytes")
    stored = " + ".join(f"prometheus_tsdb_{part}{{{_SELF}}}" for part in parts)
    return (
        RecordingRule(DISK_BUDGET_USED, f"({stored}) / (prometheus_tsdb_retention_limit_bytes{{{_SELF}}} > 0)"),
        # Prometheus finds corruption at its start, when the counter is new: increase() alone would miss it.
        Alert(
            name="PrometheusStorageCorrupted",
            severity="warning",
            expr=f"""
            increase(prometheus_tsdb_wal_corruptions_total{{{_SELF}}}[1h]) > 0
            or (
              prometheus_tsdb_wal_corruptions_total{{{_SELF}}} > 0
              and on (instance) time() - process_start_time_seconds{{{_SELF}}} < 1h
            )
            """,
            summary="Prometheus found damage in its write-ahead log",
            description="It has cut off the part that it could not read, so samples before the last stop are missing. A "
            "killed container or a full disk causes this once, a failing disk again and again.",
        ),
        Alert(
            name="PrometheusStorageFailing",
            severity="critical",
            wait="15m",
            expr="\nor ".join(f"increase({counter}{{{_SELF}}}[10m]) > 0" for counter in _STORAGE_FAILURES),
            summary="Prometheus cannot write or compact its data",
            description="The disk is full, read-only or broken. Memory grows until Prometheus can write blocks again, "
            "and a crash loses what is in memory.",
        ),
        Alert(
            name="PrometheusDiskBudgetLow",
            severity="warning",
            wait="1h",
            expr=f"""
            {DISK_BUDGET_USED}{{{_SELF}}} > {ratio(limits.disk_budget)}
            and {age} < 0.9 * {wanted}
            """,
            summary="Prometheus has used {{ $value | humanizePercentage }} of its disk budget before its retention time",
            description="The budget will be used up before the oldest data reaches the retention time. Prometheus will "
            "then delete the oldest blocks early, without a further warning.",
        ),
        Alert(
            name="PrometheusRetentionCut",
            severity="warning",
            expr=f"""
            increase(prometheus_tsdb_size_retentions_total{{{_SELF}}}[1d]) > 0
            and {age} < 0.9 * {wanted}
            """,
            summary="Prometheus deletes data before its retention time: its disk budget is used up",
            description="Comparisons with last week or month have no data. Change the budget or the number of series.",
        ),
        Alert(
            name="PrometheusTooManySeries",
            severity="warning",
            wait="15m",
            expr=f"prometheus_tsdb_head_series{{{_SELF}}} > {limits.series}",
            summary="Prometheus holds {{ $value | humanize }} series in memory",
            description="Memory grows with the number of series. At its memory limit Prometheus is killed. Usually one "
            "label of one application takes new values without end.",
        ),
    )


def _delivery() -> tuple[Rule, ...]:
    # Neither alert can be delivered while it is true. Both show in Prometheus and on dashboards. What people notice is that
    # the Watchdog stops coming.
    return (
        Alert(
            name="PrometheusNotificationsFailing",
            severity="critical",
            wait="10m",
            expr=f"""
            sum by (job, instance, service) (increase(prometheus_notifications_errors_total{{{_SELF}}}[5m])) > 0
            or sum by (job, instance, service) (increase(prometheus_notifications_dropped_total{{{_SELF}}}[5m])) > 0
            """,
            summary="Prometheus cannot send alerts to Alertmanager",
            description="Alerts fire, but nobody receives them. The Watchdog stops coming too.",
        ),
        Alert(
            name="PrometheusNoAlertmanager",
            severity="critical",
            wait="5m",
            expr=f"prometheus_notifications_alertmanagers_discovered{{{_SELF}}} < 1",
            summary="Prometheus knows no Alertmanager",
            description="Alerts fire, but nobody receives them. The Watchdog stops coming too.",
        ),
    )
