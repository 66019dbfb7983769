"""Waiting on conditions, not on clocks."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

T = TypeVar("T")


def until(condition: Callable[[], T], *, seconds: float = 60) -> T:
    """The first true value of `condition`; an error inside counts as not yet, until the time is over."""
    tries = retry(
        retry=retry_if_result(lambda value: not value) | retry_if_exception_type(Exception),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.3),
        reraise=True,
    )
    return tries(condition)()
