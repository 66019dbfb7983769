"""PHP-FPM 8.1 and later, by the status page of a pool. A pool that is down or stuck raises TargetDown."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope

_FPM = f'job="{Job.PHP_FPM}"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="PhpFpmRequestsWait",
            severity="warning",
            wait="2m",
            expr=f"phpfpm_listen_queue{{{_FPM}}} > 0",
            summary='{{ printf "%.0f" $value }} requests wait for a process of {{ $labels.service }}',
            description="All processes of the pool are busy. Users wait, and when the queue is full the web server answers with "
            "502 or 504.",
        ),
        Alert(
            name="PhpFpmChildrenExhausted",
            severity="warning",
            expr=f"increase(phpfpm_max_children_reached{{{_FPM}}}[15m]) >= 1",
            summary='{{ $labels.service }} has reached its limit of processes {{ printf "%.0f" $value }} times in 15 minutes',
            description="The pool needed more processes than pm.max_children allows. Requests wait while all are busy.",
        ),
        Alert(
            name="PhpFpmSlowRequests",
            severity="warning",
            expr=f"increase(phpfpm_slow_requests{{{_FPM}}}[15m]) >= {scope.thresholds.php_slow_requests}",
            summary='{{ printf "%.0f" $value }} slow requests to {{ $labels.service }} in 15 minutes',
            description="They took longer than the pool's request_slowlog_timeout. Its slow log has the place in the code at "
            "which each of them was then.",
        ),
    )
