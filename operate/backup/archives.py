"""Checks the archives of a backup before any of it is written, because somebody may have changed them meanwhile."""

import io
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator

from config.settings import Settings
from config.sizes import MIB
from operate.backup.manifest import Kept
from operate.backup.place import DamagedError, Pieces, Place, Stored

_BLOCK = 512
_FOLDER = "data"
"""First part of every path in a backup (`volume.py`)."""
_LONGEST_LIST = 256 * MIB
"""Limit of the list of all file names: more than a volume with a million files has."""
_MAPPED = 4096 * MIB
"""Limit of what files may have beyond their content: files that Badger maps into memory are longer than what is in
them."""


def room(settings: Settings) -> int:
    """Bytes to which a backup may unpack: twice the disk budget, because a file may be in both archives of a volume,
    plus `_MAPPED`."""
    return 2 * settings.disk.budget + _MAPPED


def must_be_sound(place: Place, copy: Kept, free_bytes: int) -> int:
    """Reads through the archives of one volume. Returns how many of the `free_bytes` remain once they are unpacked.

    Raises:
        DamagedError: an archive is damaged, has an entry that no volume of ours has, leads out of the volume, or is too
            large.
    """
    at_rest, changed, names = copy.files
    for file in (at_rest, changed):
        free_bytes = _judged(place, file, _archive, free_bytes)
    return _judged(place, names, _names, free_bytes)


def _judged(place: Place, file: Stored, judge: Callable[[Iterator[bytes], int], int], free_bytes: int) -> int:
    pieces = place.read(file)
    try:
        return judge(pieces, free_bytes)
    except (_WrongError, tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        for _ in pieces:  # read to the end: a file that was damaged on its way raises there
            pass
        raise DamagedError(
            f"{place.address}/{file.name} is not what `make backup` writes: {error}",
            fix="use another backup; nothing has been changed",
        ) from None


class _WrongError(Exception):
    """An archive holds something that it should not."""


def _archive(pieces: Iterator[bytes], free_bytes: int) -> int:
    source = _Blocks(_unpacked(pieces, free_bytes))
    with tarfile.open(fileobj=source, mode="r|", bufsize=_BLOCK) as archive:
        for member in archive:
            if wrong := _wrong(member):
                raise _WrongError(f"{member.name[:200]!r} {wrong}")
            archive.members = []  # type: ignore[attr-defined]  # tarfile would keep all of them
    if source.last.strip(b"\0") or len(source.last) != _BLOCK:  # tarfile takes a damaged header for the end
        raise _WrongError("it ends in the middle")
    if any(piece.strip(b"\0") for piece in iter(lambda: source.read(MIB), b"")):
        raise _WrongError("something stands behind its end")
    return free_bytes - source.size


def _wrong(member: tarfile.TarInfo) -> str:
    """Why no volume of ours has such an entry; empty if one may have it."""
    if not _inside(member.name):
        return "leads out of the volume"
    if member.issym() and not _inside(
        posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
    ):
        return "is a link that leads out of the volume"
    if member.islnk() and not _inside(member.linkname):
        return "is a link that leads out of the volume"
    if not (member.isdir() or member.issym() or member.islnk() or (member.isreg() and not member.issparse())):
        return "is neither a file nor a folder"
    return "would run with the rights of another user" if member.mode & 0o6000 and member.isreg() else ""


def _inside(path: str) -> bool:
    first, *rest = path.split("/")
    return first == _FOLDER and not {"", ".", ".."} & {*rest} and "\0" not in path


def _names(pieces: Iterator[bytes], free_bytes: int) -> int:
    size, rest = 0, b""
    for piece in _unpacked(pieces, min(free_bytes, _LONGEST_LIST)):
        size += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not _inside(line.decode("utf-8", "surrogateescape")):
                raise _WrongError(f"{line[:200]!r} leads out of the volume")
    if rest or not size:
        raise _WrongError("it ends in the middle")
    return free_bytes - size


def _unpacked(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Unpacks gzip, in pieces of 1 MiB at most. More than `most` bytes in all are refused."""
    inflate, size, begun = zlib.decompressobj(wbits=31), 0, False
    for piece in pieces:
        while piece:
            if inflate.eof:
                inflate = zlib.decompressobj(wbits=31)
            begun = True
            content = inflate.decompress(piece, MIB)
            piece = inflate.unconsumed_tail or inflate.unused_data  # noqa: PLW2901 - what is left of it
            size += len(content)
            if size > most:
                raise _WrongError(
                    f"it unpacks to more than {most // MIB} MiB, which is more than disk.budget has room for: raise that"
                )
            if content:
                yield content
    while not inflate.eof and (content := inflate.decompress(inflate.unconsumed_tail, MIB)):
        size += len(content)
        yield content
    if not begun or not inflate.eof:
        raise _WrongError("it ends in the middle")


class _Blocks(io.BufferedReader):
    """A file that remembers how many bytes were read, and the last block."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__(Pieces(pieces), MIB)
        self.last, self.size = b"", 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.last = super().read(size)
        self.size += len(self.last)
        return self.last
