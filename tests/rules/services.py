"""Real services that a test starts."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import requests


def until_ready(process: subprocess.Popen[bytes], page: str, log: Path, *, seconds: float) -> None:
    """Waits until `page` answers with a status below 400.

    Raises:
        AssertionError: the process has ended, or is not ready within `seconds`; with the end of its log.
    """
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with suppress(requests.ConnectionError):
            if requests.get(page, timeout=5).ok:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])


@contextmanager
def running(
    command: Sequence[object], page: str, log: Path, *, seconds: float, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A service while this block runs, from when `page` answers on. What it prints goes into `log`."""
    with log.open("w") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, env=environment)
    try:
        until_ready(process, page, log, seconds=seconds)
        yield
    finally:
        process.kill()
        process.wait(60)
