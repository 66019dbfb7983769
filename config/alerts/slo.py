"""Service level objectives: how fast each burns its error budget.

Windows, factors and severities are those of Google's workbook (The Site Reliability Workbook, chapter 5, "Alerting on SLOs",
table 5-8), for all SLOs. A factor is a rate: at 14.4 a budget of 30 days is spent within 50 hours.

The rules are few, whatever the number of SLOs: each gives one series for each SLO, with the labels `slo`, `service` and `sli`.
This group has the alerts that must come soon. `config/alerts/slo_days.py` and `config/alerts/slo_budgets.py` look further back, so they
are evaluated less often.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from config.alerts import slo_indicators
from config.alerts.rule import Alert, RecordingRule, Rule, Severity
from config.alerts.scope import Scope
from config.alerts.slo_indicators import COUNTED_ERRORS, COUNTED_REQUESTS, Indicator, each

OBJECTIVE = "slo:objective:ratio"
"""From 0 to 1. It also has the label `window`."""
LEAST = "slo:errors:least"
"""The setting `min_errors`."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One alert: the budget burns `factor` times as fast as it may, in the long window and still in the short one."""

    name: str
    severity: Severity
    factor: float
    long: str
    short: str
    description: str


FAST = Tier(
    "SloBudgetBurnsFast",
    "critical",
    14.4,
    "1h",
    "5m",
    "At this rate a budget of 30 days is spent in two days. So many requests fail that somebody should look at it now.",
)
BURNS = Tier(
    "SloBudgetBurns",
    "critical",
    6,
    "6h",
    "30m",
    "At this rate a budget of 30 days is spent in five days. It is less than an outage, and does not end by itself.",
)
SLOWLY = Tier(
    "SloBudgetBurnsSlowly",
    "warning",
    3,
    "1d",
    "2h",
    "At this rate a budget of 30 days is spent in ten days. It can wait for the morning.",
)
RUNS_OUT = Tier(
    "SloBudgetRunsOut",
    "warning",
    1,
    "3d",
    "6h",
    "If this goes on, the objective is missed. Nothing breaks today: plan a fix.",
)
TIERS = (FAST, BURNS, SLOWLY, RUNS_OUT)
"""The fastest first: each mutes those behind it, of the same SLO."""


def errors(window: str) -> str:
    """The recorded number of failed requests in `window`."""
    return f"slo:errors:sum{window}"


def burn(window: str) -> str:
    """The recorded burn rate over `window`. At 1 the budget is spent exactly at the end of the SLO's own window."""
    return f"slo:burn:rate{window}"


def rules(scope: Scope) -> tuple[Rule, ...]:
    slos = slo_indicators.indicators(scope)
    if not slos:
        return ()
    counted = {
        COUNTED_REQUESTS: each({one.slo.name: one.counted(failed=False) for one in slos}),
        COUNTED_ERRORS: each({one.slo.name: one.counted(failed=True) for one in slos}),
    }
    return (
        RecordingRule(OBJECTIVE, "\nor ".join(map(_objective, slos))),
        RecordingRule(LEAST, each({one.slo.name: f"vector({one.slo.min_errors})" for one in slos})),
        *(RecordingRule(record, expr) for record, expr in counted.items() if expr),
        *over(slos, FAST.short, BURNS.short, FAST.long, BURNS.long),
        alert(FAST),
        alert(BURNS),
    )


def _objective(one: Indicator) -> str:
    labels = {"slo": one.slo.name, "service": one.service, "sli": one.slo.kind, "window": one.slo.window}
    expr = f"vector({round(one.slo.objective / 100, 9)})"
    for label, value in labels.items():
        expr = f'label_replace({expr}, "{label}", "{value}", "", "")'
    return expr


def named(exprs: str) -> str:
    """`exprs`, with the labels `service` and `sli` beside `slo`."""
    return f"(\n{exprs}\n) * on (slo) group_left (service, sli) ({OBJECTIVE} ^ 0)"


def over(slos: Iterable[Indicator], *windows: str) -> tuple[RecordingRule, ...]:
    """Failed requests and burn rate of each window. Without requests there is no burn rate."""
    slos = tuple(slos)
    recorded: list[RecordingRule] = []
    for window in windows:
        failed = each({one.slo.name: one.errors(window) for one in slos})
        requests = each({one.slo.name: one.requests(window) for one in slos})
        recorded += [
            RecordingRule(errors(window), named(failed)),
            RecordingRule(
                burn(window),
                f"{errors(window)} / on (slo) group_left () ((\n{requests}\n) > 0) / on (slo) group_left () (1 - {OBJECTIVE})",
            ),
        ]
    return tuple(recorded)


def alert(tier: Tier) -> Alert:
    """The alert of a tier, for all SLOs."""
    return Alert(
        name=tier.name,
        severity=tier.severity,
        expr=f"""
        {burn(tier.long)} > {tier.factor:g}
        and on (slo) {burn(tier.short)} > {tier.factor:g}
        and on (slo) {errors(tier.long)} >= on (slo) {LEAST}
        """,
        summary=f'{{{{ $labels.slo }}}} burns its error budget {{{{ printf "%.1f" $value }}}} times as fast as it may, over {tier.long}',
        description=tier.description,
    )
