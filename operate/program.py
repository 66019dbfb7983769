"""A stack of a Pulumi program, and the CLI that deploys it."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from operate.backend import environment
from operate.engine_events import ENVIRONMENT, changes, followed
from operate.progress import Progress, counts
from operate.stack_file import PROJECT
from toolchain import paths, pulumi_cli
from toolchain.report import Step, ToolchainError, console, show_lines, verbose

OWN = f"organization/{PROJECT}/"
"""Prefix of this project's stacks in a backend in a folder or a bucket, where it lists them by their full names."""

TITLES = {
    "preview": ("plan", "nothing to change"),
    "up": ("update", "nothing has changed"),
    "destroy": ("removal", "there was nothing"),
}
"""Command of the CLI → what it is called here, and its result if it changes no resource."""


class Program:
    """One stack of the Pulumi program in `folder`, and a CLI that can deploy it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._pulumi = pulumi_cli.ensure()
        self._warnings: set[str] = set()

    def pulumi(self, *arguments: str) -> None:
        """Runs the CLI in your terminal.

        Raises:
            typer.Exit: the CLI's exit code is not 0; it becomes that of this program.
        """
        result = self._run(arguments)
        if result.returncode:
            raise typer.Exit(result.returncode)

    def plan(self, *options: str) -> bool:
        """Previews an update, which the program or a policy may refuse, and shows in a few lines what it would change.
        Returns whether it would change a resource.

        Raises:
            typer.Exit: it is refused; the reason has been shown.
        """
        self._warnings.clear()
        return bool(self._shown("preview", *options))

    def update(self, command: str, *options: str) -> bool:
        """Carries out `up` or `destroy` without a preview, and shows each service when that is done with it. Returns
        whether a resource was changed.

        Raises:
            typer.Exit: it failed, and why has been shown.
        """
        changed = self._shown(command, "--yes", "--skip-preview", *options)
        self._warnings.clear()
        return bool(changed)

    def _shown(self, command: str, *options: str) -> dict[str, int]:
        """Runs the CLI and shows its progress, or all of its own output if `verbose()`. Returns what it changed:
        operation → number of resources."""
        with tempfile.TemporaryDirectory() as folder:
            events = Path(folder, "events")
            arguments = (command, *options, "--event-log", str(events))
            if verbose():
                self.pulumi(*arguments)
            else:
                self._in_lines(arguments, events)
            return changes(events)

    def _in_lines(self, arguments: Sequence[str], events: Path) -> None:
        command, printed, errors = arguments[0], events.with_name("printed"), events.with_name("errors")
        title, nothing = TITLES[command]
        with Step(title) as step:
            progress = Progress(step, self._warnings)
            try:
                with printed.open("w") as out, errors.open("w") as err, followed(events, progress.take):
                    result = self._run((*arguments, "--non-interactive", "--color=never"), stdout=out, stderr=err)
            finally:
                step.title = title
                text, words = (file.read_text(errors="replace") for file in (printed, errors))
                if words:
                    show_lines(words)
                log = paths.log_file(f"{self.folder.name}-{self.name}-{command}")
                log.write_text(text + words)
            if result.returncode:
                progress.show_asides()
                if not (progress.has_complained or words):
                    show_lines(text)
                show_lines(f"Pulumi's full output: {log}")
                raise typer.Exit(result.returncode)
            step.result = counts(changes(events), past=command != "preview") or nothing
        if command == "preview":
            for line in progress.plan():
                show_lines(line)

    def passes(self, *arguments: str) -> None:
        """Runs the CLI as `pulumi` does, but shows its output only if it fails.

        Raises:
            typer.Exit: as `pulumi`.
        """
        color = "always" if console.is_terminal else "never"
        result = self._run(
            (*arguments, "--non-interactive", f"--color={color}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode:
            print(result.stdout)
            raise typer.Exit(result.returncode)

    def _run(self, arguments: Sequence[str], **streams: Any) -> subprocess.CompletedProcess[Any]:
        command = [str(self._pulumi.cli), *arguments, "--stack", self.name]
        variables = {**environment(self._pulumi), **ENVIRONMENT}
        return subprocess.run(command, cwd=self.folder, env=variables, check=False, **streams)

    def ask(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs the CLI, and returns what it prints.

        Raises:
            ToolchainError: the CLI failed; the message is its own.
        """
        command = [str(self._pulumi.cli), *arguments, "--non-interactive"]
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(self._pulumi),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise ToolchainError(result.stderr.strip())
        return result.stdout

    def exists(self) -> bool:
        """Whether the backend knows the stack.

        Raises:
            ToolchainError: Pulumi Cloud has it in another organisation than your default one, where it would be
                created.
        """
        names = {stack["name"].removeprefix(OWN) for stack in json.loads(self.ask("stack", "ls", "--json"))}
        owners = sorted(name.partition("/")[0] for name in names if name.endswith(f"/{self.name}"))
        if owners and self.name not in names:
            raise ToolchainError(
                f"the stack {self.name} belongs to {' and '.join(owners)}, which is not your default organisation",
                fix=f".venv/bin/python -m operate pulumi org set-default {owners[0]}",
            )
        return self.name in names

    def create(self) -> bool:
        """Creates the stack if it does not exist, and returns whether it did. The stack that you have selected stays
        selected."""
        if self.exists():
            return False
        with Step(f"new stack {self.name}"):
            self.ask("stack", "init", self.name, "--no-select")
        return True

    def outputs(self) -> dict[str, Any]:
        """Name → value of each output of the last deployment."""
        result: dict[str, Any] = json.loads(self.ask("stack", "output", "--json", "--stack", self.name))
        return result
