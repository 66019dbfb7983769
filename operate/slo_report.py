"""Error budgets as text: a table for a terminal, Markdown for people, CSV for programs."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from rich.table import Table

from config.images import without_digest
from operate.slo_budgets import Budget

SPENT, LEFT, UNKNOWN = "spent", "kept", "no data"

_CSV = (
    "slo", "service", "counts", "objective_percent", "achieved_percent", "requests", "failed", "allowed", "spent_ratio", "state",
    "data_ratio", "worst_day", "spent_on", "started_that_day",
)  # fmt: skip
_MARKDOWN = (
    "SLO", "service", "objective", "achieved", "requests", "failed", "budget spent", "state", "data", "worst day", "spent on",
    "started that day",
)  # fmt: skip


def table(budgets: Sequence[Budget]) -> Table:
    """The budgets now, for a terminal."""
    grid = Table(box=None, pad_edge=False)
    for title in ("SLO", "service", "counts", "objective", "window", "achieved", "failed", "may fail", "spent", ""):
        grid.add_column(title)
    for one in budgets:
        slo, state = one.indicator.slo, _state(one)
        colour = {SPENT: "bold red", UNKNOWN: "yellow"}.get(state, "green")
        numbers = (_percent(_achieved(one)), _count(one.failed), _count(one.allowed), _percent(one.spent, 0))
        grid.add_row(
            slo.name,
            one.indicator.service,
            slo.kind,
            f"{slo.objective:g} %",
            slo.window,
            *(numbers if one.requests else ("", "", "", "")),
            f"[{colour}]{state}[/]",
        )
    return grid


def markdown(budgets: Sequence[Budget], stack: str, begin: datetime, end: datetime) -> str:
    """The report of a month, the SLO with the least budget left first."""
    rows = [
        (
            one.indicator.slo.name,
            one.indicator.service,
            f"{one.indicator.slo.objective:g} %{f' within {one.indicator.slo.latency}' if one.indicator.slo.latency else ''}",
            _percent(_achieved(one)),
            _count(one.requests or 0),
            _count(one.failed),
            _percent(one.spent, 0),
            _state(one),
            _percent(one.covered, 0),
            _worst(one),
            f"{one.spent_on:%Y-%m-%d}" if one.spent_on else "",
            ", ".join(f"{_short(image)} at {at:%H:%M}" for image, at in one.started.items()),
        )
        for one in sorted(budgets, key=lambda one: -(one.spent or 0))
    ]
    missed = sum(_state(one) == SPENT for one in budgets)
    lines = [
        f"# Service level objectives of {stack}, {begin:%B %Y}",
        "",
        f"From {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC. {len(budgets)} objectives, {missed} missed.",
        "“Data” is the part of that time that something was counted in.",
        "",
        f"| {' | '.join(_MARKDOWN)} |",
        f"|{'---|' * len(_MARKDOWN)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def as_csv(budgets: Sequence[Budget]) -> str:
    """The same, one line for each SLO in the order of the settings, with a heading. Ratios are from 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV)
    for one in budgets:
        slo, achieved = one.indicator.slo, _achieved(one)
        writer.writerow(
            (
                slo.name,
                one.indicator.service,
                slo.kind,
                f"{slo.objective:g}",
                "" if achieved is None else f"{achieved * 100:.6f}",
                f"{one.requests or 0:.0f}",
                f"{one.failed:.0f}",
                f"{one.allowed:.2f}",
                "" if one.spent is None else f"{one.spent:.6f}",
                _state(one),
                f"{one.covered:.4f}",
                f"{one.worst_day:%Y-%m-%d}" if one.worst_day else "",
                f"{one.spent_on:%Y-%m-%d}" if one.spent_on else "",
                " ".join(one.started),
            )
        )
    return text.getvalue()


def _state(one: Budget) -> str:
    return UNKNOWN if one.requests is None else SPENT if one.is_spent else LEFT


def _achieved(one: Budget) -> float | None:
    return 1 - one.failed / one.requests if one.requests else None


def _worst(one: Budget) -> str:
    if (day := one.worst_day) is None:
        return ""
    return f"{day:%Y-%m-%d}, {_count(one.days[day])} failed"


def _short(image: str) -> str:
    """The image without its digest and its registry's path."""
    return without_digest(image).rpartition("/")[2]


def _count(number: float) -> str:
    return f"{number:,.1f}" if 0 < number < 10 else f"{number:,.0f}"  # noqa: PLR2004


def _percent(ratio: float | None, digits: int = 3) -> str:
    return "" if ratio is None else f"{ratio * 100:.{digits}f} %"
