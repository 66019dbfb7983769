"""How a service of Docker Compose is brought back to another image: the exact command, for a person to run."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .asking import Inquiry

_COMPOSE = "com.docker.compose."
_SAFE = re.compile(r"(?!.*/_)[A-Za-z0-9/][\w./@:+-]{0,199}", re.ASCII)
"""What needs no quotes in a shell, and what no receiver of messages shows as anything else. Slack makes marks of `/_`."""

_LONGEST = 800
"""Characters of a command: the rest of a message is for the evidence."""


@dataclass(frozen=True)
class Deployed:
    """One service of a Compose project, as Compose has labelled its containers."""

    service: str
    """Its name in logs, metrics and alerts."""
    in_project: str
    project: str
    folder: str
    files: tuple[str, ...]
    environment: tuple[str, ...]

    def back_to(self, image: str) -> str:
        """The command that runs it with `image`; empty if it would need quotes, or if the image has no name."""
        words = [self.in_project, self.project, self.folder, *self.files, *self.environment, image]
        if image.startswith("sha256:") or not all(_SAFE.fullmatch(word) for word in words):
            return ""
        override = json.dumps({"services": {self.in_project: {"image": image}}}, separators=(",", ":"))
        options = ["-p", self.project, "--project-directory", self.folder]
        options += [part for file in self.environment for part in ("--env-file", file)]
        options += [part for file in (*self.files, "-") for part in ("-f", file)]
        # What comes on stdin counts above the files (compose-go 2.4, cli.ProjectOptions), and their paths stay as they are.
        # --no-build: an image that is gone would otherwise be built anew, under the old name.
        command = f"echo '{override}' | docker compose {' '.join(options)} up -d --no-deps --no-build {self.in_project}"
        return command if len(command) <= _LONGEST else ""


def deployed(inquiry: Inquiry) -> list[Deployed]:
    """The services that Compose runs on this engine.

    Raises:
        NoAnswerError: the engine does not tell.
    """
    filters = json.dumps({"label": [f"{_COMPOSE}project.working_dir"]})
    containers = inquiry.get("Docker", "/containers/json", filters=filters)
    return [_deployed(container["Labels"]) for container in containers]


def of_service(services: Iterable[Deployed], name: str) -> Deployed | None:
    """The one service of that name; None if there is none, or if two projects have one."""
    found = {one for one in services if one.service == name}
    return found.pop() if len(found) == 1 else None


def _deployed(labels: Mapping[str, Any]) -> Deployed:
    def label(name: str) -> str:
        return str(labels.get(_COMPOSE + name, ""))

    def listed(name: str) -> tuple[str, ...]:
        return tuple(filter(None, label(name).split(",")))

    return Deployed(
        service=str(labels.get("observability.service") or label("service")),
        in_project=label("service"),
        project=label("project"),
        folder=label("project.working_dir"),
        files=listed("project.config_files"),
        environment=listed("project.environment_file"),
    )
