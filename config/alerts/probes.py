"""Addresses tried from outside the services: what a user would see (blackbox_exporter 0.27, 0.28)."""

from dataclasses import replace

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope

_PROBE = 'job="probe"'
# Of the chain that lasts longest, among those that clients can verify: what a server sends beside it, such as an expired root
# for old clients, hinders nobody. Where none was verified the exporter says year 1, and the earliest of all must do.
_ENDS = f"(probe_ssl_last_chain_expiry_timestamp_seconds{{{_PROBE}}} > 0 or probe_ssl_earliest_cert_expiry{{{_PROBE}}})"


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds

    def certificate(within: str) -> str:
        return f"{_ENDS} - time() < {within}"

    ends = Alert(
        name="CertificateEndsSoon",
        severity="warning",
        wait="15m",
        expr=certificate(limits.certificate),
        summary="The certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
        description="Automatic renewal has not happened in time. After the end every client refuses to connect.",
    )
    return (
        Alert(
            name="ProbeFailing",
            severity="critical",
            wait="2m",
            expr=f"probe_success{{{_PROBE}}} == 0",
            summary="{{ $labels.probe }} fails: {{ $labels.instance }} does not answer as it should",
            description="From inside the stack's network the address cannot be reached, answers with an error, or has a "
            "certificate that is not valid.",
        ),
        Alert(
            name="ProbeSlow",
            severity="warning",
            wait="10m",
            expr=f"avg_over_time(probe_duration_seconds{{{_PROBE}}}[5m]) > {limits.probe_duration}",
            summary="{{ $labels.probe }} takes {{ $value | humanizeDuration }}",
            description="Name lookup, connecting, TLS and the answer together take this long, on average over five "
            "minutes. Users wait as long.",
        ),
        # Not TargetDown: when the blackbox exporter itself is down, that is one alert and not one per probe.
        Alert(
            name="ProbeNotRunning",
            severity="warning",
            wait=limits.target_down,
            expr=f'up{{{_PROBE}}} == 0 unless on () up{{job="blackbox_exporter"}} == 0',
            summary="{{ $labels.probe }} cannot be tried",
            description="The blackbox exporter runs but refuses this probe, so nobody knows whether the address works. "
            "Usually the module is unknown to it.",
        ),
        ends,
        replace(ends, severity="critical", wait="15m", expr=certificate(limits.certificate_critical)),
    )
