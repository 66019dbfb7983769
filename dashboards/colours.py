"""The colours of all panels.

The palette is that of Okabe and Ito, made to be told apart with any kind of colour blindness. Of the three states, bad has a red
of its own: their vermilion looks like their orange to many (tests/unit/test_dashboard_colours.py). Only states are red and
bluish green; a series with a fixed meaning has a fixed colour.

Other series are named by data: services, routes, containers. Each has a colour and a stroke by its name alone, the same in every
panel, whatever else is shown. Grafana has two ways to colour by names: the order of the names in a panel, which changes with every
new service; or a hash into its classic palette, whose 56 colours nobody with colour blindness tells apart. So here is a hash into
eight colours and two strokes. It is made of regular expressions, because that is what Grafana compares names with.
"""

from collections.abc import Mapping
from itertools import product

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, YELLOW, PURPLE, GREY = "#56B4E9", "#F0E442", "#CC79A7", "#999999"
RED = "#C4170C"
TEXT = "text"
"""Grafana's name for the colour of its text: black or white, by its theme."""
PALETTE = frozenset({BLUE, ORANGE, GREEN, VERMILION, SKY, YELLOW, PURPLE, GREY, RED})
GOOD, WARNING, BAD = GREEN, ORANGE, RED

LEVELS = {"debug": SKY, "info": BLUE, "warn": ORANGE, "error": RED, "fatal": PURPLE, "unknown": GREY}
QUANTILES = {"p50": SKY, "p95": BLUE, "p99": PURPLE}

_OF_NAMES = (BLUE, ORANGE, GREEN, PURPLE, TEXT, VERMILION, SKY, YELLOW)
_LETTERS = ("deilu", "chltu", "bhnor")
"""Three sets of letters. Whether a name has an odd number of letters of each says which of the eight colours it has. The sets are
those of 100,000 random ones that keep the shop's services apart, and best those of the stack and thirty usual names."""
_DASHED = "aepst"
"""A name with an odd number of these letters has a dashed line."""


def by_name() -> Mapping[str, str]:
    """Regular expression for names, in Grafana's spelling → their colour. Every name matches exactly one."""
    classes = product((False, True), repeat=len(_LETTERS))
    return {
        f"/^{''.join(_count(letters, odd=odd) for letters, odd in zip(_LETTERS, odds, strict=True))}/i": colour
        for odds, colour in zip(classes, _OF_NAMES, strict=True)
    }


def dashed() -> str:
    """Regular expression for the names whose line is dashed."""
    return f"/^{_count(_DASHED, odd=True)}/i"


def _count(letters: str, *, odd: bool) -> str:
    """Matches the beginning of a text with an odd or even number of these letters."""
    one = f"[^{letters}]*[{letters}]"
    return f"(?=(?:{one}{one})*{one if odd else ''}[^{letters}]*$)"
