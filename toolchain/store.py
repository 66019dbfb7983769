"""Build products outside the checkout, each under a key of all that it is made from.

A product is either whole or not there: it is built in a temporary folder and renamed into place. One lock per product
keeps two runs from doing the same work twice.
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
    """A short hash of texts, files and folders; a path's own location is not part of it."""
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
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    digest.update(f"{len(name)} {len(content)} {name}".encode())
    digest.update(content)


def product_path(name: str, key: str) -> Path:
    return cache_dir() / "products" / f"{name}-{key}"


def product(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder of the product; `build` fills an empty one if it is not there yet."""
    path = product_path(name, key)
    if path.is_dir():
        return path
    with lock(name):
        if path.is_dir():  # another run was faster
            return path
        path.parent.mkdir(exist_ok=True)
        for leftover in path.parent.glob(f".{name}-*"):  # of a run that was killed: the lock is ours
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
    """Held by one process at a time; the kernel lets go of it when that process dies."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
