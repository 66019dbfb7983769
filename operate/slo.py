"""`make slo`: what is left of each error budget, and the report of a month."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import typer
from docker import DockerClient
from rich.console import Console

from check import pages
from config.settings import Settings
from operate import slo_budgets, slo_report
from operate.slo_budgets import Ask, Budget
from operate.stack_file import Name, load_settings
from toolchain import engine_setup
from toolchain.report import ToolchainError, note

WIDTH = 200
"""Columns that the table may have. In a pipeline rich takes 80, and would cut names."""
DESPITE = Annotated[
    bool, typer.Option(envvar="DESPITE_BUDGET", help="Change the stack although an error budget is spent.")
]


def slo(
    stack: Name = "dev",
    report: Annotated[str, typer.Option(envvar="REPORT", help="A month, like 2026-11; empty: the budgets now.")] = "",
    form: Annotated[
        Literal["markdown", "csv"], typer.Option("--format", envvar="FORMAT", help="Of the report: markdown or csv.")
    ] = "markdown",
) -> None:
    """Prints the budgets now, and ends with exit code 1 if one is spent; or the report of a month."""
    settings = load_settings(stack)
    if not settings.slos:
        raise ToolchainError(f"{stack} has no SLOs", fix=f"slos in Pulumi.{stack}.yaml: docs/slos.md shows how")
    ask = asker(engine_setup.connect(settings.docker), settings)
    try:
        if report:
            _print_report(ask, settings, stack, report, form)
            return
        budgets = slo_budgets.now(ask, settings)
    except LookupError as error:
        raise ToolchainError(
            f"the budgets of {stack} are not known: {error}", fix=f"make check STACK={stack}"
        ) from None
    Console(highlight=False, width=WIDTH).print(slo_report.table(budgets))
    if any(budget.is_spent for budget in budgets):
        raise typer.Exit(1)


def _print_report(ask: Ask, settings: Settings, stack: str, month: str, form: str) -> None:
    try:
        begin, end = slo_budgets.month(month, datetime.now(UTC), settings.metrics.retention.time)
    except ValueError as error:
        raise ToolchainError(f"REPORT: {error}") from None
    budgets = slo_budgets.of_month(ask, settings, begin, end)
    print(slo_report.as_csv(budgets) if form == "csv" else slo_report.markdown(budgets, stack, begin, end), end="")


def asker(client: DockerClient, settings: Settings) -> Ask:
    """Asks the Prometheus of the stack, from inside its container."""

    def ask(path: str, parameters: Mapping[str, str]) -> Any:
        return pages.ask(client, settings, "prometheus", f"{path}?{urlencode(parameters)}")["data"]

    return ask


def spent(client: DockerClient, settings: Settings) -> list[Budget]:
    """The SLOs whose budget is spent. If Prometheus does not answer, a note says so, and the list is empty: an upgrade may be what
    mends it."""
    if not settings.slos:
        return []
    try:
        return [budget for budget in slo_budgets.now(asker(client, settings), settings) if budget.is_spent]
    except LookupError as error:
        note(f"error budgets are unknown, so they do not stop this: {error}")
        return []
