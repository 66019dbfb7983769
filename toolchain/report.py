"""Output for the user: one line per step with its elapsed time, and one readable message per failure."""

import contextlib
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape

from toolchain.paths import log_file

console = Console(highlight=False, soft_wrap=True)

TAIL_LINES = 15
HEARTBEAT_SECONDS = 30
NOT_SET = {"", "0", "false", "no"}
"""Values of an environment variable, in small letters, that mean the same as none."""


MARKS = {"✓": "[green]✓[/]", "✗": "[bold red]✗[/]", "!": "[yellow]![/]"}


class ToolchainError(Exception):
    """A foreseen failure. It says what went wrong and what to do, and is shown without a traceback."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix

    def show(self) -> None:
        console.print(f"[bold red]✗[/] {escape(str(self))}")
        if self.fix:
            console.print(f"  [bold]What to do:[/] {escape(self.fix)}")


class CommandError(ToolchainError):
    """A command failed. The message has the command line, the end of its output, and the path of the full output."""

    def __init__(self, command: Sequence[str], code: int, log: Path, *, fix: str = "") -> None:
        self.output = log.read_text(errors="replace") if log.exists() else ""
        tail = "\n".join(f"    {line}" for line in self.output.splitlines()[-TAIL_LINES:])
        super().__init__(f"exit code {code} from: {shlex.join(command)}\n{tail}\n  Full output: {log}", fix=fix)


class Step:
    """One line of progress: a spinner on a terminal; elsewhere a line every half minute, for CI logs."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.result = ""

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._done = threading.Event()
        self._status = console.status(escape(self.title)) if console.is_terminal else None
        if self._status:
            self._status.start()
        self._pulse = threading.Thread(target=self._live, daemon=True)
        self._pulse.start()
        return self

    def _live(self) -> None:
        wait = 1 if self._status else HEARTBEAT_SECONDS
        while not self._done.wait(wait):
            elapsed = f"{time.monotonic() - self._start:.0f} s"
            if self._status:
                self._status.update(f"[dim]{elapsed}[/] {escape(self.title)}")  # a narrow terminal cuts the end off
            else:
                console.print(f"  … {escape(self.title)}, {elapsed} so far")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._pulse.join()
        if self._status:
            self._status.stop()
        seconds = time.monotonic() - self._start
        mark = "[green]✓[/]" if error is None else "[red]✗[/]"
        result = f": {self.result}" if self.result and error is None else ""
        console.print(f"{mark} {escape(self.title + result)} [dim]{seconds:.1f} s[/]")


def is_set(variable: str) -> bool:
    """Whether an environment variable says yes."""
    return os.environ.get(variable, "").lower() not in NOT_SET


def verbose() -> bool:
    """Whether to show everything: with VERBOSE=1, and in CI, where nobody can ask again. VERBOSE=0 holds in CI too."""
    return is_set("VERBOSE" if os.environ.get("VERBOSE") else "CI")


def plain(text: str) -> str:
    """The text without characters that a terminal would obey, and with the console's markup escaped: names and errors
    come from services."""
    return escape(re.sub(r"[^\n\t -~\u00a1-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\U0010ffff]", " ", text))


def show_lines(text: str, mark: str = "") -> None:
    """Prints lines that belong to a step. `mark`: one of `MARKS`, or nothing."""
    first, *more = plain(text).splitlines() or [""]
    console.print(f"  {MARKS[mark]} {first}" if mark else f"    {first}")
    for line in more:
        console.print(f"    {line}")


def note(text: str) -> None:
    """Print a line that the user should know, but need not act on."""
    console.print(f"[yellow]![/] {escape(text)}")


def run(
    command: Sequence[str | Path],
    *,
    log: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    fix: str = "",
) -> str:
    """Run a command, write its output to the log `log`, and return that output.

    Raises:
        CommandError: the command fails.
        ToolchainError: the command does not exist.
    """
    line = [str(part) for part in command]
    path = log_file(log)
    with path.open("w") as out:
        try:
            result = subprocess.run(
                line, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
            )
        except FileNotFoundError as error:
            raise ToolchainError(f"not found: {error.filename} (wanted for: {shlex.join(line)})", fix=fix) from error
    if result.returncode:
        raise CommandError(line, result.returncode, path, fix=fix)
    return path.read_text(errors="replace")


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Shows the message of a foreseen failure, and ends the process with exit code 1."""
    try:
        yield
    except ToolchainError as error:
        error.show()
        raise SystemExit(1) from None
