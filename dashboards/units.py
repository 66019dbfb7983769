"""Units of the panels, in Grafana's spelling, and how each is shown: its decimals, and the least height of an axis.

Grafana has none for lines, cores and things that are counted: `count:` shows a number with the word behind it, in thousands (K) and
millions (M).
"""

SHARE = "percentunit"
SECONDS = "s"
REQUESTS, OPERATIONS, CONNECTIONS = "reqps", "ops", "count:connections/s"
BYTES, BYTES_PER_SECOND = "bytes", "Bps"
LINES, SPANS, SAMPLES = "count:lines/s", "count:spans/s", "count:samples/s"
CORES = "count:cores"
WORDS = "string"
"""Unit of values that are not numbers."""


def counted(things: str) -> str:
    """A number of these things."""
    return f"count:{things}"


_DECIMALS = {SHARE: 2, CORES: 3}
_LEAST_TOP = {
    SHARE: 0.01,
    SECONDS: 0.1,
    BYTES: 1024.0**2,
    BYTES_PER_SECOND: 1024.0,
    CORES: 0.1,
}


def decimals(unit: str, *, maximum: float | None = None) -> int | None:
    """Digits after the point; None where Grafana chooses them by the value. `maximum`: that of the values."""
    return 1 if unit == SHARE and maximum is not None else _DECIMALS.get(unit)


def least_top(unit: str) -> float:
    """The value that an axis reaches if all values are lower. Without it, an axis of zeros has a top of 100 or 10,000 %."""
    return _LEAST_TOP.get(unit, 1)
