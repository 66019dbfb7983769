"""Disks that are full, files that are damaged, volumes that are lost, memory that is used up."""

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from docker.errors import APIError

from config.sizes import MIB
from drills.crashes import started_anew
from drills.frame import Drill
from drills.ground import DISK_MIB, Ground, OnGround, Promise, reached
from tests.support import leftovers
from tests.support.deployment import DATA

FULL_SECONDS = 30
FULL = {"prometheus": Promise(scraped=False)}
"""Prometheus cannot keep what it has no room for."""
LOST = {
    "prometheus": Promise(history=False, scraped=False),
    "loki": Promise(lines=False),
    "jaeger": Promise(traces=False),
}
"""Service → what is promised when its data volume is gone: all but what was in it."""


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on a disk."""
    assert disk.is_mount(), f"{disk} is no disk of its own"
    ballast = disk / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"\0" * MIB):
                pass
        yield
    finally:
        ballast.unlink(missing_ok=True)


def disk_full(ground: Ground, *, service: str) -> str:
    with contextlib.ExitStack() as filled:
        return ground.drill(
            f"disk-{service}",
            fault=lambda: filled.enter_context(full(ground.disks[service])),
            heal=filled.close,
            seconds=FULL_SECONDS,
            promise=FULL.get(service, Promise()),
        )


def newest(disk: Path, pattern: str) -> Path:
    """The file that was written to last."""
    files = [file for file in disk.glob(pattern) if file.is_file() and file.stat().st_size]
    assert files, f"no file {pattern} in {sorted(str(file.relative_to(disk)) for file in disk.rglob('*'))[:20]}"
    return max(files, key=lambda file: file.stat().st_mtime)


def written(file: Path) -> int:
    """Bytes up to the end of what was written: some files are made larger in advance, and are holes from there on."""
    end = 0
    with file.open("rb") as opened, contextlib.suppress(OSError):  # nothing but a hole from here on
        while True:
            end = os.lseek(opened.fileno(), os.lseek(opened.fileno(), end, os.SEEK_DATA), os.SEEK_HOLE)
    return end


def garble(file: Path) -> None:
    """Overwrites the middle third of what was written to a file with chance."""
    size = written(file)
    with file.open("r+b") as opened:
        opened.seek(size // 3)
        opened.write(random.Random(file.name).randbytes(max(1, size // 3)))  # noqa: S311 - the same each time


@dataclass(frozen=True)
class Damage:
    """A file that is damaged while its service is down, as after a power cut."""

    service: str
    pattern: str
    what: str
    promise: Promise
    noted: bool = False
    """The service writes the file at its end only, and when there was something to note: it is stopped in good order."""
    by_hand: bool = False
    """Docker alone does not bring it back; `make up` does."""

    @property
    def cause(self) -> str:
        how = "stopped" if self.noted else "stopped hard"
        then = "; `make up`" if self.by_hand else ""
        return f"{self.service} is {how}, the middle of {self.what} is overwritten, and it is started{then}"


def garbled(ground: Ground, *, name: str, damage: Damage) -> str:
    service, disk = damage.service, ground.disks[damage.service]

    def strike() -> None:
        container = ground.container(service)
        container.stop(timeout=60 if damage.noted else 0)
        garble(newest(disk, damage.pattern))
        container.start()

    def heal() -> None:
        if damage.by_hand:
            ground.make_up()
        else:
            started_anew(ground, service)

    if damage.noted:
        ground.steady.raised(f"{name}-before")
        reached("an alert before is told", lambda: ground.steady.told(f"{name}-before", "FIRING"))
    try:
        return ground.drill(name, fault=strike, heal=heal, seconds=5, promise=damage.promise)
    except BaseException:
        emptied(ground, service)  # what cannot be read would fail all drills after this one
        raise


def emptied(ground: Ground, service: str) -> None:
    """Starts a service again, without its data."""
    container = ground.container(service)
    container.stop(timeout=0)
    ground.in_volume(service, "find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +")
    container.start()


GARBLED = {
    "wal-prometheus": Damage(
        "prometheus", "wal/0*", "the newest segment of its write-ahead log", Promise(history=False, scraped=False)
    ),
    "wal-loki": Damage("loki", "wal/0*", "the newest segment of its write-ahead log", Promise(lines=False)),
    "index-loki": Damage("loki", "tsdb-shipper-active/**/*", "the newest file of its index", Promise(lines=False)),
    "log-badger": Damage("jaeger", "values/*.vlog", "the newest value log of Badger", Promise(traces=False)),
    "table-badger": Damage("jaeger", "keys/*.mem", "what Badger has not sorted yet", Promise(traces=False)),
    "manifest-badger": Damage(
        "jaeger", "keys/MANIFEST", "the list of Badger's tables", Promise(traces=False), by_hand=True
    ),
    "positions-alloy": Damage("alloy", "**/positions.yml", "its positions", Promise(), by_hand=True),
    "queue-otel_collector": Damage("otel_collector", "**/*", "its queue", Promise(undecided=True), by_hand=True),
    "notes-alertmanager": Damage(
        "alertmanager", "nflog", "its notes of what was told", Promise(), noted=True, by_hand=True
    ),
}


def volume_lost(ground: Ground, *, service: str, kind: str) -> str:
    """Someone removes the container and its volume."""
    volume = f"{ground.stack.prefix}-{service}" + ("-config" if kind == "config" else "")

    def lose() -> None:
        ground.container(service).remove(force=True)
        holders = ground.client.containers.list(all=True, filters={"volume": volume})
        for container in holders:  # its loader
            container.remove(force=True, v=True)
        if kind == "data":
            leftovers.unmount(ground.disks[service])
        ground.client.volumes.get(volume).remove()

    promise = LOST[service] if kind == "data" else Promise(scraped=service != "prometheus")
    if service == "otel_collector":
        promise = Promise(undecided=True)
    return ground.drill(f"{kind}-lost-{service}", fault=lose, heal=ground.make_up, seconds=2, promise=promise)


def out_of_memory(ground: Ground) -> str:
    """The limit is lowered to little more than what Prometheus uses, and a process beside it takes the rest."""
    container = ground.container("prometheus")
    before = container.attrs["State"]["StartedAt"]

    def hog() -> None:
        stats: Any = container.stats(stream=False)
        used, parts = int(stats["memory_stats"]["usage"]), stats["memory_stats"]["stats"]
        files = int(parts.get("total_inactive_file", parts.get("inactive_file", 0)))  # cgroup v1, v2: goes when asked
        limit = used - files + 8 * MIB
        container.update(mem_limit=limit, memswap_limit=limit)
        with contextlib.suppress(APIError):  # the kernel may have killed it already
            for _ in range(2):
                container.exec_run(["dd", "if=/dev/zero", "of=/dev/null", f"bs={40 * MIB}", "count=8"], detach=True)
        reached("Prometheus is killed, and started again", lambda: ground.stack.started("prometheus") != before, 90)

    return ground.drill("memory-prometheus", fault=hog, heal=ground.make_up, seconds=2, promise=Promise(scraped=False))


def drills() -> list[OnGround]:
    disks = [
        Drill(
            f"disk-{service}",
            f"the disk of {service}'s data ({DISK_MIB} MiB) is full for {FULL_SECONDS} s",
            FULL.get(service, Promise()).text,
            partial(disk_full, service=service),
        )
        for service in DATA
    ]
    memory = Drill(
        "memory-prometheus",
        "Prometheus at its memory limit: the kernel kills its main process; Docker starts it again, `make up` restores the limit",
        Promise(scraped=False).text,
        out_of_memory,
    )
    files = [
        Drill(name, damage.cause, damage.promise.text, partial(garbled, name=name, damage=damage))
        for name, damage in GARBLED.items()
    ]
    return [*disks, memory, *files, *_lost()]


def _lost() -> list[OnGround]:
    def drill(service: str, kind: str, promise: Promise) -> OnGround:
        run: Callable[[Ground], str] = partial(volume_lost, service=service, kind=kind)
        cause = f"the container of {service} and its {kind} volume are removed; `make up`"
        return Drill(f"{kind}-lost-{service}", cause, promise.text, run)

    return [
        drill("prometheus", "config", Promise(scraped=False)),
        drill("otel_collector", "config", Promise(undecided=True)),
        *(drill(service, "data", promise) for service, promise in LOST.items()),
    ]
