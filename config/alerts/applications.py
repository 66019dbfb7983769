"""Your services, by their golden signals.

Containers of one service share the label `service` and count as one.
"""

from config.alerts import golden_signals, response_times
from config.alerts.golden_signals import by_service
from config.alerts.job_sources import JOBS
from config.alerts.rule import Alert, Job, Rule, ratio
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_UP = 'up{job="application"}'
_NO_JOBS = f'source!~"{"|".join(dict.fromkeys(source.name for source in JOBS))}"'
"""A job may take as long as it does."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    recorded = golden_signals.rules(scope)
    alive = _alive(scope.thresholds) if Job.APPLICATION in scope.watched else ()
    return recorded + alive + (_answering(scope.thresholds) if recorded else ())


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
    requests = by_service(golden_signals.REQUESTS)
    usual = by_service(f"avg_over_time({golden_signals.REQUESTS}[1h] offset 10m)")
    # A service whose requests come in bursts gets none in between.
    steady = by_service(f"quantile_over_time(0.1, {golden_signals.REQUESTS}[1h] offset 1h)")
    return (
        Alert(
            name="ApplicationErrorsHigh",
            severity="critical",
            wait="5m",
            expr=f"""
            {by_service(golden_signals.ERROR_RATIO)} > {ratio(limits.error_ratio)}
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
            {by_service(f"{response_times.quantile(95)}{{{_NO_JOBS}}}")} > {limits.latency_p95}
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
