"""The error budget of each service level objective, over its own window."""

from config.alerts import slo_indicators
from config.alerts.rule import RecordingRule
from config.alerts.scope import Scope
from config.alerts.slo import OBJECTIVE, named
from config.alerts.slo_indicators import each

REQUESTS, ERRORS = "slo:requests:window", "slo:errors:window"
"""Requests in the window of the SLO, and failed ones."""
SPENT = "slo:budget:spent"
"""Share of the budget that is spent: 0 to 1, and above 1 the objective is missed."""


def rules(scope: Scope) -> tuple[RecordingRule, ...]:
    slos = slo_indicators.indicators(scope)
    if not slos:
        return ()
    requests = each({one.slo.name: one.requests(one.slo.window) for one in slos})
    failed = each({one.slo.name: one.errors(one.slo.window) for one in slos})
    return (
        RecordingRule(REQUESTS, named(requests)),
        RecordingRule(ERRORS, named(failed)),
        RecordingRule(SPENT, f"{ERRORS} / ({REQUESTS} > 0) / on (slo) group_left () (1 - {OBJECTIVE})"),
    )
