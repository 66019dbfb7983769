"""The checks of `make lint`: style and types of everything in this repository."""

import functools
import platform
import subprocess
import sys
from pathlib import Path

from toolchain import golang, nodejs, pulumi_cli, store
from toolchain.images import FOLDER as IMAGES
from toolchain.images.shop import FOLDER as SHOP
from toolchain.paths import REPOSITORY
from toolchain.report import Step, ToolchainError

STRANGERS = REPOSITORY / "tests" / "strangers"
MODULES = {
    pulumi_cli.MODULE: pulumi_cli.TAGS,
    **{IMAGES / name: "netgo" for name in ("cadvisor", "otel_collector", "alloy", "alertmanager")},
    SHOP: "netgo",
    STRANGERS / "go": "netgo",
}
"""Folder of Go sources of our own → build tags."""
ACTIONLINT = Path(__file__).with_name("actionlint")
ACTIONLINT_PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"


def lint() -> None:
    """Run all checks, then fail if one of them failed.

    Raises:
        ToolchainError: a check failed.
    """
    failed = [name for name, command in _python_checks().items() if not _passes(name, command)]
    scripts = sorted(
        str(path) for path in (*REPOSITORY.glob("*/*.sh"), *IMAGES.glob("*/*.sh"), REPOSITORY / ".ci" / "run")
    )
    failed += [script for script in scripts if not _passes(f"sh -n {Path(script).name}", ["sh", "-n", script])]
    failed += [
        script.name for script in sorted((*SHOP.glob("*/*.js"), *STRANGERS.glob("node/*.js")))
        if not _passes(f"node --check {script.name}", [str(nodejs.binary()), "--check", str(script)])
    ]  # fmt: skip
    # Without shellcheck and pyflakes: some machines have them, others do not.
    if not _passes("actionlint", [str(_actionlint()), "-shellcheck=", "-pyflakes="]):
        failed.append("actionlint")
    if failed:
        raise ToolchainError(
            f"lint: {', '.join(failed)}", fix="see above; `ruff check --fix` and `ruff format` fix most"
        )
    for module, tags in MODULES.items():
        # The first vet takes minutes, to compile dependencies. So it runs once for each state of the sources.
        store.product(f"vet-{module.name}", store.content_key(module), functools.partial(_vet, module, tags))


def _actionlint() -> Path:
    """Path of the linter for workflows. It is built from Go modules."""
    go = golang.toolchain()

    def build(folder: Path) -> None:
        with Step("actionlint: building from Go modules"):
            go.build(ACTIONLINT, [ACTIONLINT_PACKAGE], tags="", ldflags="-s -w", into=folder, log="build-actionlint")

    key = store.content_key(ACTIONLINT, go.version, platform.machine())
    return store.product("actionlint", key, build) / "actionlint"


def _python_checks() -> dict[str, list[str]]:
    return {
        "ruff check": [sys.executable, "-m", "ruff", "check", "--quiet"],
        "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "--quiet"],
        "mypy": [sys.executable, "-m", "mypy", "--no-error-summary", "."],
        "imports": [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"],
    }


def _passes(name: str, command: list[str]) -> bool:
    try:
        with Step(name):
            subprocess.run(command, cwd=REPOSITORY, check=True)
    except subprocess.CalledProcessError:
        return False
    return True


def _vet(module: Path, tags: str, _passed: Path) -> None:
    with Step(f"go vet {module.relative_to(REPOSITORY)}"):
        golang.toolchain().vet(module, tags=tags)
