"""Time spans and sizes: as you write them, and as services read them."""

import re
from typing import Annotated

import durationpy
from pydantic import AfterValidator, ByteSize

from config.sizes import MIB

# Prometheus' grammar (docs/configuration, "<duration>"): each unit at most once, from years down to milliseconds.
_SPAN = re.compile(r"(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?")


LONGEST = "100y"
"""Go's services count nanoseconds in 64 bits, and end at 292 years."""


def _span(text: str) -> str:
    if not _SPAN.fullmatch(text):
        msg = f"'{text}' is not a time span: write it like 15s, 5m, 1h30m or 60d"
        raise ValueError(msg)
    if not _fits(text):
        msg = f"'{text}' is longer than {LONGEST}"
        raise ValueError(msg)
    return text


def _fits(span: str) -> bool:
    try:
        return seconds(span) <= seconds(LONGEST)
    except (durationpy.DurationError, OverflowError):
        return False


Span = Annotated[str, AfterValidator(_span)]
"""A time span in Prometheus' spelling, kept as written: ``15s``, ``1h30m``, ``60d``."""


def seconds(span: str) -> float:
    """Length of a `Span` in seconds (a year has 365 days, as in Prometheus): ``1h30m`` → 5400."""
    return float(durationpy.from_str(span).total_seconds())


def go_duration(length: float) -> str:
    """Seconds in Go's canonical spelling (``90`` → ``1m30s``, ``3600`` → ``1h0m0s``).

    The Docker provider returns durations in this spelling; any other would be a difference at every `pulumi up`.
    """
    minutes, rest = divmod(length, 60)
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest:g}s"


def _whole_mib(size: ByteSize) -> ByteSize:
    if size % MIB:
        msg = f"{int(size)} bytes is not a whole number of MiB: write it like 512MiB or 2GiB"
        raise ValueError(msg)
    return size


Memory = Annotated[ByteSize, AfterValidator(_whole_mib)]
"""An amount of memory (``512MiB``, ``2GiB``), in bytes; Docker's provider counts in whole MiB."""


def mib(size: int) -> int:
    """`size` in bytes as MiB."""
    return size // MIB


def prometheus_size(size: int) -> str:
    """Bytes in Prometheus' spelling. Its units are powers of 1024, whatever their names say (``45GB`` is 45 GiB)."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "KB")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return f"{size}B"
