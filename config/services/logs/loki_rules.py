"""Alerts on the content of logs. Loki evaluates them in LogQL and sends them to Alertmanager, as Prometheus does.

Write and document an alert as in `config/alerts/`. Its test cases are in `tests/rules/logs.logql.yml`.
"""

from typing import Any

from config.alerts import Alert, Group, Topic, as_yaml
from config.settings import Settings
from config.settings.thresholds import Thresholds
from config.settings.units import seconds

INTERVAL = "1m"
SLOW_INTERVAL = "5m"
"""Options of alerts that read more than the last few minutes."""

MANY_SERVICES = 100
"""Number of services for which one address may send logs by OTLP. With all levels these are 500 streams, a twentieth of
Loki's limit."""

# The last line of a process that crashes, or the kernel's line about it, in the usual languages.
_LAST_WORDS = (
    r"\bpanic: ",  # Go
    r"\bfatal error: ",
    r"panicked at ",  # Rust
    r"OutOfMemoryError",  # JVM
    r"\bMemoryError\b",  # Python
    r"heap out of memory",  # Node.js
    r"Out of memory: Killed process",  # Linux
    r"oom-kill:",
    r"segfault at ",
    r"[Ss]egmentation fault",
    r"SIGSEGV",
)

# These services log queries and rules, including this rule with its words.
_WATCHERS = "alertmanager|grafana|loki|prometheus"


def groups(settings: Settings) -> tuple[Group, ...]:
    """All log alerts."""
    limits = settings.alerts.thresholds
    return (_now(limits), _senders(), _silence(limits))


def _now(limits: Thresholds) -> Group:
    return Group(
        "logs",
        Topic("logs", traced=True),
        (
            Alert(
                name="LogErrorBurst",
                severity="warning",
                expr=f'sum by (service) (count_over_time({{level=~"error|fatal"}}[5m])) > {limits.log_errors}',
                summary='{{ $labels.service }} has logged {{ printf "%.0f" $value }} errors in five minutes',
                description="A working service logs fewer. It fails, or something that it needs.",
            ),
            Alert(
                name="LogLastWords",
                severity="warning",
                expr=f"""
                sum by (service) (count_over_time({{level="fatal"}}[10m])) > 0
                or
                sum by (service) (
                  count_over_time({{level=~"warn|error|unknown",service!~"{_WATCHERS}"}} |~ `{"|".join(_LAST_WORDS)}` [10m])
                ) > 0
                """,
                summary="{{ $labels.service }} has logged a panic, a crash or an out-of-memory error",
                description="A process has crashed, or is about to. Docker has probably restarted it by now, so nothing "
                "else may show it.",
            ),
            Alert(
                name="SocketProxyRefusesClient",
                severity="warning",
                service="socket_proxy",
                expr=r"""
                max by (client) (
                  max_over_time(
                    {service="socket_proxy",source="docker"}
                      |= "connections refused"
                      | regexp `client (?P<client>\S+): (?P<refused>\d+) connections refused`
                      | unwrap refused [10m]
                  )
                ) > 0
                """,
                summary="{{ $labels.client }} has reached its limit of connections to the socket proxy: "
                '{{ printf "%.0f" $value }} more were refused in a minute',
                description="It follows more logs than the proxy has room for, or it is compromised. Other clients are "
                "not affected. If it is the shipper, the logs of some containers are not read.",
            ),
        ),
        INTERVAL,
    )


def _senders() -> Group:
    return Group(
        "logs-senders",
        Topic("logs"),
        (
            Alert(
                name="OtlpSenderManyServices",
                severity="warning",
                service="otel_collector",
                expr=f"""
                count by (sender) (
                  sum by (sender, service) (count_over_time({{source="otlp"}} | sender!="" [10m]))
                ) > {MANY_SERVICES}
                """,
                summary='{{ $labels.sender }} has sent logs of {{ printf "%.0f" $value }} services in ten minutes',
                description="Each name is a stream of its own in Loki, and all senders of OTLP share one limit. At the "
                "limit, logs of new services wait in the collector, and so does all data behind them.",
            ),
        ),
        SLOW_INTERVAL,
    )


_HALF_AN_HOUR = 1800
"""Seconds. A service that logs steadily writes half of its lines in each half of the previous hour. A start with a
hundred lines, or a job that logs much and ends, falls into only one half."""


def _silence(limits: Thresholds) -> Group:
    # By source, because anybody can send logs by OTLP under a service's name. These must not hide a silent container.
    silent = int(seconds(limits.log_silence))
    before = [
        f'sum by (service, source) (count_over_time({{service=~".+"}}[30m] offset {ago}s)) >= {limits.log_steady / 2:g}'
        for ago in (silent, silent + _HALF_AN_HOUR)
    ]
    return Group(
        "logs-silence",
        Topic("logs", traced=True),
        (
            Alert(
                name="LogServiceSilent",
                severity="warning",
                expr=f"""
                max by (service) (
                  ({before[0]} and {before[1]})
                  unless
                  sum by (service, source) (count_over_time({{service=~".+"}}[{limits.log_silence}]))
                )
                """,
                summary="{{ $labels.service }} has stopped logging",
                description="It used to log steadily. It hangs, gets no work, was removed, or its lines no longer "
                "arrive. The alert ends by itself half an hour later, even if nothing has changed.",
            ),
        ),
        SLOW_INTERVAL,
    )


def rule_file(settings: Settings) -> dict[str, Any]:
    """Loki's rule file. Its alerts get the labels that Prometheus adds to its own alerts as external labels."""
    external = {"environment": settings.environment}
    for name, value in settings.metrics.external_labels.items():  # Loki would expand a template in a label
        external[name] = value.replace("{{", '{{ "{{" }}')
    rule_groups = [as_yaml(group, settings.addresses, by_host=bool(settings.edges)) for group in groups(settings)]
    for rule in (rule for group in rule_groups for rule in group["rules"]):
        rule["labels"] = {**external, **rule["labels"]}
    return {"groups": rule_groups}
