"""A drawing of boxes, lines and texts, as SVG: text stays text, and the background is white on dark pages too."""

from collections.abc import Sequence
from xml.etree import ElementTree

FONT = "Helvetica, Arial, sans-serif"
INK, PALE, GREY, LINE = "#24292e", "#6a737d", "#999999", "#d0d7de"
LETTER = 0.56
"""Width of a usual letter of this font, as a part of its size."""


class Drawing:
    """A drawing. Its coordinates are pixels, from the upper left."""

    def __init__(self, width: int, height: int, title: str) -> None:
        size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
        self._root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
        ElementTree.SubElement(self._root, "title").text = title
        self.box(0, 0, width, height, fill="#ffffff", line="none")

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = "none", line: str = LINE) -> None:
        corner = "0" if line == "none" else "3"
        place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}", "rx": corner}
        ElementTree.SubElement(self._root, "rect", {**place, "fill": fill, "stroke": line})

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 12,
        colour: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """`y`: the baseline. `anchor`: `start`, `middle` or `end`, where `x` is."""
        place = {"x": f"{x:g}", "y": f"{y:g}", "font-size": str(size), "font-family": FONT, "fill": colour}
        if bold:
            place["font-weight"] = "bold"
        ElementTree.SubElement(self._root, "text", {**place, "text-anchor": anchor}).text = words

    def line(
        self, points: Sequence[tuple[float, float]], *, colour: str = PALE, width: float = 1.5, dashed: bool = False
    ) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        look = {"fill": "none", "stroke": colour, "stroke-width": f"{width:g}"}
        if dashed:
            look["stroke-dasharray"] = "6 4"
        ElementTree.SubElement(self._root, "polyline", {"points": path, **look})

    def arrow(self, *points: tuple[float, float], colour: str = PALE) -> None:
        """A line with a head at its last point. Its last part is level or upright."""
        self.line(points, colour=colour)
        (x0, y0), (x, y) = points[-2:]
        away = 7
        dx, dy = (away if x < x0 else -away if x > x0 else 0), (away if y < y0 else -away if y > y0 else 0)
        head = [(x, y), (x + dx - dy / 2, y + dy - dx / 2), (x + dx + dy / 2, y + dy + dx / 2)]
        path = " ".join(f"{a:g},{b:g}" for a, b in head)
        ElementTree.SubElement(self._root, "polygon", {"points": path, "fill": colour})

    def render(self) -> str:
        ElementTree.indent(self._root)
        return ElementTree.tostring(self._root, encoding="unicode") + "\n"


def shortened(words: str, width: float, size: int) -> str:
    """The part of a text that fits into this width."""
    letters = int(width / (size * LETTER))
    return words if len(words) <= letters else f"{words[: max(letters - 1, 0)].rstrip()}…"
