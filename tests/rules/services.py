"""Real services that a test starts."""

import subprocess
import time
from contextlib import suppress
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
