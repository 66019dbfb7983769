"""Your services, by OpenTelemetry's HTTP server metrics such as `http_server_request_duration_seconds`.

Containers of one service share the label `service` and count as one.
"""

from config.alerts.rule import Alert, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_REQUESTS = "http_server_request_duration_seconds"
_UP = 'up{job="application"}'


def rules(scope: Scope) -> tuple[Rule, ...]:
    return _golden_signals() + _alive(scope.thresholds) + _answering(scope.thresholds)


def _golden_signals() -> tuple[Rule, ...]:
    # Recorded for the quantiles and the overview. With a hundred routes or more, a query on the buckets themselves takes
    # seconds, and more memory than Prometheus has on a small host (docs/performance.md).
    buckets = RecordingRule(
        f"service_le:{_REQUESTS}_bucket:rate5m",
        f'sum by (service, le) (rate({_REQUESTS}_bucket{{job="application"}}[5m]))',
    )
    native = RecordingRule(
        f"service:{_REQUESTS}:rate5m", f'sum by (service) (rate({_REQUESTS}{{job="application"}}[5m]))'
    )
    quantiles = tuple(
        RecordingRule(
            f"service:{_REQUESTS}:p{percent}_rate5m",
            f"""
            histogram_quantile({percent / 100:g}, {buckets.record})
            or histogram_quantile({percent / 100:g}, {native.record})
            """,
        )
        for percent in (50, 95, 99)
    )
    return (
        native,
        RecordingRule(
            "service:http_server_requests:rate5m",
            f"""
            sum by (service) (rate({_REQUESTS}_count{{job="application"}}[5m]))
            or histogram_count({native.record})
            """,
        ),
        # A service that never answered 5xx has no such series. Its error rate is zero, not unknown.
        RecordingRule(
            "service:http_server_errors:rate5m",
            f"""
            sum by (service) (
              rate({_REQUESTS}_count{{job="application",http_response_status_code=~"5.."}}[5m])
            )
            or sum by (service) (
              histogram_count(rate({_REQUESTS}{{job="application",http_response_status_code=~"5.."}}[5m]))
            )
            or service:http_server_requests:rate5m * 0
            """,
        ),
        RecordingRule(
            "service:http_server_errors:ratio_rate5m",
            "service:http_server_errors:rate5m / (service:http_server_requests:rate5m > 0)",
        ),
        buckets,
        *quantiles,
        RecordingRule(
            "service:http_server_active_requests:sum",
            'sum by (service) (http_server_active_requests{job="application"})',
        ),
    )


def _alive(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        Alert(
            name="ApplicationDown",
            severity="critical",
            wait=limits.target_down,
            expr=f"max by (service) ({_UP}) == 0",
            summary="{{ $labels.service }} does not answer",
            description="Prometheus cannot read any instance of this service. Its users very likely get errors. Its "
            "other alerts cannot fire until it is back.",
        ),
        Alert(
            name="ApplicationInstanceDown",
            severity="warning",
            wait=limits.target_down,
            expr=f"{_UP} == 0 and on (service) max by (service) ({_UP}) == 1",
            summary="{{ $labels.instance }} of {{ $labels.service }} does not answer",
            description="The other instances carry its load. If they fail too, the service is down.",
        ),
        # When a container is removed, its target and all its series go too, so no other rule can fire. A job that lives for a
        # few minutes is meant to end.
        Alert(
            name="ApplicationGone",
            severity="critical",
            wait=limits.target_down,
            expr=f"""
            count_over_time((max by (service) ({_UP}) == 1)[90m:1m]) >= 30
            and max by (service) (max_over_time({_UP}[1h])) == 1
            unless on (service) {_UP}
            """,
            summary="{{ $labels.service }} is gone: it was up within the last hour and is no longer a target",
            description="It had been up for at least half an hour. Its containers were removed, lost their scrape "
            "label, or left the network that Prometheus is in. If you did this on purpose, silence the "
            "alert: it ends one hour after the service was last up.",
        ),
    )


def _answering(limits: Thresholds) -> tuple[Rule, ...]:
    requests = "service:http_server_requests:rate5m"
    usual = f"avg_over_time({requests}[1h] offset 10m)"
    # A service whose requests come in bursts gets none in between.
    steady = f"quantile_over_time(0.1, {requests}[1h] offset 1h)"
    return (
        Alert(
            name="ApplicationErrorsHigh",
            severity="critical",
            wait="5m",
            expr=f"""
            service:http_server_errors:ratio_rate5m > {ratio(limits.error_ratio)}
            and {requests} > {limits.min_requests:g}
            """,
            summary="{{ $labels.service }} answers {{ $value | humanizePercentage }} of its requests with an error",
            description="Users see these errors. The service fails, or something that it needs.",
        ),
        Alert(
            name="ApplicationSlow",
            severity="warning",
            wait="10m",
            expr=f"""
            service:{_REQUESTS}:p95_rate5m > {limits.latency_p95}
            and {requests} > {limits.min_requests:g}
            """,
            summary="One in twenty requests to {{ $labels.service }} takes longer than {{ $value | humanizeDuration }}",
            description="The service is slow, or something that it waits for. Clients start to time out and to retry, "
            "which makes it worse.",
        ),
        Alert(
            name="ApplicationTrafficDropped",
            severity="warning",
            wait="10m",
            expr=f"""
            {requests} / ({usual} > {limits.min_requests:g}) < {ratio(limits.traffic_left)}
            and {steady} > {limits.min_requests:g}
            """,
            summary="{{ $labels.service }} gets {{ $value | humanizePercentage }} of its usual traffic",
            description="The service runs, but few requests reach it. Look at the load balancer, DNS, the certificate "
            "and the service in front of it. The comparison is with the hour before. Only services that got "
            "requests without a pause before that are judged.",
        ),
    )
