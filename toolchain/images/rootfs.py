"""The file system of an image, as a tar archive: any engine loads it, without a builder.

Owners and modes are written into the archive, so nothing here needs root, and the same content is always the same
archive.
"""

import io
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

WORLD_WRITABLE = 0o1777


class Rootfs:
    """Collects files, folders and links into a tar archive."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=archive, mode="w")  # noqa: SIM115  # closed by close()
        self._folders = {PurePosixPath("/")}

    def folder(self, path: str, *, owner: int = 0, mode: int = 0o755) -> None:
        """A folder, with its parents."""
        if PurePosixPath(path) not in self._folders:
            self._folders.add(PurePosixPath(path))
            self._add(path, tarfile.DIRTYPE, mode=mode, uid=owner, gid=owner)

    def text(self, path: str, content: str, *, mode: int = 0o644) -> None:
        data = content.encode()
        self._add(path, tarfile.REGTYPE, io.BytesIO(data), mode=mode, size=len(data))

    def copy(self, path: str, source: Path) -> None:
        """A program of this machine, or a library of one; a link is followed."""
        with source.open("rb") as content:
            self._add(path, tarfile.REGTYPE, content, mode=0o755, size=source.stat().st_size)

    def link(self, path: str, target: str) -> None:
        self._add(path, tarfile.SYMTYPE, mode=0o777, linkname=target)

    def close(self) -> None:
        self._tar.close()

    def _add(self, path: str, kind: bytes, content: IO[bytes] | None = None, **facts: int | str) -> None:
        for parent in reversed(PurePosixPath(path).parents):
            self.folder(str(parent))
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type = kind
        for name, value in facts.items():
            setattr(entry, name, value)
        self._tar.addfile(entry, content)
