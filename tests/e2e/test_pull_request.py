"""What the reviewers of a pull request are told, by the real CLI and the real pack: without secret, state and host."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import PROJECT, ROOT

SEALED = "v1:bm90aGluZw==:bm90aGluZw=="
"""A secret that nobody here can open."""
HOST = {"host": "ssh://deploy@vps.invalid", "ssh": {"known_hosts": "known_hosts"}}


@dataclass
class Fork:
    """A clone in which somebody commits."""

    folder: Path

    def commit(self, **config: Any) -> str:
        """The stack file with this in it; returns the commit."""
        own = {"docker": HOST, "slack_webhook": {"secure": SEALED}, **config}
        text = yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in own.items()}})
        (self.folder / "Pulumi.shop.yaml").write_text(text)
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", "add", "-A"], cwd=self.folder, check=True)
        subprocess.run(["git", *who, "commit", "-qm", "change"], cwd=self.folder, check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=self.folder, check=True, capture_output=True, text=True)
        return head.stdout.strip()

    def report(self, base: str, *, fails: bool = False) -> tuple[str, str]:
        """What was printed, and what would be the comment."""
        done = subprocess.run(
            [".venv/bin/python", "-m", "toolchain", "pull-request", "--base", base, "--stack", "shop"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert bool(done.returncode) == fails, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        file = self.folder / "pull-request.md"
        return done.stdout, file.read_text() if file.exists() else ""


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    folder = tmp_path / "fork"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    for name in ("toolchain", "config", "components", "policies"):  # as they are here, committed or not
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
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


def test_what_a_policy_forbids_fails_and_the_comment_says_why(fork: Fork) -> None:
    base = fork.commit()
    fork.commit(memory={"host": "64GiB", "prometheus": "4GiB", "loki": "4GiB", "otel_collector": "8GiB"})
    printed, comment = fork.report(base, fails=True)
    assert comment.startswith("### `shop`: refused")
    assert "memory-ceiling" in comment
    assert "memory-ceiling" in printed


def test_settings_that_are_wrong_fail_with_their_key(fork: Fork) -> None:
    base = fork.commit()
    fork.commit(metric={})
    printed, comment = fork.report(base, fails=True)
    assert "nervous-system:metric: unknown key; did you mean metrics?" in comment
    assert "nervous-system:metric: unknown key; did you mean metrics?" in printed


def test_a_base_that_is_not_there_is_told_in_one_message(fork: Fork) -> None:
    fork.commit()
    printed, _ = fork.report("no-such-branch", fails=True)
    assert printed.count("no commit no-such-branch") == 1
