"""Which makers' downloads can be reached from here, decided in seconds."""

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import requests

from toolchain.paths import cache_dir

SECONDS = 4
# A network without internet seldom changes: do not spend the seconds again on every run.
REMEMBER_SECONDS = 3600
# A registry asks for credentials before it serves its API's root.
ANSWERS = {200, 401}


def unreachable(urls: Iterable[str]) -> set[str]:
    """Those of the addresses that do not answer; a silence is remembered for an hour, an answer is not."""
    wanted = set(urls)
    silent = wanted & _remembered()
    asked = wanted - silent
    answered: set[str] = set()
    # Threads, because a name server that drops packets holds a look-up longer than any timeout of requests.
    threads = [threading.Thread(target=_ask, args=(url, answered), daemon=True) for url in asked]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    new = asked - answered
    if new:
        _remember(new)
    return silent | new


def _ask(url: str, answered: set[str]) -> None:
    try:
        if requests.head(url, timeout=SECONDS, allow_redirects=True).status_code in ANSWERS:
            answered.add(url)
    except requests.RequestException:
        pass


def _remembered() -> set[str]:
    try:
        silences: dict[str, float] = json.loads(_memory().read_text())
    except (FileNotFoundError, ValueError):
        return set()
    return {url for url, since in silences.items() if time.time() - since < REMEMBER_SECONDS}


def _remember(urls: set[str]) -> None:
    now = time.time()
    kept = dict.fromkeys(_remembered() | urls, now)
    _memory().write_text(json.dumps(kept))


def _memory() -> Path:
    return cache_dir() / "unreachable.json"
