"""Ctrl-C and SIGTERM: both end a command as an exception does, but never in the middle of a step that must be
completed."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Within this block, SIGTERM ends the command as Ctrl-C does: paused and stopped services are released."""

    def end(number: int, _: object) -> None:
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # make forwards its own SIGTERM: a second one would break off the release
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def put_off() -> Iterator[None]:
    """Delays both signals until the end of this block.

    The engine carries out a request even if the client is gone. An exception in between would lose track of what was
    made, and nothing would undo it.
    """
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda which, _: came.append(which)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)
