"""What `make lint` runs: the style and the types of everything that is written here."""

import functools
import subprocess
import sys
from pathlib import Path

from toolchain import golang, pulumi_cli, store
from toolchain.images import FOLDER as IMAGES
from toolchain.paths import REPOSITORY
from toolchain.report import Step, ToolchainError, run

MODULES = {pulumi_cli.MODULE: pulumi_cli.TAGS, IMAGES / "cadvisor": "netgo"}
"""Go that is written here → build tags."""


def lint() -> None:
    """Run all checks, and fail after the last if one of them did."""
    failed = [name for name, command in _python_checks().items() if not _passes(name, command)]
    scripts = sorted(str(path) for path in (*REPOSITORY.glob("*/*.sh"), REPOSITORY / ".ci" / "run"))
    failed += [script for script in scripts if not _passes(f"sh -n {Path(script).name}", ["sh", "-n", script])]
    if failed:
        raise ToolchainError(
            f"lint: {', '.join(failed)}", fix="see above; `ruff check --fix` and `ruff format` mend most"
        )
    for module, tags in MODULES.items():
        # Compiling what they import takes minutes the first time: once for each state of the sources.
        store.product(f"vet-{module.name}", store.content_key(module), functools.partial(_vet, module, tags))


def _python_checks() -> dict[str, list[str]]:
    return {
        "ruff check": [sys.executable, "-m", "ruff", "check", "--quiet"],
        "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "--quiet"],
        "mypy": [sys.executable, "-m", "mypy", "--no-error-summary", "."],
    }


def _passes(name: str, command: list[str]) -> bool:
    try:
        with Step(name):
            subprocess.run(command, cwd=REPOSITORY, check=True)
    except subprocess.CalledProcessError:
        return False
    return True


def _vet(module: Path, tags: str, _passed: Path) -> None:
    go = golang.toolchain()
    with Step(f"go vet {module.relative_to(REPOSITORY)}"):
        unformatted = run([Path(go.path).with_name("gofmt"), "-l", "."], cwd=module, log="gofmt")
        if unformatted:
            raise ToolchainError(f"not formatted: {unformatted.strip()}", fix="gofmt -w them")
        run([go.path, "vet", *golang.FLAGS, "-tags", tags, "./..."], cwd=module, env=go.environment(), log="go-vet")
