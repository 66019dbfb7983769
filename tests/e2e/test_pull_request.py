"""What the reviewers of a pull request are told, by the real CLI and the real pack: without secret, state and host."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.deployment import PROJECT, ROOT

SEALED = "v1:bm90aGluZw==:bm90aGluZw=="
"""A secret that nobody here can open."""
TOO_MUCH = {"memory": {"host": "64GiB", "prometheus": "4GiB", "loki": "4GiB", "otel_collector": "8GiB"}}
"""Refused by the policy memory-ceiling."""
HOST = {"host": "ssh://deploy@vps.invalid", "ssh": {"known_hosts": "known_hosts"}}


@dataclass
class Fork:
    """A clone in which somebody commits, and a checkout of the base beside it."""

    folder: Path

    def commit(self, **config: Any) -> str:
        """The stack file with this in it, and whatever else has changed; returns the commit."""
        own = {"docker": HOST, "slack_webhook": {"secure": SEALED}, **config}
        text = yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in own.items()}})
        (self.folder / "Pulumi.shop.yaml").write_text(text)
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", "add", "-A"], cwd=self.folder, check=True)
        subprocess.run(["git", *who, "commit", "-qm", "change"], cwd=self.folder, check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=self.folder, check=True, capture_output=True, text=True)
        return head.stdout.strip()

    def edit(self, path: str, old: str, new: str) -> None:
        """Other words in one file, to be committed."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))

    def report(self, base: str, *, fails: bool = False) -> tuple[str, str]:
        """What was printed, and what would be the comment."""
        beside = self.folder.with_name("base")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", beside, base], cwd=self.folder, check=True)
        (beside / ".venv").unlink(missing_ok=True)  # committed: the ignored one is a folder
        (beside / ".venv").symlink_to(ROOT / ".venv")
        result = subprocess.run(
            [".venv/bin/python", "-m", "operate", "pull-request", "--head", self.folder, "--stack", "shop"],
            cwd=beside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert bool(result.returncode) == fails, result.stdout
        assert "Traceback" not in result.stdout, result.stdout
        file = beside / "pull-request.md"
        return result.stdout, file.read_text() if file.exists() else ""


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    folder = tmp_path / "fork"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    for name in (
        "toolchain",
        "operate",
        "config",
        "components",
        "engine",
        "policies",
    ):  # as they are here, committed or not
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    return Fork(folder)


def test_a_changed_threshold_is_shown_as_changed_lines_and_no_secret_with_it(fork: Fork) -> None:
    base = fork.commit()
    fork.commit(alerts={"thresholds": {"cpu": 87}})
    _, comment = fork.report(base)
    assert "### `shop`: 0 added, " in comment
    added = [line for line in comment.splitlines() if line.startswith("+")]
    assert any("> 0.87" in line for line in added), comment
    assert "docker:index/container:Container::prometheus-loader" in comment
    assert "stand-in" not in comment


def test_what_changes_nothing_is_told_so(fork: Fork) -> None:
    base = fork.commit()
    _, comment = fork.report(base)
    assert comment == "### `shop`: nothing declared differs\n"


def test_settings_that_are_wrong_fail_with_their_key(fork: Fork) -> None:
    base = fork.commit()
    fork.commit(metric={})
    printed, comment = fork.report(base, fails=True)
    assert "nervous-system:metric: unknown key; did you mean metrics?" in comment
    assert "nervous-system:metric: unknown key; did you mean metrics?" in printed


LOOSENED = [
    # a policy that is taken out
    ("policies/pack.py", "    memory_limits, label_cardinality,", "    label_cardinality,"),
    # commands without policies
    ("operate/policy_config.py", 'pack, config = ("--policy-pack", str', 'pack, config = ("--policy-packs", str'),
]


def test_who_loosens_what_judges_is_judged_by_the_base_and_told_so(fork: Fork) -> None:
    base = fork.commit()
    for path, old, new in LOOSENED:
        fork.edit(path, old, new)
    (fork.folder / "policies.shop.json").write_text('{"all": "disabled"}')
    fork.commit(**TOO_MUCH)
    printed, comment = fork.report(base, fails=True)
    assert "### `shop`: refused" in comment
    assert "memory-ceiling" in comment
    assert "memory-ceiling" in printed
    assert "**This pull request changes what judges pull requests.**" in comment
    for path in (*(path for path, _, _ in LOOSENED), "policies.shop.json"):
        assert path in comment
