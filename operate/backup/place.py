"""Where a backup is stored: a folder, or a bucket of an S3-compatible store. Its files are written and read as streams,
and encrypted if you ask for it. None is ever in memory as a whole."""

import hashlib
import io
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyrage
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from operate.backup import keys
from operate.backup.keys import S3
from toolchain.report import ToolchainError

PIECE = 2**20
"""Bytes that are read or encrypted at a time."""
SMALL = 16 * PIECE
"""Limit in bytes for files that are read into memory as a whole."""


class Stored(BaseModel):
    """One file of a backup, as it is stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9-]+)+$")
    """Name of a file in the folder of the backup, and nowhere else."""
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DamagedError(ToolchainError):
    """A stored file differs from the one that was written, or cannot be read."""


class _NoBucketError(Exception):
    """The bucket does not exist, or these credentials may not use it."""


class Place:
    """A folder with the files of one backup.

    Args:
        address: a path, or `s3://bucket/path`. Endpoint and credentials of S3 are found as AWS's own tools find them.
        recipient: public key that encrypts the files; None to leave them in clear.
        identity: the file with the secret key that decrypts them.
    """

    def __init__(self, address: str, *, recipient: str | None = None, identity: Path | None = None) -> None:
        self.address = address.rstrip("/") if address.startswith(S3) else str(Path(address).expanduser().absolute())
        self._recipient = keys.recipient(recipient) if recipient else None
        self._identity = keys.identity(identity) if identity else None

    @contextmanager
    def made(self) -> Iterator[None]:
        """Makes an empty folder that only its owner may read, and removes it if this block fails: half a backup on a
        full disk would be in the way. (A bucket needs no folder, and keeps what was written to it.)

        Raises:
            ToolchainError: the place does not take it.
        """
        if self.address.startswith(S3):
            import boto3  # noqa: PLC0415 - as below

            with _errors_of(self.address), suppress(ClientError):  # the first file shows whether the bucket takes files
                boto3.client("s3").head_bucket(Bucket=self.address.removeprefix(S3).partition("/")[0])
            yield
            return
        with _errors_of(self.address):
            Path(self.address).mkdir(parents=True, mode=0o700)
        try:
            yield
        except BaseException:
            shutil.rmtree(self.address, ignore_errors=True)
            raise

    def write(self, name: str, pieces: Iterable[bytes]) -> Stored:
        """Writes one file from its pieces, whole or not at all.

        Raises:
            ToolchainError: the place does not take it.
        """
        name = f"{name}.age" if self._recipient else name
        failures: list[Exception] = []
        try:
            with _errors_of(self.address), self._open(name, "wb") as file:
                counted = _Counted(file)
                source = _noting(pieces, failures)
                if self._recipient:
                    pyrage.encrypt_io(io.BufferedReader(Pieces(source), PIECE), counted, [self._recipient])
                else:
                    for piece in source:
                        counted.write(piece)
        except (ToolchainError, pyrage.EncryptError):
            if failures:  # an error of the source, not of the place
                raise failures[0] from None
            raise
        return Stored(name=name, bytes=counted.bytes, sha256=counted.digest.hexdigest())

    def read(self, file: Stored) -> Iterator[bytes]:
        """Yields the pieces of a file, decrypted.

        Raises:
            DamagedError: it is not what was written, or the key does not open it.
            ToolchainError: it is encrypted, and there is no key.
        """
        if not file.name.endswith(".age"):
            yield from self._whole(file)
            return
        if not self._identity:
            raise ToolchainError(f"{self.address} is encrypted", fix="name the file with its secret key: IDENTITY=…")
        yield from self._opened(file)

    def must_hold(self, file: Stored) -> None:
        """Raises DamagedError if the file is missing, cut short, or changed."""
        for _ in self._whole(file):
            pass

    def _whole(self, file: Stored) -> Iterator[bytes]:
        """Yields the pieces of a file as they are stored, and raises DamagedError at the end if they are not those that
        were written. It does so for a file that was judged before too, because somebody else may change it in
        between."""
        digest, size = hashlib.sha256(), 0
        for piece in self._pieces(file.name):
            digest.update(piece)
            size += len(piece)
            if size > file.bytes:
                break
            yield piece
        if (size, digest.hexdigest()) != (file.bytes, file.sha256):
            raise DamagedError(
                f"{self.address}/{file.name} is damaged: it has {size} bytes{' or more' if size > file.bytes else ''}, and had {file.bytes}"
                if size != file.bytes
                else f"{self.address}/{file.name} is damaged: its sha256 is another one",
                fix="use another backup",
            )

    def clear_text(self, name: str) -> bytes:
        """Reads a small file that is never encrypted.

        Raises:
            DamagedError: it is missing or not small, or the place does not answer.
        """
        text = b""
        for piece in self._pieces(name):
            text += piece
            if len(text) > SMALL:
                raise DamagedError(
                    f"{self.address}/{name} has more than {SMALL // PIECE} MiB, more than any file of a backup"
                )
        return text

    def write_clear_text(self, name: str, text: bytes) -> None:
        """Writes a small file that is never encrypted. It appears only once it is whole."""
        with _errors_of(self.address):
            if self.address.startswith(S3):
                with self._open(name, "wb") as file:
                    file.write(text)
            else:
                new = Path(self.address, f".{name}")
                new.write_bytes(text)
                with new.open("rb") as stream:
                    os.fsync(stream.fileno())
                new.rename(Path(self.address, name))

    def _open(self, name: str, mode: str) -> Any:
        # With boto3 it takes half a second of CPU to import, and every command would spend that.
        import smart_open  # noqa: PLC0415

        try:
            return smart_open.open(f"{self.address}/{name}", mode, compression="disable")
        except ValueError as error:
            raise _NoBucketError(error) from error

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self._open(name, "rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except (OSError, ClientError, BotoCoreError) as error:
            raise DamagedError(f"{self.address}/{name} cannot be read: {error}") from None

    def _opened(self, file: Stored) -> Iterator[bytes]:
        """Yields the decrypted pieces of a file. The library writes to a pipe, in a thread; this reads from that
        pipe."""
        outlet, inlet = os.pipe()
        failures: list[Exception] = []
        source = _noting(self._whole(file), failures)

        def push() -> None:
            with os.fdopen(inlet, "wb") as opened:
                try:
                    try:
                        pyrage.decrypt_io(io.BufferedReader(Pieces(source), PIECE), opened, [self._identity])
                    finally:
                        for _ in source:  # read to the end: a file that was damaged on its way raises there
                            pass
                except Exception as error:  # noqa: BLE001 - raised where the pieces are read
                    failures.append(error)

        pusher = threading.Thread(target=push, daemon=True)
        pusher.start()
        with os.fdopen(outlet, "rb") as opened:
            while piece := opened.read(PIECE):
                yield piece
        pusher.join()
        if failures:
            if isinstance(failures[0], ToolchainError):
                raise failures[0]
            raise DamagedError(
                f"{self.address}/{file.name} cannot be opened: {failures[0]}",
                fix="IDENTITY=… must name the key that it is for",
            )


@contextmanager
def _errors_of(address: str) -> Iterator[None]:
    """Turns the error of a place that does not take a file into one line."""
    try:
        yield
    except (OSError, ClientError, BotoCoreError, _NoBucketError) as error:
        raise ToolchainError(f"{address} does not take the backup: {error}") from error


def _noting(pieces: Iterable[bytes], failures: list[Exception]) -> Iterator[bytes]:
    try:
        yield from pieces
    except Exception as error:
        failures.append(error)
        raise


class _Counted:
    """A writer that counts and digests what passes through."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, piece: bytes) -> int:
        self._file.write(piece)
        self.digest.update(piece)
        self.bytes += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Does nothing: the file is flushed when it is closed."""


class Pieces(io.RawIOBase):
    """An iterator of bytes, as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._source = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._source, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
