"""Build products outside the checkout, each under a key made from all its inputs.

A product is either complete or not there: it is built in a temporary folder and renamed. A lock per product keeps two
runs from doing the same work twice.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from toolchain.paths import cache_dir

KEY_LENGTH = 12


def content_key(*parts: str | Path) -> str:
    """A hash of texts, files and folders, in `KEY_LENGTH` hexadecimal digits. Where a file or folder is does not change
    it."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            _add(digest, "text", part.encode())
        elif part.is_dir():
            for file in sorted(path for path in part.rglob("*") if path.is_file()):
                _add(digest, file.relative_to(part).as_posix(), file.read_bytes())
        else:
            _add(digest, part.name, part.read_bytes())
    return digest.hexdigest()[:KEY_LENGTH]


def _add(digest: "hashlib._Hash", name: str, content: bytes) -> None:
    # Lengths distinguish ("ab", "c") from ("a", "bc").
    digest.update(f"{len(name)} {len(content)} {name}".encode())
    digest.update(content)


def product_path(name: str, key: str) -> Path:
    return cache_dir() / "products" / f"{name}-{key}"


def product(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of the product. If it does not exist, `build` fills an empty one."""
    path = product_path(name, key)
    if path.is_dir():
        return path
    with lock(name):
        if path.is_dir():  # another run has built it
            return path
        path.parent.mkdir(exist_ok=True)
        for leftover in path.parent.glob(f".{name}-*"):  # left by a killed run: this process holds the lock
            shutil.rmtree(leftover)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=path.parent))
        try:
            build(unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return path


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock that only one process can hold. The kernel releases it when the process dies."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
