"""Traefik 3, by its own page, as the registry of 3.7.13 names its metrics. It counts no reload that failed. Its requests are
golden signals, and a page that does not answer raises TargetDown."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope

_TRAEFIK = f'job="{Job.TRAEFIK}"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits = scope.thresholds

    # After a renewal, both certificates may be told for a while. The one that Traefik makes for itself is trusted by nobody.
    time_left = f"""
        max by (job, instance, service, cn, sans) (
          traefik_tls_certs_not_after{{{_TRAEFIK},cn!="TRAEFIK DEFAULT CERT"}}
        ) - time()
        """
    expires = "The certificate of {{ $labels.cn }} in {{ $labels.service }} expires in {{ $value | humanizeDuration }}"
    up = f"traefik_service_server_up{{{_TRAEFIK}}}"
    return (
        Alert(
            name="TraefikServiceDown",
            severity="critical",
            wait="1m",
            expr=f"max by (job, instance, service, exported_service) ({up}) == 0",
            summary="{{ $labels.exported_service }} behind {{ $labels.service }} has no working server",
            description="Every server of this service fails Traefik's health check. Traefik answers its requests with 503.",
        ),
        Alert(
            name="TraefikServerDown",
            severity="warning",
            wait="2m",
            expr=f"{up} == 0",
            summary="{{ $labels.url }} of {{ $labels.exported_service }} fails its health check",
            description="Traefik sends it no traffic. The other servers of the service carry its share.",
        ),
        # Not a pair of one name: the critical one would mute the warning about another certificate of the same Traefik.
        Alert(
            name="TraefikCertificateExpires",
            severity="critical",
            wait="15m",
            expr=f"{time_left} < {limits.certificate_critical}",
            summary=expires,
            description="Automatic renewal has failed for weeks. After the expiry every client refuses to connect.",
        ),
        Alert(
            name="TraefikCertificateEndsSoon",
            severity="warning",
            wait="15m",
            expr=f"{time_left} < {limits.certificate} >= {limits.certificate_critical}",
            summary=expires,
            description="Automatic renewal is late. After the expiry every client refuses to connect.",
        ),
    )
