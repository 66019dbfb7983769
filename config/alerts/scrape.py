"""The scrapes themselves. A target that Prometheus cannot read raises no other alert, so this one matters most."""

from config.alerts.rule import Alert, Job, Rule, Watched
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_LIMITS = (
    "prometheus_target_scrapes_exceeded_sample_limit_total",
    "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "prometheus_target_scrape_pool_exceeded_label_limits_total",
    "prometheus_target_scrape_pool_exceeded_target_limit_total",
)
"""Counters of refused scrapes, one per limit. None names the target."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds
    return (_down(limits), *_missing(scope.watched), _slow(limits), _limit_hit(), _discovery_fails())


def _down(limits: Thresholds) -> Rule:
    # Applications have alerts of their own. Probes fail with the blackbox exporter, which is a target itself.
    return Alert(
        name="TargetDown",
        severity="critical",
        wait=limits.target_down,
        # Prometheus scrapes OTLP metrics in parts. Each part raises an alert of its own.
        expr='max by (job, instance, service) (up{job!~"application|probe"}) == 0',
        summary="{{ $labels.job }} at {{ $labels.instance }} does not answer",
        description="Prometheus cannot read this target. No alert that depends on its metrics can fire until it is "
        "back.",
    )


def _missing(watched: Watched) -> tuple[Rule, ...]:
    # Applications come and go with their containers.
    jobs = sorted(job for job in watched if job != Job.APPLICATION)
    if not jobs:
        return ()
    return (
        Alert(
            name="TargetMissing",
            severity="warning",
            service="{{ $labels.job }}",
            wait="5m",
            expr="\nor ".join(f'absent(up{{job="{job}"}})' for job in jobs),
            summary="Prometheus has no target for {{ $labels.job }}",
            description="The stack declares this job, but Prometheus does not even try to read it. Its scrape "
            "configuration does not match these rules.",
        ),
    )


def _slow(limits: Thresholds) -> Rule:
    return Alert(
        name="ScrapeSlow",
        severity="warning",
        wait="10m",
        expr=f"max by (job, instance, service) (scrape_duration_seconds) > {limits.scrape_duration}",
        summary="Scraping {{ $labels.job }} at {{ $labels.instance }} takes {{ $value | humanizeDuration }}",
        description="After the scrape timeout the target counts as down and its samples are lost. The exporter is slow, "
        "or the service that it reads, or the target serves too much.",
    )


def _limit_hit() -> Rule:
    return Alert(
        name="ScrapeLimitHit",
        severity="warning",
        expr="\nor ".join(f'increase({counter}{{job="prometheus"}}[10m]) > 0' for counter in _LIMITS),
        summary='Prometheus refused {{ printf "%.0f" $value }} scrapes in ten minutes because of a limit',
        description="A target serves more samples, labels or bytes than allowed, or a job has too many targets. "
        "Prometheus drops the whole scrape, not only the surplus.",
    )


def _discovery_fails() -> Rule:
    return Alert(
        name="ServiceDiscoveryFailing",
        severity="warning",
        wait="10m",
        expr="""
        sum by (job, instance, service, mechanism) (
          increase(prometheus_sd_refresh_failures_total{job="prometheus"}[5m])
        ) > 0
        """,
        summary="Prometheus cannot discover targets by {{ $labels.mechanism }}",
        description="Prometheus keeps the targets that it knew. It does not watch new containers, and moved ones look "
        "down. It finds containers through the socket proxy.",
    )
