"""nginx, by its stub_status page (nginx exporter 0.11 to 1.5). The page has no status codes and no latency."""

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope

_NGINX = 'job="nginx_exporter"'


def rules(_scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="NginxDown",
            severity="critical",
            wait="1m",
            expr=f"nginx_up{{{_NGINX}}} == 0",
            summary="{{ $labels.service }} does not serve its status page",
            description="nginx is down, or its status page has moved. If nginx is down, nobody reaches any service "
            "behind it.",
        ),
        Alert(
            name="NginxDropsConnections",
            severity="warning",
            wait="5m",
            expr=f"""
            increase(nginx_connections_accepted{{{_NGINX}}}[5m]) - increase(nginx_connections_handled{{{_NGINX}}}[5m])
              > 1
            """,
            summary='{{ $labels.service }} dropped {{ printf "%.0f" $value }} connections in five minutes',
            description="nginx accepts connections and then closes them unserved, because it has reached its own limit: "
            "worker_connections, or open files.",
        ),
    )
