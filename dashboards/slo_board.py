"""The dashboard of service level objectives: what is left of each budget, how fast it burns, and what it went with."""

from string import ascii_uppercase

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.alerts import slo, slo_budgets
from dashboards import colours, panel_links, panels, tables, units
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel
from dashboards.queries import PromQL, top
from dashboards.tables import Column

CHOSEN = 'slo=~"$slo",service=~"$service"'
LINKS = panel_links.infrastructure_links()
SPENT = f"{slo_budgets.SPENT}{{{CHOSEN}}}"
TIMES = units.counted("x")
"""Unit of a burn rate."""
NEARLY = 0.75
"""Share of the budget from which on it is orange."""


def dashboard() -> Dashboard:
    return board(
        "slo",
        "Service level objectives",
        "What is left of each error budget, how fast it burns, and what it was spent with.",
        Row((spent_now(), objectives(), spent())),
        Row((burn_fast(), burn_slowly()), "Burn rate"),
        Row((failed(),), "What it was spent with"),
        variables=(
            choice("service", "Service", "The services to look at.", f"label_values({slo.OBJECTIVE}, service)"),
            choice("slo", "SLO", "The objectives to look at.", f"label_values({slo.OBJECTIVE}, slo)"),
        ),
        start="now-7d",
    )


def spent_now() -> AnyPanel:
    return panels.bar_gauge(
        "Budget spent",
        "Share of the error budget that failed requests have used up, over the window of each objective. At 100 % the objective is missed.",
        units.SHARE,
        PromQL(SPENT, "{{slo}}"),
        size=(8, 9),
        links=LINKS,
        steps=((0, colours.GOOD), (NEARLY, colours.WARNING), (1, colours.BAD)),
        maximum=1,
    )


def objectives() -> AnyPanel:
    """Every objective, also one that nothing counts: its row then ends with its window."""
    columns = (
        (slo_budgets.SPENT, "Spent", units.SHARE),
        (slo.OBJECTIVE, "Objective", units.SHARE),
        (slo_budgets.REQUESTS, "Requests", units.counted("requests")),
        (slo_budgets.ERRORS, "Failed", units.counted("requests")),
        (slo.burn(slo.FAST.long), f"Burn, {slo.FAST.long}", TIMES),
        (slo.burn(slo.RUNS_OUT.long), f"Burn, {slo.RUNS_OUT.long}", TIMES),
    )
    return tables.table(
        "Objectives",
        "One row for each objective, the one with the least budget left first. Requests and failed ones are those of its window. A burn rate of 1 spends the budget exactly within the window.",
        [PromQL(f"{series}{{{CHOSEN}}}", instant=True) for series, _, _ in columns],
        Column("slo", "SLO"),
        Column("service", "Service", width=110, link=panel_links.signals_link()),
        Column("sli", "Counts", width=80),
        Column("window", "Window", width=70),
        *(
            Column(f"Value #{ref}", title, unit=unit, width=72)
            for ref, (_, title, unit) in zip(ascii_uppercase, columns, strict=False)
        ),
        size=(16, 9),
        links=LINKS,
        sort_by="Spent",
    )


def spent() -> AnyPanel:
    return panels.timeseries(
        "Budget spent over time",
        "Where a line steps up, requests failed; deployments and new images are marked. Above the dashed line the objective is missed. A line falls when failures become older than the window.",
        units.SHARE,
        *top(SPENT, "slo", rest=False),
        size=(24, 10),
        links=LINKS,
        series_links=panel_links.series_links(),
        threshold=1,
    )


def burn_fast() -> AnyPanel:
    return _burn(slo.FAST, "At the dashed line an alert pages somebody, if the last five minutes are no better.")


def burn_slowly() -> AnyPanel:
    return _burn(slo.RUNS_OUT, "Above the dashed line the budget does not last, and a warning says so.")


def _burn(tier: slo.Tier, about: str) -> AnyPanel:
    return panels.timeseries(
        f"Burn rate over {tier.long}",
        f"How many times as fast as it may the budget is spent. {about}",
        TIMES,
        *top(f"{slo.burn(tier.long)}{{{CHOSEN}}}", "slo", rest=False),
        size=(12, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        threshold=tier.factor,
    )


def failed() -> AnyPanel:
    return panels.timeseries(
        "Failed requests per hour",
        "Requests, or tries of a probe or an exporter, that counted against the budget in the hour before.",
        units.counted("requests"),
        *top(f"{slo.errors(slo.FAST.long)}{{{CHOSEN}}}", "slo"),
        size=(24, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
    )
