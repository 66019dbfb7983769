"""The colours of the three states differ for everybody.

Colour blindness is simulated as by Machado, Oliveira and Fernandes, “A Physiologically-based Model for Simulation of Color Vision
Deficiency” (2009), at full severity; distances are those of CIE 1976 in L*a*b*. Two colours 30 apart are told apart at a glance.
"""

import itertools
import math

import pytest

from dashboards import colours

SIGHT = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "without red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "without green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "without blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.9505, 1.0, 1.089)
Triple = tuple[float, ...]


def _times(matrix: tuple[Triple, ...], vector: Triple) -> Triple:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _linear(colour: str) -> Triple:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def _lab(rgb: Triple) -> Triple:
    shares = (max(part, 0) / white for part, white in zip(_times(TO_XYZ, rgb), WHITE, strict=True))
    x, y, z = (share ** (1 / 3) if share > 0.008856 else 7.787 * share + 16 / 116 for share in shares)
    return (116 * y - 16, 500 * (x - y), 200 * (y - z))


def distance(one: str, other: str, sight: str) -> float:
    pair = [_lab(tuple(min(1, max(0, part)) for part in _times(SIGHT[sight], _linear(each)))) for each in (one, other)]
    return math.dist(*pair)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(
    ("one", "other"), list(itertools.combinations((colours.GOOD, colours.WARNING, colours.BAD), 2))
)
def test_two_states_are_told_apart(one: str, other: str, sight: str) -> None:
    assert distance(one, other, sight) >= 30


def test_the_vermilion_of_the_palette_is_too_near_to_its_orange() -> None:
    assert distance(colours.WARNING, colours.VERMILION, "without green") < 20
