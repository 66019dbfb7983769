"""The script that makes `.venv`, on systems that lack what Linux has."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from toolchain.paths import REPOSITORY

PROGRAMS = ("sh", "dirname", "cat", "awk", "cut", "mkdir", "rm", "mv")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Enough of one for the script, and a folder with few programs."""
    (tmp_path / "toolchain").mkdir()
    shutil.copy(REPOSITORY / "toolchain" / "python-env.sh", tmp_path / "toolchain")
    (tmp_path / "requirements.txt").write_text("uv==1 \\\n    --hash=sha256:0\n")
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def program(checkout: Path, name: str, text: str) -> None:
    file = checkout / "bin" / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def run(checkout: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "bin"), "HOME": str(checkout)}
    return subprocess.run(
        ["/bin/sh", "toolchain/python-env.sh"],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def with_uv(checkout: Path) -> None:
    """A Python that says its version, and a uv that was installed before."""
    program(checkout, "python3", 'case "$1" in -VV) echo Python 3.11.2;; esac')
    key = hashlib.sha256((checkout / "requirements.txt").read_bytes()).hexdigest()[:12]
    folder = checkout / ".cache" / "nervous-system" / f"uv-{key}" / "bin"
    folder.mkdir(parents=True)
    for name in ("uv", "python"):
        (folder / name).write_text("#!/bin/sh\n/bin/mkdir -p .venv\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sha256sum", 'exec {real} "$@"'),
        ("shasum", '[ "$1 $2" = "-a 256" ] || exit 1; shift 2; exec {real} "$@"'),
    ],
    ids=["Linux", "macOS 14"],
)
def test_the_stamp_begins_with_the_hash_of_the_requirements(name: str, text: str, checkout: Path) -> None:
    with_uv(checkout)
    program(checkout, name, text.format(real=shutil.which("sha256sum")))
    result = run(checkout)
    assert result.returncode == 0, result.stderr
    wanted = hashlib.sha256((checkout / "requirements.txt").read_bytes()).hexdigest()
    assert (checkout / ".venv" / "made-from").read_text().startswith(f"{wanted}  requirements.txt\n")


def test_without_either_nothing_is_made(checkout: Path) -> None:
    """It went on, and a changed requirements.txt was never installed."""
    with_uv(checkout)
    result = run(checkout)
    assert result.returncode != 0
    assert not (checkout / ".venv").exists()


def test_without_python_it_says_so_where_nothing_can_be_installed(checkout: Path) -> None:
    result = run(checkout)
    assert result.returncode == 1
    assert "Python 3.11 or newer is missing" in result.stderr
    assert "\n  What to do: " in result.stderr
