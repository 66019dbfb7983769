"""Disks that are full, files that are damaged, volumes that are lost, memory that is used up."""

import contextlib
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from docker.errors import APIError

from config.units import MIB
from tests.drills.containers import started_anew
from tests.drills.frame import Drill
from tests.drills.ground import DISK_MIB, Ground, OnGround, Promise, reached
from tests.e2e.deployment import DATA

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


def garble(file: Path) -> None:
    """Overwrites the middle third of a file with chance."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 3)
        opened.write(random.Random(file.name).randbytes(max(1, size // 3)))  # noqa: S311 - the same each time


def garbled(ground: Ground, *, name: str, service: str, pattern: str, promise: Promise) -> str:
    """A file is damaged while the service is down, as after a power cut."""

    def damage() -> None:
        container = ground.container(service)
        container.stop(timeout=0)
        garble(newest(ground.disks[service], pattern))
        container.start()

    return ground.drill(name, fault=damage, heal=lambda: started_anew(ground, service), seconds=5, promise=promise)


GARBLED: dict[str, tuple[str, str, str, Promise]] = {
    "wal-prometheus": (
        "prometheus",
        "wal/0*",
        "the newest segment of its write-ahead log",
        Promise(history=False, scraped=False),
    ),
    "wal-loki": ("loki", "wal/0*", "the newest segment of its write-ahead log", Promise(lines=False)),
    "index-loki": ("loki", "tsdb-shipper-active/**/*", "the newest file of its index", Promise(lines=False)),
    "log-badger": ("jaeger", "values/*.vlog", "the newest value log of Badger", Promise(traces=False)),
    "manifest-badger": ("jaeger", "keys/MANIFEST", "the list of Badger's tables", Promise(traces=False)),
    "positions-alloy": ("alloy", "**/positions.yml", "its positions", Promise()),
    "queue-otel_collector": ("otel_collector", "**/*", "its queue", Promise(undecided=True)),
    "notes-alertmanager": ("alertmanager", "nflog", "its notes of what was told", Promise()),
}
"""Name → service, file, what it is, what is promised."""


def volume_lost(ground: Ground, *, service: str, kind: str) -> str:
    """The container and its volume are removed by hand."""
    volume = f"{ground.stack.prefix}-{service}" + ("-config" if kind == "config" else "")

    def lose() -> None:
        ground.container(service).remove(force=True)
        holders = ground.client.containers.list(all=True, filters={"volume": volume})
        for container in holders:  # its loader
            container.remove(force=True, v=True)
        if kind == "data":
            ground.remove_disk(service)
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
        limit = int(stats["memory_stats"]["usage"]) + 8 * MIB
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
        Drill(
            name,
            f"{service} is stopped hard, the middle of {what} is overwritten, and it is started",
            promise.text,
            partial(garbled, name=name, service=service, pattern=pattern, promise=promise),
        )
        for name, (service, pattern, what, promise) in GARBLED.items()
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
