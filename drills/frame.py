"""What a drill is, and how one is carried out: everything that goes wrong in it is a row, never a silence."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

DETAIL_LENGTH = 400
"""Characters of the words of a failure that a row keeps."""


class Recovers(Protocol):
    """The ground of drills: a stack that can be repaired."""

    def recover(self) -> None:
        """Repairs the stack after a failed drill, so that the next one can run."""


Ground = TypeVar("Ground", bound=Recovers)


@dataclass(frozen=True)
class Drill(Generic[Ground]):
    """A fault that is caused on purpose, and what must hold during it."""

    name: str
    """The name by which `ONLY` selects it."""
    cause: str
    """How the fault is made."""
    holds: str
    """What must still hold."""
    run: Callable[[Ground], str]
    """Makes the fault, heals it, and looks; returns what was measured, in a few words. Raises for what does not hold."""


@dataclass(frozen=True)
class Row:
    """The result of a drill."""

    name: str
    cause: str
    holds: str
    held: bool
    seconds: float
    """Time from the fault to the end of the last check."""
    detail: str
    measured: str
    """Day, UTC."""


def carry_out(drills: Iterable[Drill[Ground]], ground: Ground) -> Iterator[Row]:
    """A row for each drill, in turn. One that fails takes none of the others with it, unless the ground is beyond repair."""
    ok = True
    for drill in drills:
        begun = time.monotonic()
        try:
            if not ok:
                _recover(ground)
                begun = time.monotonic()
            detail = drill.run(ground)
            ok = True
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            ok, detail = False, in_short(error)
        took = time.monotonic() - begun
        yield Row(drill.name, drill.cause, drill.holds, ok, round(took, 1), detail, f"{datetime.now(UTC):%Y-%m-%d}")


def _recover(ground: Recovers) -> None:
    try:
        ground.recover()
    except Exception as error:
        raise AssertionError(f"not carried out, the stack has not recovered from the drill before: {error}") from error


def in_short(error: BaseException) -> str:
    """The words of a failure in one line: its beginning and, of a long one, its end, where commands say why.

    Of a command that ends with a check, what is broken.
    """
    first, *lines = str(error).splitlines() or [""]
    broken = [line for line in lines if "✗" in line]
    words = " ".join("\n".join([first, *(broken or lines)]).split()) or type(error).__name__
    if len(words) <= DETAIL_LENGTH:
        return words
    return f"{words[: DETAIL_LENGTH // 3]} … {words[-DETAIL_LENGTH * 2 // 3 :]}"


def chosen(drills: Iterable[Drill[Ground]], only: str) -> list[Drill[Ground]]:
    """Those that `only` names: names or beginnings of names, separated by commas; all for an empty one.

    Raises:
        ValueError: a word names none.
    """
    every = list(drills)
    words = [word.strip() for word in only.split(",") if word.strip()]
    wanted: set[str] = set()
    for word in words:
        names = {drill.name for drill in every}
        matches = {word} if word in names else {name for name in names if name.startswith(word)}
        if not matches:
            raise ValueError(f"no drill is called {word}; there are {', '.join(drill.name for drill in every)}")
        wanted |= matches
    return [drill for drill in every if not words or drill.name in wanted]
