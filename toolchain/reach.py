"""Which makers' downloads can be reached from here, decided in seconds."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from toolchain.paths import cache_dir

SECONDS = 4
# A network that swallows packets seldom changes: do not spend the seconds again on every run.
REMEMBER_SECONDS = 3600
SLOW_SECONDS = 1


def silent(probes: Mapping[str, Callable[[], bool]]) -> set[str]:
    """The names of the places that do not answer; one that took long to say so is not asked again for an hour."""
    known = probes.keys() & _remembered().keys()
    asked = probes.keys() - known
    refused: set[str] = set()
    answered: set[str] = set()

    def ask(name: str) -> None:
        start = time.monotonic()
        if probes[name]():
            answered.add(name)
        elif time.monotonic() - start < SLOW_SECONDS:
            refused.add(name)

    # Threads, because a name server that drops packets holds a look-up longer than any timeout of a client.
    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in asked]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    slow = asked - answered - refused
    if slow:
        _memory().write_text(json.dumps(_remembered() | dict.fromkeys(slow, time.time())))
    return known | (asked - answered)


def status(url: str) -> int:
    """The HTTP status with which a download from there begins; 0 where nobody answers.

    It is begun, not asked for by HEAD: a signed address of a download may refuse that.
    """
    try:
        with requests.get(url, timeout=SECONDS, stream=True) as answer:
            return answer.status_code
    except requests.RequestException:
        return 0


def _remembered() -> dict[str, float]:
    """What was silent lately → since when."""
    try:
        silences: dict[str, float] = json.loads(_memory().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: since for name, since in silences.items() if time.time() - since < REMEMBER_SECONDS}


def _memory() -> Path:
    return cache_dir() / "silent.json"
