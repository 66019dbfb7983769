"""Processes that a test has started, and those that these have started."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path


def session_of(leader: int) -> Iterator[int]:
    """The processes of the session that `leader` began: the CLI's plugins have process groups of their own."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue  # ended meanwhile
            if int(stat.rpartition(")")[2].split()[3]) == leader:
                yield int(folder.name)


def kill_session(leader: subprocess.Popen[bytes]) -> None:
    for process in session_of(leader.pid):
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
            os.kill(process, signal.SIGKILL)
    leader.wait(timeout=10)
