"""A stack of a Pulumi program, and the CLI that deploys it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import typer

from operate.backend import environment
from operate.stack_file import PROJECT
from toolchain import pulumi_cli
from toolchain.report import Step, ToolchainError, console

OWN = f"organization/{PROJECT}/"
"""Prefix of this project's stacks in a backend in a folder or a bucket, where it lists them by their full names."""


class Program:
    """One stack of the Pulumi program in `folder`, and a CLI that can deploy it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._pulumi = pulumi_cli.ensure()

    def pulumi(self, *arguments: str) -> None:
        """Runs the CLI in your terminal.

        Raises:
            typer.Exit: the CLI's exit code is not 0; it becomes that of this program.
        """
        command = [str(self._pulumi.cli), *arguments, "--stack", self.name]
        done = subprocess.run(command, cwd=self.folder, env=environment(self._pulumi), check=False)
        if done.returncode:
            raise typer.Exit(done.returncode)

    def passes(self, *arguments: str) -> None:
        """Runs the CLI as `pulumi` does, but shows its output only if it fails.

        Raises:
            typer.Exit: as `pulumi`.
        """
        color = "always" if console.is_terminal else "never"
        command = [str(self._pulumi.cli), *arguments, "--stack", self.name, "--non-interactive", f"--color={color}"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(self._pulumi),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout)
            raise typer.Exit(done.returncode)

    def ask(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs the CLI, and returns what it prints.

        Raises:
            ToolchainError: the CLI failed; the message is its own.
        """
        command = [str(self._pulumi.cli), *arguments, "--non-interactive"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(self._pulumi),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolchainError(done.stderr.strip())
        return done.stdout

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

    def create(self) -> None:
        """Creates the stack if it does not exist. The stack that you have selected stays selected."""
        if not self.exists():
            with Step(f"new stack {self.name}"):
                self.ask("stack", "init", self.name, "--no-select")

    def has_changed(self) -> bool:
        """Whether the last deployment changed a resource."""
        history = json.loads(self.ask("stack", "history", "--json", "--page-size", "1", "--stack", self.name))
        return set(history[0]["resourceChanges"]) != {"same"}

    def outputs(self) -> dict[str, Any]:
        """Name → value of each output of the last deployment."""
        found: dict[str, Any] = json.loads(self.ask("stack", "output", "--json", "--stack", self.name))
        return found
