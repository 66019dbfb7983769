"""Which series each edge has sent of late, and whether another one may come."""

import threading
import time
from collections.abc import Callable

HALF = 1800.0
"""Seconds. A series counts until it has not come for one to two of these: so long Prometheus has it in memory, at least."""


class KnownSeries:
    """The series of one edge: a number of 64 bits for each, not its labels."""

    def __init__(self, bound: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.bound = bound
        self.refused = 0
        """Samples of series above the bound."""
        self._clock, self._turned = clock, clock()
        self._now: set[int] = set()
        self._before: set[int] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            self._turn()
            return len(self._now) + len(self._before)

    def admits(self, labels: bytes) -> bool:
        """Whether this series may come in: it was there, or there is room for it."""
        key = hash(labels)  # Python's, with a key of its own for each process
        with self._lock:
            if key in self._now:
                return True
            self._turn()
            if key not in self._before and len(self._now) + len(self._before) >= self.bound:
                self.refused += 1
                return False
            self._before.discard(key)
            self._now.add(key)
            return True

    def _turn(self) -> None:
        halves = int((self._clock() - self._turned) / HALF)
        if halves:
            self._before = self._now if halves == 1 else set()
            self._now, self._turned = set(), self._turned + halves * HALF
