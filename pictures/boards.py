"""The layout of a dashboard: its panels where Grafana puts them, and how much of it the first screen shows."""

from collections.abc import Iterator, Mapping
from typing import Any

from dashboards import colours
from pictures.svg import LINE, PALE, Drawing, shortened

COLUMN, ROW, GAP = 40, 15, 4
"""Pixels of a column and a row of the grid, and between panels."""
TITLE = 34
FIRST_SCREEN = 20
"""Rows of the grid in a window of 900 pixels, below Grafana's own bars."""
Place = tuple[float, float, float, float]


def layout(board: Mapping[str, Any]) -> str:
    """SVG of a dashboard. A closed row shows the number of its panels."""
    end = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    drawing = Drawing(24 * COLUMN, TITLE + end * ROW, f"The panels of the dashboard {board['title']}")
    drawing.text(6, 22, board["title"], size=16, bold=True)
    for panel in board["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * COLUMN + GAP / 2, TITLE + place["y"] * ROW + GAP / 2
        width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
        if panel["type"] == "row":
            closed = f" ({len(panel['panels'])} panels, a click opens them)" if panel["collapsed"] else ""
            drawing.text(
                x + 4, y + height - 1, f"{'▸' if closed else '▾'} {panel['title']}{closed}", size=11, colour=PALE
            )
            continue
        drawing.box(x, y, width, height, fill="#fafbfc")
        drawing.text(x + 6, y + 14, shortened(panel["title"], width - 12, 11), size=11, bold=True)
        for points, colour in _inside(panel, (x + 8, y + 22, width - 16, height - 30)):
            drawing.line(points, colour=colour, width=1.5)
    if end > FIRST_SCREEN:
        below = TITLE + FIRST_SCREEN * ROW
        drawing.line([(0, below), (24 * COLUMN, below)], colour=colours.VERMILION, dashed=True)
        drawing.text(
            24 * COLUMN - 6,
            below - 4,
            "a window of 1600 by 900 pixels shows this much",
            size=10,
            colour=colours.VERMILION,
            anchor="end",
        )
    return drawing.render()


def _inside(panel: Mapping[str, Any], place: Place) -> Iterator[tuple[list[tuple[float, float]], str]]:
    """Lines that remind of the kind of a panel."""
    x, y, width, height = place
    kind = panel["type"]
    if kind == "timeseries":
        for share, colour in ((0.35, colours.BLUE), (0.6, colours.ORANGE), (0.8, colours.GREEN)):
            waves = (0, 0.06, -0.04, 0.02, -0.12, -0.02, 0.05, 0)
            yield [(x + width * n / 7, y + height * (share + wave)) for n, wave in enumerate(waves)], colour
    elif kind == "stat" and panel["options"]["graphMode"] == "none":
        return
    elif kind == "stat":
        yield (
            [(x + width * n / 5, y + height * part) for n, part in enumerate((0.9, 0.8, 0.85, 0.7, 0.8, 0.75))],
            colours.BLUE,
        )
    elif kind == "bargauge":
        for n, share in enumerate((0.7, 0.5, 0.3)):
            yield [(x, y + height * (n + 0.5) / 3), (x + width * share, y + height * (n + 0.5) / 3)], colours.GREEN
    else:  # tables, lists, lines
        for n in range(1, int(height // 12) + 1):
            yield [(x, y + n * 12 - 4), (x + width, y + n * 12 - 4)], LINE
