"""The log shipper: Alloy (1.19, 1.20) or Promtail (3.5, 3.6), which count the same things by other names."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope
from config.alerts.thresholds import Thresholds

_SHIPPERS = (Job.ALLOY, Job.PROMTAIL)

_NAMES = {
    "dropped": ("loki_write_dropped_entries_total", "promtail_dropped_entries_total"),
    "retries": ("loki_write_batch_retries_total", "promtail_batch_retries_total"),
    "fused": ("loki_process_dropped_lines_by_label_total", "logentry_dropped_lines_by_label_total"),
    "file_size": ("loki_source_file_file_bytes_total", "promtail_file_bytes_total"),
    "file_read": ("loki_source_file_read_bytes_total", "promtail_read_bytes_total"),
}
"""What is counted → how each shipper calls it."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    shippers = [shipper for shipper in _SHIPPERS if shipper in scope.watched]
    return _rules(scope.thresholds, shippers) if shippers else ()


def _either(shippers: list[Job], what: str, form: str) -> str:
    """`form` of the metric, for whichever shippers are watched."""
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
            description="Loki would not take some or all of them and never will: the shipper has given up. It counts the whole batch "
            "where Loki refused a part; how many those were, LogLinesRefused or LogLinesLate says. What the pipeline drops on "
            "purpose is not among them.",
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
            summary="The log shipper cannot send as much as is logged",
            description="Loki does not answer or takes no more, and the shipper tries again and again, or its own CPU or "
            "memory is too small. Lines come late, and are lost when their files are rotated before they are read.",
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
            description="They are of the levels debug and info; warnings and errors all come through. Somebody has left "
            "debugging on, or the service is in a loop.",
        ),
        *(_unwell() if Job.ALLOY in shippers else ()),
    )


def _unwell() -> tuple[Rule, ...]:
    # Promtail restarts for new files, and does not start with files that it refuses.
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
            description="It goes on with what it has. Some logs may not be read at all.",
        ),
    )
