"""A user who has just cloned the repository and knows only the commands of the README."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from docker import DockerClient

from tests.support.deployment import PROJECT, ROOT, printed_by


@dataclass
class Newcomer:
    """A fresh clone with a state of its own; what was built on this machine before is not built again."""

    folder: Path
    stack: str
    config: dict[str, Any]
    client: DockerClient

    @classmethod
    def arrive(cls, folder: Path, stack: str, client: DockerClient) -> "Newcomer":
        """`stack` is what `dev` is in the repository."""
        subprocess.run(["git", "clone", "--quiet", ROOT, folder / "clone"], check=True)
        dev = yaml.safe_load((folder / "clone" / "Pulumi.dev.yaml").read_text())["config"]
        return cls(folder, stack, {key.removeprefix(f"{PROJECT}:"): value for key, value in dev.items()}, client)

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def state(self) -> Path:
        """Where the tool chain keeps stacks and passphrase."""
        return self.folder / "state" / "nervous-system"

    @property
    def environment(self) -> Mapping[str, str]:
        others = (
            "PULUMI_",
            "STACK",
            "PURGE",
            "MAKE",
            "MFLAGS",
            "CI",
            "VERBOSE",
        )  # of the `make` that runs the tests, too
        variables = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        return {**variables, "XDG_STATE_HOME": str(self.folder / "state"), "COLUMNS": "200"}

    def write(self, stack: str, config: Mapping[str, Any]) -> None:
        """A stack file."""
        text = yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in config.items()}})
        (self.clone / f"Pulumi.{stack}.yaml").write_text(text)

    def make(self, target: str, *, fails: bool = False, stack: str | None = None, **variables: str) -> str:
        """`make <target> STACK=<stack>`: what is printed."""
        words = [f"{key}={value}" for key, value in variables.items()]
        return self._run(["make", target, f"STACK={stack or self.stack}", *words], fails=fails)

    def operate(self, command: str, *options: str, fails: bool = False) -> str:
        """`python -m operate <command>`: what is printed."""
        python = str(self.clone / ".venv/bin/python")
        return self._run([python, "-m", "operate", command, "--stack", self.stack, *options], fails=fails)

    def integration_tests(self, *, fails: bool = False, **environment: str) -> str:
        """The check as tests: what is printed."""
        python = str(self.clone / ".venv/bin/python")
        command = [python, "-m", "pytest", "--verbose", "--color=no", "--tb=short", "tests/integration"]
        return self._run(command, fails=fails, STACK=self.stack, **environment)

    def _run(self, command: list[str], *, fails: bool, **environment: str) -> str:
        printed = printed_by(command, self.clone, {**self.environment, **environment}, fails=fails)
        return re.sub(r"\x1b\[[0-9;]*m", "", printed)

    def get(self, service: str, path: str, /, **parameters: str) -> Any:
        """The JSON of a published service."""
        answer = requests.get(f"http://{self.config['publish'][service]}{path}", params=parameters, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def containers(self) -> dict[str, tuple[str, str]]:
        """Name → id and start of everything of the stack on the engine."""
        containers = self.client.containers.list(all=True, filters={"name": f"^/{self.config['prefix']}-"})
        return {str(one.name): (str(one.id), str(one.attrs["State"]["StartedAt"])) for one in containers}

    def volumes(self) -> set[str]:
        names = {str(volume.name) for volume in self.client.volumes.list()}
        return {name for name in names if name.startswith(f"{self.config['prefix']}-")}
