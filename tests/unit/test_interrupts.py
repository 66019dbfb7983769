"""When Ctrl-C and SIGTERM end a command, and when they wait."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from operate.interrupts import ended_by_sigterm, put_off


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    """As in a terminal, though the tests may run in the background of a script, where SIGINT is ignored."""
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _told_twice(let_go: list[str]) -> None:
    with ended_by_sigterm():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            let_go.append("prometheus")


def test_a_second_sigterm_neither_breaks_off_what_the_first_lets_go_nor_kills_the_process_after_it() -> None:
    let_go: list[str] = []
    with pytest.raises(SystemExit) as ended:
        _told_twice(let_go)
    signal.raise_signal(signal.SIGTERM)  # make's, later still
    assert let_go == ["prometheus"]
    assert ended.value.code == 128 + signal.SIGTERM


def test_what_was_not_ended_by_sigterm_takes_it_as_before() -> None:
    with ended_by_sigterm():
        pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _held(steps: list[str], number: int) -> None:
    with ended_by_sigterm(), put_off():
        signal.raise_signal(number)
        steps.append("paused")


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["Ctrl-C", "SIGTERM"]
)
def test_an_interrupt_waits_for_what_must_be_done_whole(number: int, ends: type[BaseException]) -> None:
    steps: list[str] = []
    with pytest.raises(ends):
        _held(steps, number)
    assert steps == ["paused"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
