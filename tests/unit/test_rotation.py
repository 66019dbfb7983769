"""The command `rotate`: in which order an edge gets another credential."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from operate import commands, rotation
from operate.stack_file import load_settings
from tests.support.program import DOOR, EDGE, OF_DOOR
from toolchain import paths
from toolchain.report import ToolchainError

SECRET = {"secure": "v1:encrypted"}
NEXT = "edge_password_web-2_next"


@dataclass
class Checkout:
    """Stack files, and what was done with them. Of a secret that is set only the text is kept here."""

    folder: Path
    steps: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def write(self, stack: str, config: dict[str, Any], *secrets: str) -> None:
        named = {f"nervous-system:{key}": value for key, value in {**config, **dict.fromkeys(secrets, SECRET)}.items()}
        (self.folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": named}))

    def stack(self, name: str) -> Any:
        checkout = self

        class Stack:
            def __init__(self) -> None:
                self.name, self.settings = name, load_settings(name)

            def ask(self, *words: str, stdin: str | None = None) -> str:
                key = words[words.index("--stack") - 1]
                if words[1] == "get":
                    return checkout.texts[key] + "\n"
                checkout.steps.append(f"{name}: {words[1]} {key}")
                if stdin:
                    checkout.texts[key] = stdin
                return ""

        return Stack()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    clone = Checkout(tmp_path)
    docker = {"host": "unix:///var/run/docker.sock"}
    clone.write("prod", {**DOOR, "docker": docker}, *OF_DOOR)
    clone.write("second", {**EDGE, "docker": docker, "host_name": "web-2"}, "centre_password")
    clone.write("broken", {"role": "nothing"})
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    monkeypatch.setattr(rotation, "Stack", clone.stack)
    monkeypatch.setattr(commands, "deploy", lambda stack: clone.steps.append(f"{stack}: deployed"))
    return clone


ORDER = [
    f"prod: set {NEXT}",
    "prod: deployed",
    "second: set centre_password",
    "second: deployed",
    "prod: set edge_password_web-2",
    f"prod: rm {NEXT}",
    "prod: deployed",
]


def test_the_centre_knows_the_new_credential_before_the_edge_has_it_and_the_old_one_until_then(
    checkout: Checkout,
) -> None:
    rotation.rotate("web-2", "prod")
    assert checkout.steps == ORDER
    assert len({checkout.texts[key] for key in (NEXT, "centre_password", "edge_password_web-2")}) == 1
    assert len(checkout.texts[NEXT]) == 64


def test_a_rotation_that_has_stopped_goes_on_with_the_same_credential(checkout: Checkout) -> None:
    checkout.write("prod", {**DOOR, "docker": {"host": "unix:///var/run/docker.sock"}}, *OF_DOOR, NEXT)
    checkout.texts[NEXT] = "made-up-before"
    rotation.rotate("web-2", "prod")
    assert checkout.steps == ORDER[1:]
    assert checkout.texts["centre_password"] == checkout.texts["edge_password_web-2"] == "made-up-before"


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ("web-9", "Pulumi.prod.yaml has no edge 'web-9': edges: db-1, web-2"),
        ("db-1", "no stack file here has  role: edge"),
    ],
)
def test_an_edge_that_is_not_here_is_refused_before_anything_is_changed(
    checkout: Checkout, edge: str, message: str
) -> None:
    with pytest.raises(ToolchainError, match=message):
        rotation.rotate(edge, "prod")
    assert checkout.steps == []
