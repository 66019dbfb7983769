"""Finds out in seconds which download sites can be reached from here."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from toolchain.paths import cache_dir

SECONDS = 4
# A network that drops packets seldom changes: do not wait again on every run.
REMEMBER_SECONDS = 3600
SLOW_SECONDS = 1


def silent(probes: Mapping[str, Callable[[], bool]]) -> set[str]:
    """Return the names of the sites that do not answer. One that took longer than `SLOW_SECONDS` is not tried again for
    an hour.

    `probes`: name → function that returns whether the site answers.
    """
    silent_before = probes.keys() & _remembered().keys()
    candidates = probes.keys() - silent_before
    refused: set[str] = set()
    answered: set[str] = set()

    def ask(name: str) -> None:
        start = time.monotonic()
        if probes[name]():
            answered.add(name)
        elif time.monotonic() - start < SLOW_SECONDS:
            refused.add(name)

    # Threads, because a name server that drops packets delays a lookup longer than any client timeout.
    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in candidates]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    slow = candidates - answered - refused
    if slow:
        _memory().write_text(json.dumps(_remembered() | dict.fromkeys(slow, time.time())))
    return silent_before | (candidates - answered)


def status(url: str) -> int:
    """The HTTP status with which a download starts; 0 if the server does not answer.

    It is a GET, not a HEAD: a signed download URL may refuse HEAD.
    """
    try:
        with requests.get(url, timeout=SECONDS, stream=True) as answer:
            return answer.status_code
    except requests.RequestException:
        return 0


def _remembered() -> dict[str, float]:
    """Site that did not answer lately → time of that, in seconds since 1970."""
    try:
        silences: dict[str, float] = json.loads(_memory().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: since for name, since in silences.items() if time.time() - since < REMEMBER_SECONDS}


def _memory() -> Path:
    return cache_dir() / "silent.json"
