"""Whatever is downloaded is compared with a hash that is in this repository."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from config.images import pins
from toolchain import golang
from toolchain.paths import REPOSITORY

FETCHES = re.compile(
    r"requests\.get\(|\bpip\"?,?\s*\"?install|\bnpm\b.*\bci\b|\"ci\"|\"mvn\"|\"mod\", \"download\"|apt-get\", \"(?:-o\", .*)?download"
    r"|apt-get\", \"install|\burlopen\("
)
KNOWN = {
    "toolchain/debian.py": "apt compares with the signature of the archive",
    "toolchain/golang.py": "go.txt and go.sum",
    "toolchain/images/shop.py": "examples/shop/requirements.txt",
    "toolchain/maven.py": "maven.txt",
    "toolchain/nodejs.py": "nodejs.txt and package-lock.json",
    "toolchain/pulumi_cli.py": "pulumi.txt",
    "toolchain/python-env.sh": "requirements.txt",
    "toolchain/reach.py": "nothing is kept",
    "operate/board.py": "becomes a file of the checkout, which Git pins",
    "operate/shop.py": "asks the shop that it has deployed",
}
"""Every place that fetches something → what that is compared with (docs/toolchain.md)."""


def _files(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    return [REPOSITORY / file for file in listed]


def test_no_place_fetches_anything_that_is_not_in_the_table() -> None:
    files = {
        file.relative_to(REPOSITORY).as_posix()
        for file in _files("toolchain/*.py", "operate/*.py", "toolchain/python-env.sh")
        if FETCHES.search(file.read_text())
    }
    assert files == set(KNOWN)


@pytest.mark.parametrize("file", _files("*requirements.txt", "toolchain/go.txt", "toolchain/nodejs.txt"), ids=str)
def test_every_python_package_has_a_hash(file: Path) -> None:
    lines = re.sub(r"\\\n\s*", " ", file.read_text()).splitlines()
    packages = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert packages
    assert all("==" in package and "--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("file", _files("*package-lock.json"), ids=str)
def test_every_node_module_has_a_hash(file: Path) -> None:
    modules = {name: module for name, module in json.loads(file.read_text())["packages"].items() if name}
    assert modules
    assert all(module.get("link") or module["integrity"].startswith("sha512-") for module in modules.values())


@pytest.mark.parametrize("module", [file for file in _files("*go.mod") if file.parent.name != "patch"], ids=str)
def test_every_go_module_has_a_hash(module: Path) -> None:
    """Go refuses what `go.sum` has not, unless it may write there."""
    assert "-mod=readonly" in golang.FLAGS
    sums = module.with_name("go.sum").read_text()
    assert all(" h1:" in line for line in sums.splitlines())
    if patch := golang.Patch.of(module.parent):  # downloaded by itself, in a copy of these two files
        assert re.search(rf"^{re.escape(patch.dependency)} v\S+ h1:", sums, re.MULTILINE)


def test_every_image_has_a_digest_but_those_that_have_to_be_pinned_by_a_stack() -> None:
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", pin.digest) for pin in pins().values() if pin.digest)


@pytest.mark.parametrize("file", _files(".github/workflows/*.yml"), ids=str)
def test_every_action_of_the_ci_is_a_commit(file: Path) -> None:
    for action in re.findall(r"uses: (\S+)", file.read_text()):
        assert re.search("@[0-9a-f]{40}$", action), action
