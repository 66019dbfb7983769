"""Debian and Ubuntu packages: install them on this machine, or only unpack them."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from toolchain.report import CommandError, ToolchainError, run


def as_root(*command: str) -> list[str]:
    """Return the command, with sudo in front if this process is not root."""
    if os.geteuid() == 0:
        return list(command)
    if not shutil.which("sudo"):
        raise ToolchainError(f"root is needed for: {' '.join(command)}", fix="run it as root, or install sudo")
    return ["sudo", *command]


def install(*packages: str) -> None:
    """Install distribution packages. If apt does not find one, refresh the package lists and try once more.

    Raises:
        ToolchainError: the packages cannot be installed.
    """
    if not shutil.which("apt-get"):
        raise ToolchainError(
            f"missing on this machine: {', '.join(packages)}",
            fix="this is neither Debian nor Ubuntu: install them with the machine's own package manager, then run again",
        )
    # sudo does not pass the environment on, so `env` sets it.
    line = as_root(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", *packages
    )
    try:
        run(line, log="apt-install")
    except CommandError:
        run(as_root("apt-get", "update"), log="apt-update", fix="check the package sources of this machine")
        run(line, log="apt-install", fix="repair the package installation by hand, then run again")


def release() -> str:
    """The distribution and processor that packages are for, such as `debian 12 x86_64` or `debian 12 aarch64`. Part of every cache key of what
    is made from packages, because their versions differ by release."""
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        facts = {}
    return f"{facts.get('ID', platform.system())} {facts.get('VERSION_ID', '')} {platform.machine()}"


def newest(prefix: str) -> str:
    """The package in this release whose number after `prefix` is highest: `python3.` → `python3.11`.

    Raises:
        ToolchainError: the package lists have none.
    """
    packages = run(["apt-cache", "search", "--names-only", f"^{prefix}[0-9]+$"], log="apt-search").split("\n")
    names = [line.split()[0] for line in packages if line]
    if not names:
        raise ToolchainError(f"the package lists have no {prefix}*", fix="apt-get update, then run again")
    return max(names, key=lambda name: int(name.removeprefix(prefix)))


def unpack(packages: Sequence[str], folder: Path) -> None:
    """Unpack packages and the libraries that they depend on into `folder`, without installing anything.

    Raises:
        ToolchainError: this is not Debian or Ubuntu, or a package cannot be downloaded.
    """
    if not shutil.which("apt-get"):
        raise ToolchainError(
            f"the packages {', '.join(packages)} are needed, and this is neither Debian nor Ubuntu",
            fix="use a machine with one of them, or a network with an image registry",
        )
    wanted = sorted({*packages, *_libraries(packages)})
    with tempfile.TemporaryDirectory() as downloads:
        # As root, apt would download as another user, who may not write to this folder.
        download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *wanted]
        try:
            run(download, cwd=Path(downloads), log="apt-download")
        except CommandError:
            run(as_root("apt-get", "update"), log="apt-update", fix="check the package sources of this machine")
            run(download, cwd=Path(downloads), log="apt-download")
        for package in sorted(Path(downloads).glob("*.deb")):
            run(["dpkg-deb", "--extract", package, folder], log="dpkg-deb")


def _libraries(packages: Sequence[str]) -> list[str]:
    """All library packages that these depend on, directly or indirectly."""
    kinds = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
    tree = run(["apt-cache", "depends", "--recurse", *(f"--no-{kind}" for kind in kinds), *packages], log="apt-depends")
    return [line for line in tree.splitlines() if line.startswith("lib") and ":" not in line]


def shared_objects(root: Path, *binaries: Path) -> dict[str, Path]:
    """Path in an image → file below `root`, for the loader and the libraries of dynamically linked binaries.

    The packages' own loader resolves them, so that none of this machine's libraries get in.
    """
    loaders = [path for path in root.rglob("ld-linux*.so.*") if path.is_file() and not path.is_symlink()]
    if not loaders:
        return {}
    folders = sorted({str(path.parent) for path in root.rglob("*.so.*")})
    result: dict[str, Path] = {}
    for binary in binaries:
        listing = subprocess.run(
            [loaders[0], "--library-path", ":".join(folders), "--list", binary],
            capture_output=True,
            text=True,
            check=False,
        )
        if listing.returncode:
            continue  # a static binary
        for line in listing.stdout.splitlines():
            name, arrow, target = line.strip().partition(" => ")
            path = Path(target.split(" (")[0])
            if arrow and name.startswith("/"):
                result[name] = loaders[0]  # where the kernel looks for the loader
            elif arrow and path.is_file():
                # The loader searches this folder without any configuration.
                result[f"/lib/{loaders[0].parent.name}/{name}"] = path
    return result
