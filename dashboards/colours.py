"""The colours of all panels.

These are the eight of Okabe and Ito, made to be told apart with any kind of colour blindness. Good is bluish green and bad is
vermilion, which differ for everybody. A series with a fixed meaning has a fixed colour. A service gets one by its first
letter, so that it has the same colour on every dashboard.
"""

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, YELLOW, PURPLE, GREY = "#56B4E9", "#F0E442", "#CC79A7", "#999999"
PALETTE = frozenset({BLUE, ORANGE, GREEN, RED, SKY, YELLOW, PURPLE, GREY})
GOOD, WARNING, BAD = GREEN, ORANGE, RED

LEVELS = {"debug": SKY, "info": BLUE, "warn": ORANGE, "error": RED, "fatal": PURPLE, "unknown": GREY}
QUANTILES = {"p50": SKY, "p95": BLUE, "p99": PURPLE}
FIRST_LETTERS = {
    "a-b": BLUE, "c-d": ORANGE, "e-h": GREEN, "i-m": PURPLE, "n-o": SKY, "p-q": RED, "r-s": YELLOW, "t-z": GREY,
}  # fmt: skip
