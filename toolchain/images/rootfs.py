"""The file system of an image as a tar archive. Owners and modes are written into it, so nothing here needs root."""

import io
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from toolchain.images.faces import Folder

PLAIN = Folder(owner=0, group=0, mode=0o755)
CAPABILITY = "SCHILY.xattr.security.capability"
"""The header of an archive that stores a file's capabilities."""
CAPABILITIES = {"CAP_NET_BIND_SERVICE": 10}
"""Name → number in linux/capability.h, of those that a face has."""


class Rootfs:
    """Collects files, folders and links. What is there already stays."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=archive, mode="w")  # noqa: SIM115  # closed by close()
        self._there = {PurePosixPath("/")}
        self._deep: dict[PurePosixPath, Folder] = {}

    def folder(self, path: str, face: Folder = PLAIN) -> None:
        """A folder, with its parents."""
        if face.deep:
            self._deep[PurePosixPath(path)] = face
        self._add(path, tarfile.DIRTYPE, mode=face.mode, uid=face.owner, gid=face.group)

    def text(self, path: str, content: str, *, mode: int = 0o644) -> None:
        data = content.encode()
        self._add(path, tarfile.REGTYPE, io.BytesIO(data), mode=mode, size=len(data))

    def copy(self, path: str, source: Path, capabilities: Sequence[str] = ()) -> None:
        """A program of this machine, or a library of one; a link is followed."""
        with source.open("rb") as content:
            size = source.stat().st_size
            self._add(path, tarfile.REGTYPE, content, capabilities, mode=0o755, size=size)

    def tree(self, path: str, source: Path) -> None:
        """A folder of this machine with all that is in it."""
        for entry in sorted(source.rglob("*")):
            if entry.is_file():  # what a link leads to, where it leads inside
                self.copy(f"{path}/{entry.relative_to(source)}", entry)

    def link(self, path: str, target: str) -> None:
        self._add(path, tarfile.SYMTYPE, mode=0o777, linkname=target)

    def close(self) -> None:
        self._tar.close()

    def _add(
        self,
        path: str,
        kind: bytes,
        content: IO[bytes] | None = None,
        capabilities: Sequence[str] = (),
        **facts: int | str,
    ) -> None:
        place = PurePosixPath(path)
        if place in self._there:
            return
        self._there.add(place)
        for parent in reversed(place.parents):
            self.folder(str(parent))
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type = kind
        for parent in place.parents:
            if owner := self._deep.get(parent):
                entry.uid, entry.gid = owner.owner, owner.group
                break
        for name, value in facts.items():
            if value or name not in {"uid", "gid"}:
                setattr(entry, name, value)
        if capabilities:
            entry.pax_headers = {CAPABILITY: vfs_cap_data(capabilities).decode("utf-8", "surrogateescape")}
        self._tar.addfile(entry, content)


def vfs_cap_data(capabilities: Sequence[str]) -> bytes:
    """The extended attribute of a file that has these capabilities, permitted and effective (linux/capability.h, revision 2)."""
    revision, effective = 0x02000000, 1
    permitted = sum(1 << CAPABILITIES[name] for name in capabilities)
    return struct.pack("<5I", revision | effective, permitted & 0xFFFFFFFF, 0, permitted >> 32, 0)
