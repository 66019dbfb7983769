"""Python from distribution packages, for images."""

import shutil
from pathlib import Path

from toolchain import debian
from toolchain.report import Step


def unpack(folder: Path) -> str:
    """Unpacks Python into `folder`: `usr/bin/python3`, and `usr/lib` with its library. Returns its name, such as
    `python3.11`."""
    name = debian.newest("python3.")
    with Step(f"{name} from Debian"):
        debian.unpack((name, f"{name}-minimal"), folder)
        (folder / "usr" / "bin" / name).rename(folder / "usr" / "bin" / "python3")
        if (folder / "lib").is_dir():  # Debian 12 has some of the libraries there
            shutil.copytree(folder / "lib", folder / "usr" / "lib", symlinks=True, dirs_exist_ok=True)
    return name


def fill(folder: Path) -> None:
    """Python and nothing else."""
    unpack(folder)
