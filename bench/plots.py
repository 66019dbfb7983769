"""Which figures are plotted, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.figures import Row

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: the file is small and searchable
    "svg.hashsalt": "bench",  # the same figures give the same file
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
COLOUR = "#0072b2"  # everyone can tell it from white and grey


@dataclass(frozen=True)
class Plot:
    """A plot of a part: a panel for each figure, over another figure of the same subjects."""

    part: str
    title: str
    over: str
    """The figure on the horizontal axis."""
    panels: tuple[str, ...]
    of: str = ""
    """Prefix of the names of its subjects."""

    @property
    def file(self) -> str:
        return f"{self.part}.svg"

    def points(self, rows: Sequence[Row], figure: str) -> list[tuple[float, float]]:
        """Points (x, y) of the subjects that have both figures, from left to right."""
        medians = {(row.subject, row.figure): row.median for row in rows}
        subjects = dict.fromkeys(row.subject for row in rows)
        return sorted(
            (medians[subject, self.over], medians[subject, figure])
            for subject in subjects
            if subject.startswith(self.of) and (subject, self.over) in medians and (subject, figure) in medians
        )

    def draw(self, rows: Sequence[Row], file: Path) -> None:
        """Write the plot to `file`, as SVG."""
        units = {row.figure: row.unit for row in rows}
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(3.2 * len(self.panels), 2.6), layout="constrained")
            for number, name in enumerate(self.panels, 1):
                axes = figure.add_subplot(1, len(self.panels), number)
                points = self.points(rows, name)
                axes.plot([x for x, _ in points], [y for _, y in points], marker="o", color=COLOUR)
                axes.set_xlabel(_named(self.over, units), fontsize=8)
                axes.set_title(_named(name, units), fontsize=9)
                axes.set_ylim(bottom=0)
                axes.set_xlim(left=0)
                axes.tick_params(labelsize=7)
            figure.savefig(file, format="svg", metadata={"Date": None})


def _named(figure: str, units: dict[str, str]) -> str:
    unit = units.get(figure)
    return f"{figure}, {unit}" if unit else figure


PLOTS = (
    Plot(
        "series",
        "Prometheus by the number of active series",
        "active series",
        ("memory", "CPU", "overview dashboard"),
    ),
    Plot("containers", "by the number of containers", "more containers", ("cadvisor CPU", "cadvisor memory", "series")),
    Plot(
        "logs",
        "Alloy and Loki by the volume of logs",
        "arrived",
        ("shipper CPU", "shipper memory", "Loki memory"),
        of="alloy",
    ),
    Plot("traces", "collector by the rate of spans", "received", ("CPU", "memory", "Jaeger memory")),
    Plot(
        "edges", "a centre by the number of its edges", "edges", ("series", "all of these CPU", "all of these memory")
    ),
)
