"""Your Caddy (2.6 and later), by its own page, which shows no certificates. Its requests are golden signals, and a page that does
not answer raises TargetDown."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope

_CADDY = f'job="{Job.CADDY_PAGE}"'


def rules(_scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="CaddyReloadFailed",
            severity="warning",
            wait="1m",
            expr=f"caddy_config_last_reload_successful{{{_CADDY}}} == 0",
            summary="{{ $labels.service }} has refused its new configuration",
            description="Caddy runs on with the configuration that it had before. After a restart it would not start with the "
            "new one.",
        ),
        Alert(
            name="CaddyUpstreamDown",
            severity="warning",
            wait="2m",
            expr=f"caddy_reverse_proxy_upstreams_healthy{{{_CADDY}}} == 0",
            summary="{{ $labels.upstream }} behind {{ $labels.service }} fails its health check",
            description="Caddy sends it no traffic. The other upstreams carry its share; if there is none, clients get errors.",
        ),
    )
