"""Copies a volume while its service runs, and fills one from such a copy, by the Docker API alone.

    copy files at rest ──▶ hold the service ──▶ set aside changed files ──▶ release it ──▶ copy those
       minutes, gigabytes                          seconds, megabytes

While the service is held, its files are as after a kill of its process, which is better than after a power cut. A file
counts as changed by its time of change (ctime), which nobody can set, and which is always renewed: by a write, or, for
a file that is mapped into memory, by the first write to a page after the `sync` with which the copy begins.

A container of busybox on the host of the stack does all of it, without network: it has the volume, and reads it as
root. Its `tar` takes no list of files, so several archives are made, and joined without their ends.
"""

import contextlib
import io
import tarfile
import time
from collections.abc import Iterator
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from engine.docker_api import output
from operate import interrupts
from toolchain.report import ToolchainError

MARGIN_SECONDS = 2
"""Times of change are as fine as the ticks of the kernel's clock; the script compares whole seconds."""
HOLES_FROM_BYTES = 2**20
"""Size from which a file that is mostly holes waits for the second copy."""
TRIES = 3
"""Attempts to copy one volume."""
PAUSE_TRIES = 5
"""Attempts to pause one service."""

_COMMON = f"""set -u -o pipefail; cd /
files() {{ find data ! -type d -exec stat -c '%Z %b %s %n' {{}} + | awk -v began="$(cat /tmp/began)" '
    {{ rest = $1 < began - {MARGIN_SECONDS} && ($3 < {HOLES_FROM_BYTES} || $2 * 1024 >= $3) }}
    rest == ('"$1"') {{ sub(/^[^ ]+ [^ ]+ [^ ]+ /, ""); print }}'; }}
pack() {{ tr '\\n' '\\0' | xargs -0 -r -n 200 sh -c 'set -o pipefail; tar -c --no-recursion -- "$@" | head -c -1024' tar
    packed=$?; head -c 1024 /dev/zero && return $packed; }}
only_vanished() {{ [ -s /tmp/said ] && ! grep -v -e 'No such file or directory$' -e 'error exit delayed' /tmp/said >&2; }}
"""
"""Exit codes tell whether something went wrong, because an applet may print what is no error. Its output only tells
what went wrong."""
_AT_REST = f"""{_COMMON} date +%s >/tmp/began && sync || exit
{{ {{ files 1 | pack; }} 2>/tmp/said || only_vanished; }} | gzip"""
"""A file that vanishes meanwhile is no loss: the names that count are listed later. A file that is mostly holes waits
for the second copy too: by then it may have been cut to its length. `sync` writes back all of the host, because not
every busybox can sync one volume."""
_CHANGED = _COMMON + "{ find data -type d && files 0; } | pack >/tmp/changed && find data >/tmp/names"
"""It is compressed later, because the service waits."""
_REMOVE_REST = f"""{_COMMON} gunzip -c /tmp/names.gz >/tmp/names &&
find data | sort -r | awk 'NR == FNR {{ kept[$0]; next }} !($0 in kept)' /tmp/names - >/tmp/gone &&
tr '\\n' '\\0' </tmp/gone | xargs -0 -r -n 200 sh -c 'for one; do rmdir "$one" 2>/dev/null || rm -f "$one" || exit; done' rm
"""
ARCHIVES = ("at-rest.tar.gz", "changed.tar.gz", "names.gz")
"""Names of the archives of a volume, after the name of its service: `loki.at-rest.tar.gz`."""


def at_rest(volume: Container) -> Iterator[bytes]:
    """Yields an archive of the files that have not just changed, in pieces. The service keeps running."""
    yield from output(volume, ["sh", "-c", _AT_REST], [])


def set_aside(volume: Container) -> None:
    """Stores in the helper an archive of the files that have changed since, and the names of all files."""
    for _ in output(volume, ["sh", "-c", _CHANGED], []):
        pass


def changed(volume: Container) -> Iterator[bytes]:
    """Yields the archive that `set_aside` stored, compressed, in pieces."""
    yield from output(volume, ["gzip", "-c", "/tmp/changed"], [])  # noqa: S108 - inside the container


def names(volume: Container) -> Iterator[bytes]:
    """Yields the names of all files at the end: one path a line, compressed, in pieces."""
    yield from output(volume, ["gzip", "-c", "/tmp/names"], [])  # noqa: S108 - inside the container


@contextlib.contextmanager
def quiesced(service: Container | None, how: str, grace_seconds: int) -> Iterator[list[float]]:
    """Pauses or stops the service (`how`) for this block. The list gets the seconds for which it was paused
    or stopped. A service that does not run, or is gone, is left alone."""
    seconds: list[float] = []
    if service:
        service.reload()
    status = service.status if service else "gone"
    if service is None or status not in {"running", "paused"}:
        yield seconds
        seconds.append(0.0)
        return
    begin = time.monotonic()
    try:
        with interrupts.put_off():
            if how == "stopped" and status == "running":
                service.stop(timeout=grace_seconds)
            elif status == "running":
                _pause(service)
        yield seconds
    finally:  # also after a pause in which an earlier backup was killed
        with interrupts.put_off():
            service.reload()
            if service.status == "paused":
                service.unpause()
            elif service.status != "running":
                service.start()
            seconds.append(time.monotonic() - begin)


def _pause(service: Container) -> None:
    """Pauses the service. Tries more than once: while a process begins in the container, runc may be "unable to freeze"
    it (with cgroups v1, on a busy host)."""
    for _ in range(PAUSE_TRIES - 1):
        with contextlib.suppress(APIError):
            service.pause()
            return
        time.sleep(0.5)
    service.pause()


def exists(client: DockerClient, volume: str) -> bool:
    """Whether the engine has a volume of this name."""
    try:
        client.volumes.get(volume)
    except NotFound:
        return False
    return True


def fill(volume: Container, archives: tuple[Iterator[bytes], Iterator[bytes], Iterator[bytes]]) -> None:
    """Unpacks the archives into an empty volume, and removes the files that were gone at the end.

    Raises:
        ToolchainError: the engine does not take them.
        ChildProcessError: a file cannot be removed.
    """
    at_rest, changed, names = archives
    _put(volume, "/", at_rest)
    _put(volume, "/", changed)
    _put_file(volume, "names.gz", b"".join(names))
    for _ in output(volume, ["sh", "-c", _REMOVE_REST], []):
        pass


def _put(volume: Container, path: str, archive: Iterator[bytes]) -> None:
    stream: Any = archive
    if not volume.put_archive(path, stream):
        raise ToolchainError(f"the engine does not take an archive for {volume.name}")


def _put_file(volume: Container, name: str, content: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    _put(volume, "/tmp", iter([packed.getvalue()]))  # noqa: S108 - inside the container
