"""Debian and Ubuntu packages: installed on this machine, or only unpacked."""

import os
import shutil

from toolchain.report import CommandError, ToolchainError, run


def as_root(*command: str) -> list[str]:
    """The command, with sudo where this process is not root."""
    if os.geteuid() == 0:
        return list(command)
    if not shutil.which("sudo"):
        raise ToolchainError(f"root is needed for: {' '.join(command)}", fix="run it as root, or install sudo")
    return ["sudo", *command]


def install(*packages: str) -> None:
    """Install distribution packages; refreshes the package lists once if one is not found in them."""
    if not shutil.which("apt-get"):
        raise ToolchainError(
            f"missing on this machine: {', '.join(packages)}",
            fix="this is no Debian or Ubuntu: install them with the machine's own package manager, then run again",
        )
    # env, not the environment: sudo does not pass it on.
    line = as_root(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", *packages
    )
    try:
        run(line, log="apt-install")
    except CommandError:
        run(as_root("apt-get", "update"), log="apt-update", fix="check the package sources of this machine")
        run(line, log="apt-install", fix="repair the package installation by hand, then run again")
