"""Service level objectives over days: budgets that burn slowly, and SLOs that nothing counts."""

from config.alerts import slo_indicators
from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope
from config.alerts.slo import OBJECTIVE, RUNS_OUT, SLOWLY, alert, errors, over

INTERVAL = "4m"
"""As long as possible, because 30 days have 172,800 tries of each probe. Queries see the latest value for five minutes."""


def interval(_: Scope) -> str:
    """How often this group and the group of the budgets are evaluated. Minutes make no difference to a day or more."""
    return INTERVAL


def rules(scope: Scope) -> tuple[Rule, ...]:
    slos = slo_indicators.indicators(scope)
    if not slos:
        return ()
    return (
        *over(slos, SLOWLY.short, SLOWLY.long, RUNS_OUT.long),
        alert(SLOWLY),
        alert(RUNS_OUT),
        # Over a day, because a service without requests at night may have no series then. One that is gone has alerts of its own.
        Alert(
            name="SloHasNoData",
            severity="warning",
            wait="1h",
            expr=f"group by (slo, service, sli) ({OBJECTIVE}) unless on (slo) {errors(SLOWLY.long)}",
            summary="Nothing counts {{ $labels.slo }}: there is no data of {{ $labels.service }} for it",
            description="For a day there has been no sample of what this SLO counts, so its other alerts cannot fire, and its "
            "budget is unknown.",
        ),
    )
