"""Your HAProxy (2.6 and later, built-in metrics), not the stack's socket proxy, which is HAProxy too."""

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope

_DOWN = 'job="haproxy",state="DOWN"'


def rules(_scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="HaproxyBackendDown",
            severity="critical",
            wait="1m",
            expr=f"haproxy_backend_status{{{_DOWN}}} == 1",
            summary="Backend {{ $labels.proxy }} has no working server",
            description="HAProxy answers every request to this backend with 503.",
        ),
        Alert(
            name="HaproxyServerDown",
            severity="warning",
            wait="2m",
            expr=f"haproxy_server_status{{{_DOWN}}} == 1",
            summary="{{ $labels.server }} of backend {{ $labels.proxy }} fails its health check",
            description="HAProxy sends it no traffic. The other servers of the backend carry its share.",
        ),
    )
