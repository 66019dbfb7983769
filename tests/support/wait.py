"""Waiting on conditions, not on clocks."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_incrementing

T = TypeVar("T")


def until(condition: Callable[[], T], *, seconds: float = 120) -> T:
    """The first true value of `condition`; an error inside counts as not yet, until the time is over."""
    tries = retry(
        retry=retry_if_result(lambda value: not value) | retry_if_exception_type(Exception),
        stop=stop_after_delay(seconds),
        wait=wait_incrementing(start=0.2, increment=0.1, max=1.5),  # what takes long may be much to ask for
        reraise=True,
    )
    return tries(condition)()
