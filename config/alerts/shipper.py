"""The log shipper: Alloy (1.19, 1.20) or Promtail (3.5, 3.6). Both count the same things under different names."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_SHIPPERS = (Job.ALLOY, Job.PROMTAIL)

_NAMES = {
    "dropped": ("loki_write_dropped_entries_total", "promtail_dropped_entries_total"),
    "retries": ("loki_write_batch_retries_total", "promtail_batch_retries_total"),
    "fused": ("loki_process_dropped_lines_by_label_total", "logentry_dropped_lines_by_label_total"),
    "file_size": ("loki_source_file_file_bytes_total", "promtail_file_bytes_total"),
    "file_read": ("loki_source_file_read_bytes_total", "promtail_read_bytes_total"),
}
"""What is counted → its metric in Alloy and in Promtail."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    shippers = [shipper for shipper in _SHIPPERS if shipper in scope.watched]
    return _rules(scope.thresholds, shippers) if shippers else ()


def _either(shippers: list[Job], what: str, form: str) -> str:
    """The expression `form`, with the metric of each watched shipper in place of `%s`, joined by `or`."""
    series = [f'{name}{{job="{job}"}}' for job, name in zip(_SHIPPERS, _NAMES[what], strict=True) if job in shippers]
    return "\n  or ".join(form % one for one in series)


def _rules(limits: Thresholds, shippers: list[Job]) -> tuple[Rule, ...]:
    behind = "\n  or ".join(
        f'({size}{{job="{job}"}} - {read}{{job="{job}"}})'
        for job, size, read in zip(_SHIPPERS, _NAMES["file_size"], _NAMES["file_read"], strict=True)
        if job in shippers
    )
    return (
        Alert(
            name="LogShipperDropsLines",
            severity="warning",
            expr=f"""
            sum by (job, instance, service, reason) (
              {_either(shippers, "dropped", "increase(%s[15m])")}
            ) > 0
            """,
            summary='The log shipper has lost up to {{ printf "%.0f" $value }} lines in 15 minutes: {{ $labels.reason }}',
            description="Loki refused these lines for good, so the shipper has given up. It counts the whole batch even "
            "if Loki refused only part of it: LogLinesRefused and LogLinesLate have the exact number. Lines "
            "that the pipeline drops on purpose do not count.",
        ),
        Alert(
            name="LogShipperBehind",
            severity="warning",
            wait="10m",
            expr=f"""
            sum by (job, instance, service) (
              {_either(shippers, "retries", "increase(%s[5m])")}
            ) > 0
            or sum by (job, instance, service) (
              {behind}
            ) > {limits.log_backlog}
            """,
            summary="The log shipper falls behind: it sends less than is logged",
            description="Loki does not answer or accepts no more, so the shipper retries, or the shipper itself is "
            "short of CPU or memory. Lines come late. They are lost if their files are rotated before the "
            "shipper has read them.",
        ),
        Alert(
            name="LogFuseBlown",
            severity="info",
            wait=limits.log_fuse,
            expr=f"""
            sum by (job, instance, label_value) (
              {_either(shippers, "fused", "rate(%s[5m])")}
            ) > 0
            """,
            service="{{ $labels.label_value }}",
            summary='{{ $labels.label_value }} logs too much: {{ printf "%.0f" $value }} lines per second are dropped',
            description="Only lines of the levels debug and info are dropped. All warnings and errors arrive. Somebody "
            "has left debugging on, or the service is in a loop.",
        ),
        *(_unwell() if Job.ALLOY in shippers else ()),
    )


def _unwell() -> tuple[Rule, ...]:
    # Promtail needs no such alert: it restarts for new files, and does not start with files that it refuses.
    return (
        Alert(
            name="LogShipperUnwell",
            severity="warning",
            wait="5m",
            expr="""
            alloy_config_last_load_successful{job="alloy"} == 0
            or sum by (job, instance, service) (
              alloy_component_controller_running_components{job="alloy",health_type!="healthy"}
            ) > 0
            """,
            summary="The log shipper has refused its configuration, or a part of it does not run",
            description="It goes on with the parts that run. Some logs may not be read at all.",
        ),
    )
