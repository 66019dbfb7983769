"""The loop of a program in this folder: it reads its rules again at SIGHUP, and looks at the alerts at intervals."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from . import versions
from .rules import RulesError
from .text import one_line

EVERY = 5.0
"""Seconds between two looks."""

T = TypeVar("T")


class RulesFile(Generic[T]):
    """The rules in a file. One that cannot be used leaves those that were read before."""

    def __init__(self, file: Path, read: Callable[[str], T]) -> None:
        """`read`: from the text of the file to the rules.

        Raises:
            RulesError: the first ones cannot be used.
            OSError: the file cannot be read.
        """
        self._file, self._read = file, read
        self.rules, self.version = self._content()
        self.taken = True
        """Whether the last ones that came were taken."""

    def again(self) -> None:
        """Reads the file anew."""
        try:
            self.rules, self.version = self._content()
            self.taken = True
        except (RulesError, OSError) as error:
            self.taken = False
            log("error", f"keeps its old rules: {self._file.name}: {error}")

    def _content(self) -> tuple[T, str]:
        text = self._file.read_bytes()
        return self._read(text.decode(errors="replace")), versions.of_rules(text)


class Looks:
    """Looks every few seconds, until SIGTERM."""

    def __init__(self, look: Callable[[], None], reload: Callable[[], None]) -> None:
        self._look, self._reload = look, reload
        self._wake, self._told, self._end = threading.Event(), False, False

    def run(self) -> None:
        """Runs until SIGTERM; after a SIGHUP it reloads before it looks."""
        signal.signal(signal.SIGHUP, self._signalled)
        signal.signal(signal.SIGTERM, self._signalled)
        while not self._end:
            if self._told:
                self._told = False
                self._reload()
            self._look()
            self._wake.wait(EVERY)
            self._wake.clear()

    def _signalled(self, number: int, _: object) -> None:
        self._told |= number == signal.SIGHUP
        self._end |= number == signal.SIGTERM
        self._wake.set()


def log(level: str, said: str, *, output: str = "", **more: str) -> None:
    """Writes a line of JSON. Every text in it is one bounded line, but for `output`, which keeps its lines."""
    line = {
        "level": level,
        "message": one_line(said, 500),
        **{name: one_line(text, 500) for name, text in more.items()},
    }
    if output:
        line["output"] = "\n".join(one_line(part, 500) for part in output.splitlines())
    print(json.dumps(line, ensure_ascii=False), file=sys.stdout, flush=True)
