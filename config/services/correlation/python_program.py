"""Programs of the stack in Python: how one is delivered to its container, judged and started. The standard library suffices."""

from dataclasses import dataclass
from pathlib import Path

from config.container import DIRECTORY

ENVIRONMENT = {"PYTHONPATH": DIRECTORY}


@dataclass(frozen=True)
class PythonProgram:
    """A package, in the folder `folder`. One program may serve several services."""

    folder: Path

    @property
    def files(self) -> dict[str, str]:
        """Its config files: path → text."""
        return {f"{self.folder.name}/{file.name}": file.read_text() for file in sorted(self.folder.glob("*.py"))}

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The command line of a service that runs it."""
        return ("python3", "-B", "-u", "-m", self.folder.name, *arguments)

    def validate(self, option: str, file: str) -> str:
        """The command that judges a file, by an option of the program."""
        return f"python3 -B -m {self.folder.name} {option} {file}"
