"""Loki's metrics of itself and of the lines it receives (3.7). Alerts on the content of logs are in `config/services/logs/loki_rules.py`."""

from config.alerts.rule import DISK_BUDGET_USED, Alert, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.settings.logs import DISK_FULL, Logs
from config.settings.thresholds import Thresholds
from config.settings.units import seconds

_SELF = 'job="loki"'

_LATE = "greater_than_max_sample_age|too_far_behind|out_of_order"
"""Reasons why Loki refuses a line because of its time (pkg/validation/validate.go)."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (*_lines(limits), *_budget(limits, scope.settings.logs), *_storage(), *_service(), *_log_alerts())


def _lines(limits: Thresholds) -> tuple[Rule, ...]:
    # The counter appears with its first refusal, so increase() alone would miss a single one. `up`: Loki was scraped before.
    discarded = """
            sum by (job, instance, service, reason, policy) (
              increase(loki_discarded_samples_total{%(which)s}[15m]) > 0
              or (
                loki_discarded_samples_total{%(which)s}
                  unless loki_discarded_samples_total{%(which)s} offset 15m
                  and on (instance) up{job="loki"} offset 15m
              )
            ) > 0
            """
    limit = f'sum by (job, instance, service) (loki_overrides%s{{{_SELF},limit_name="max_global_streams_per_user"}})'
    return (
        Alert(
            name="LogLinesRefused",
            severity="warning",
            expr=discarded % {"which": f'{_SELF},reason!~"{_LATE}"'},
            summary='Loki has refused {{ printf "%.0f" $value }} lines in 15 minutes: {{ $labels.reason }}',
            description="They exceeded a limit and are lost. Lines that come by OTLP wait in the collector's queue if "
            "the limit is one of rate or streams.",
        ),
        Alert(
            name="LogLinesLate",
            severity="warning",
            expr=discarded % {"which": f'{_SELF},reason=~"{_LATE}"'},
            summary='Loki has refused {{ printf "%.0f" $value }} late lines in 15 minutes: {{ $labels.reason }}',
            description="They are lost. Their time is more than a week ago, or more than an hour before the newest line "
            "of their stream. The clock or the time zone of a service is wrong, or the shipper reads old "
            "files.",
        ),
        Alert(
            name="LokiStreamsHigh",
            severity="warning",
            wait="15m",
            expr=f"""
            sum by (job, instance, service) (loki_ingester_memory_streams{{{_SELF}}})
              / ({limit % ""} or {limit % "_defaults"})
              > {ratio(limits.log_streams)}
            """,
            summary="Loki uses {{ $value | humanizePercentage }} of its stream limit",
            description="At the limit Loki refuses lines of new streams that the shipper sends: those of a service that "
            "was not there before. Some label takes more values than it should.",
        ),
    )


def _budget(limits: Thresholds, logs: Logs) -> tuple[Rule, ...]:
    retention = seconds(logs.retention.longest)
    # Loki reports how much it writes, not how much it stores.
    will_be = f"sum by (job, instance, service) (rate(loki_ingester_chunk_stored_bytes_total{{{_SELF}}}[1d])) * {retention:.0f}"
    return (
        RecordingRule(DISK_BUDGET_USED, f"{will_be} / {int(logs.budget.disk)}"),
        Alert(
            name="LogIngestionOverBudget",
            severity="warning",
            expr=f"""
            sum by (job, instance, service) (increase(loki_distributor_bytes_received_total{{{_SELF}}}[1d]))
              > {int(logs.budget.per_day)}
            """,
            summary="Loki has received {{ $value | humanize }}B of logs in a day",
            description="This is more than the budget for a day. Loki refuses nothing because of it, but the disk fills "
            "sooner.",
        ),
        Alert(
            name="LogDiskBudgetLow",
            severity="warning",
            wait="1h",
            expr=f"{will_be} > {int(logs.budget.disk)} * {ratio(limits.disk_budget)}",
            summary="At the pace of the last day Loki's data will grow to {{ $value | humanize1024 }}B",
            description="This is close to its disk budget, or beyond. Loki deletes by age only, so it will not stop at "
            "the budget. The estimate uses the longest retention for every line and leaves out the index, "
            "which is small.",
        ),
    )


def _storage() -> tuple[Rule, ...]:
    return (
        Alert(
            name="LokiRetentionNotRunning",
            severity="warning",
            expr=f"""
            (
              time() - loki_compactor_apply_retention_last_successful_run_timestamp_seconds{{{_SELF}}} > 3h
              or
              time() - loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds{{{_SELF}}} > 3h
            )
            and on (instance) time() - process_start_time_seconds{{{_SELF}}} > 3h
            """,
            summary="Loki has not applied its retention for more than three hours",
            description="Old logs stay and the disk fills. Queries also get slower, because nothing compacts the index.",
        ),
        Alert(
            name="LokiDiskFull",
            severity="critical",
            expr=f"""
            loki_ingester_wal_disk_usage_percent{{{_SELF}}} >= {ratio(DISK_FULL)}
            or increase(loki_ingester_wal_disk_full_failures_total{{{_SELF}}}[10m]) > 0
            """,
            summary="Loki accepts no logs: its disk is full",
            description="The shipper remembers its position and sends the lines when there is room again, as long as "
            "their files still exist: Docker rotates them.",
        ),
        Alert(
            name="LokiFlushFailing",
            severity="critical",
            wait="15m",
            expr=f"increase(loki_ingester_chunks_flush_failures_total{{{_SELF}}}[10m]) > 0",
            summary="Loki cannot store its chunks",
            description="They stay in memory until it is at its limit. The disk is full or broken, or object storage does "
            "not answer or refuses the key.",
        ),
    )


def _service() -> tuple[Rule, ...]:
    requests = f"sum by (job, instance, service, route) (rate(loki_request_duration_seconds_count{{{_SELF}%s}}[5m]))"
    failed = ',status_code=~"5.."'
    return (
        Alert(
            name="LokiRequestsFailing",
            severity="warning",
            wait="10m",
            expr=f"""
            {requests % failed}
              / {requests % ""}
              > 0.1
            """,
            summary="Loki fails {{ $value | humanizePercentage }} of the requests for {{ $labels.route }}",
            description="Loki does not store or find lines because of an error of its own, not of the request.",
        ),
        Alert(
            name="LokiPanics",
            severity="warning",
            expr=f"sum by (job, instance, service) (increase(loki_panic_total{{{_SELF}}}[10m])) > 0",
            summary='Loki has panicked {{ printf "%.0f" $value }} times in ten minutes',
            description="Each panic cost one request. The others went on. This is a bug in Loki that some query or line "
            "triggers.",
        ),
        Alert(
            name="LokiReloadFailed",
            severity="warning",
            wait="5m",
            expr=f"""
            min by (job, instance, service) (
              loki_runtime_config_last_reload_successful{{{_SELF}}} or loki_ruler_config_last_reload_successful{{{_SELF}}}
            ) == 0
            """,
            summary="Loki has refused its new limits or log alerts",
            description="It keeps the old ones, and would not start with the new ones.",
        ),
    )


def _log_alerts() -> tuple[Rule, ...]:
    return (
        Alert(
            name="LokiRulesFailing",
            severity="critical",
            wait="5m",
            expr=f"""
            sum by (job, instance, service) (
              increase(loki_prometheus_rule_evaluation_failures_total{{{_SELF}}}[5m])
            ) > 0
            """,
            summary="Loki cannot evaluate log alerts",
            description="No alert fires for what services log.",
        ),
        Alert(
            name="LokiRulesLate",
            severity="warning",
            expr=f"""
            sum by (job, instance, service) (
              increase(loki_prometheus_rule_group_iterations_missed_total{{{_SELF}}}[15m])
            ) >= 3
            """,
            summary='Loki has skipped {{ printf "%.0f" $value }} evaluations of log alerts in 15 minutes',
            description="Log alerts come late. Somebody queries more lines than Loki can read beside its rules, or Loki "
            "is short of CPU.",
        ),
        Alert(
            name="LokiNotificationsFailing",
            severity="critical",
            wait="10m",
            expr=f"""
            sum by (job, instance, service) (increase(loki_prometheus_notifications_errors_total{{{_SELF}}}[5m])) > 0
            or sum by (job, instance, service) (increase(loki_prometheus_notifications_dropped_total{{{_SELF}}}[5m])) > 0
            or max by (job, instance, service) (
              loki_prometheus_notifications_alertmanagers_discovered{{{_SELF}}}
            ) < 1
            """,
            summary="Loki cannot send alerts to Alertmanager",
            description="Log alerts fire, but nobody receives them.",
        ),
    )
