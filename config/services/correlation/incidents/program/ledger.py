"""The record of actions and their times, in a file that outlives the service: so a restart of the service repeats no action."""

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .running import log

_KEPT = 7 * 86400
"""Seconds: the longest period of an action."""


@dataclass(frozen=True)
class Attempt:
    what: str
    at: float
    """Seconds since 1970."""


class Ledger:
    """The attempts, the oldest first. A file that cannot be read counts as if everything had just been done."""

    def __init__(self, file: Path, now: float) -> None:
        self._file = file
        self._attempts: list[Attempt] = []
        self.lost = 0.0
        """Until when earlier attempts are unknown, in seconds since 1970; 0 if they are known."""
        if not file.exists():
            return
        try:
            told = json.loads(file.read_bytes())
            self._attempts = [Attempt(str(what), float(at)) for what, at in told["attempts"]]
            self.lost = float(told["lost"])
        except (OSError, ValueError, KeyError, TypeError):
            log("warn", "cannot read what it has done before: every action waits for its whole period", event="lost")
            self.lost = now

    def set_right(self, now: float) -> None:
        """Attempts of a time to come, from a clock that was ahead, are of now: they would hold up everything until then."""
        self._attempts = [Attempt(one.what, min(one.at, now)) for one in self._attempts]
        self.lost = min(self.lost, now)

    def times(self, what: str, since: float) -> int:
        """How often `what` was attempted since then."""
        return sum(one.what == what and one.at > since for one in self._attempts)

    def last(self, what: str) -> float:
        """When `what` was last attempted; 0 if never."""
        return max((one.at for one in self._attempts if one.what == what), default=0.0)

    def note(self, what: str, now: float, known: Collection[str]) -> None:
        """Writes down an attempt before it is made. `known`: what can still be done; of the rest only the last days stay.

        Raises:
            OSError: it cannot be written.
        """
        last = {one.what: one for one in self._attempts if one.what in known}
        kept = [one for one in self._attempts if one.at > now - _KEPT or one is last.get(one.what)]
        attempts = [*kept, Attempt(what, now)]
        new = self._file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as written:
            json.dump({"lost": self.lost, "attempts": [(one.what, one.at) for one in attempts]}, written)
            written.flush()
            os.fsync(written.fileno())
        new.replace(self._file)
        self._attempts = attempts
