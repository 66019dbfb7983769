"""Writes `docs/performance.md` and its plots from the saved figures."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import figures
from bench.anchors import ANCHORS, Anchor
from bench.figures import Record, Row
from bench.plots import PLOTS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
TITLES = {
    "actions": "what the user does",
    "memory": "container",
    "freshness": "from → to",
    "series": "load on Prometheus",
    "logs": "load on the shipper and Loki",
    "traces": "load on the collector",
    "containers": "containers on the host",
    "edges": "load on a centre",
    "slos": "rules of",
}
"""Part → heading of the first column: what its rows are about."""


@dataclass(frozen=True)
class Block:
    """The text between `<!-- name -->` and `<!-- end of name -->` in the page."""

    name: str
    text: str

    def put_into(self, page: str) -> str:
        begin, end = f"<!-- {self.name} -->", f"<!-- end of {self.name} -->"
        pattern = f"{re.escape(begin)}\n.*?{re.escape(end)}"
        if not re.search(pattern, page, re.DOTALL):
            raise ValueError(f"docs/performance.md has no place for {self.name}: {begin} and {end}, each on its line")
        return re.sub(pattern, lambda _: f"{begin}\n{self.text}\n{end}", page, flags=re.DOTALL)


def number(value: float) -> str:
    """A number with three significant digits, or from 100 on without decimals and with commas: `0.123`, `45.6`,
    `1,234`."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cell(row: Row) -> str:
    """The median, and the lowest and highest value if they differ: `12 (10 to 15)`."""
    least, most = row.spread
    spread = f" ({number(least)} to {number(most)})" if number(least) != number(most) else ""
    return number(row.median) + spread


def table(title: str, rows: Sequence[Row]) -> str:
    """A Markdown table with a row for each subject and a column for each figure."""
    columns = list(dict.fromkeys((row.figure, row.unit) for row in rows))
    by_column = {(row.subject, row.figure, row.unit): row for row in rows}
    headings = [title, *(f"{figure}, {unit}" if unit else figure for figure, unit in columns)]
    lines = [_line(headings), "|---|" + "---:|" * len(columns)]
    for subject in dict.fromkeys(row.subject for row in rows):
        cells = [by_column.get((subject, *column)) for column in columns]
        lines.append(_line([subject, *(cell(one) if one else "" for one in cells)]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def source(record: Record) -> str:
    """The commands, dates, machine and loads of the measurements."""
    commands = ", ".join(f"`{command}`" for command in dict.fromkeys(row.command for row in record.rows))
    dates = sorted({row.date for row in record.rows})
    loads = sorted({row.load for row in record.rows})
    machine = record.machine
    return (
        f"{commands}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}; {machine['cores']} cores, {machine['memory']}, "
        f"{machine['system']}, engine {machine['engine']}; load average {' to '.join(dict.fromkeys(map(number, (loads[0], loads[-1]))))} "
        f"at the end of a run."
    )


def comparison(anchors: Sequence[Anchor]) -> str:
    """The table of published figures and those measured here."""
    lines = [_line(["what", "published or promised", "here", "measured by"]), "|---|---|---|---|"]
    for anchor in anchors:
        row = figures.load(anchor.part).value(anchor.subject, anchor.figure)
        here = f"{cell(row)} {row.unit}".rstrip() if row else "not measured"
        remark = f"; {anchor.remark}" if anchor.remark else ""
        command = f"`{row.command}`" if row else ""
        lines.append(_line([anchor.what, f"{anchor.published} ({anchor.source})", f"{here}{remark}", command]))
    return "\n".join(lines)


def blocks() -> list[Block]:
    """All blocks of the page that this module writes."""
    result = [Block("comparison", comparison(ANCHORS))]
    for part, title in TITLES.items():
        record = figures.load(part)
        if record.rows:
            images = "\n".join(f"\n![{plot.title}](performance/{plot.file})" for plot in PLOTS if plot.part == part)
            result.append(Block(part, f"{table(title, record.rows)}\n\n{source(record)}{images}"))
    return result


def written(page: str) -> str:
    """Return `page` with every block made from the current figures.

    Raises:
        ValueError: the page has no place for a block.
    """
    for block in blocks():
        page = block.put_into(page)
    return page


def write() -> None:
    """Write the page and the plots."""
    for plot in PLOTS:
        record = figures.load(plot.part)
        if record.rows:
            plot.draw(record.rows, figures.FOLDER / plot.file)
    PAGE.write_text(written(PAGE.read_text()))
