"""Probes: requests to your services as a user would make them (blackbox_exporter 0.27, 0.28)."""

from dataclasses import replace

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope

_PROBE = 'job="probe"'
# The expiry of the longest-lasting chain that a client can verify. Other certificates that a server sends, such as an expired
# root for old clients, do no harm. If no chain was verified, the exporter reports year 1: then the earliest expiry of all counts.
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
        summary="The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}",
        description="Automatic renewal is late. After the expiry every client refuses to connect.",
    )
    return (
        Alert(
            name="ProbeFailing",
            severity="critical",
            wait="2m",
            expr=f"probe_success{{{_PROBE}}} == 0",
            summary="{{ $labels.probe }} fails: {{ $labels.instance }} does not answer as it should",
            description="From inside the stack's network the address cannot be reached, answers with an error, or has "
            "an invalid certificate.",
        ),
        Alert(
            name="ProbeSlow",
            severity="warning",
            wait="10m",
            expr=f"avg_over_time(probe_duration_seconds{{{_PROBE}}}[5m]) > {limits.probe_duration}",
            summary="{{ $labels.probe }} takes {{ $value | humanizeDuration }}",
            description="This is the time for name lookup, connection, TLS and answer together, on average over five "
            "minutes. Users wait as long.",
        ),
        # If the blackbox exporter itself is down, TargetDown fires once, instead of this for every probe.
        Alert(
            name="ProbeNotRunning",
            severity="warning",
            wait=limits.target_down,
            expr=f'up{{{_PROBE}}} == 0 unless on () up{{job="blackbox_exporter"}} == 0',
            summary="Probe {{ $labels.probe }} does not run",
            description="The blackbox exporter runs but refuses this probe, so nobody knows whether the address works. "
            "Usually it does not know the probe's module.",
        ),
        ends,
        replace(ends, severity="critical", wait="15m", expr=certificate(limits.certificate_critical)),
    )
