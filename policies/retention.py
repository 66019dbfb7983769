"""Retention: as long as must be, as short as may be, and no more than the disk holds.

What is kept stands in the config files that containers carry, and on command lines: Prometheus' time and size, Loki's
periods, the life of Jaeger's spans in Badger, the days after which its index cleaner deletes.
"""

import contextlib
import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import durationpy
from pulumi_policy import Policy
from pulumi_policy.proxy import UnknownValueError

from declared import (
    CONTAINER,
    ENVIRONMENT,
    STACK,
    Config,
    Resource,
    Wrong,
    arguments,
    environment,
    keeps_running,
    whole,
    wrong,
)
from files import File, Kind, UnreadableError, files

DAY_SECONDS = 86_400
GIB = 2**30

DAYS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "prod*": {"metrics": (30, 400), "logs": (14, 90), "traces": (3, 30)},
    "*": {"metrics": (0, 400), "logs": (0, 90), "traces": (0, 30)},
}
"""Environment → signal → least and most days. Least: what an incident in production is looked into with. Most: logs and
traces hold personal data, which may not be kept for longer than there is a need (GDPR, article 5); metrics a year and
the month before it, for comparison. These are defaults and no legal advice: yours go into the policy's config."""

PROMETHEUS_DEFAULT_DAYS = 15
"""Where neither time nor size is set (Prometheus docs, storage)."""

BUDGET_OUTPUT = "disk_budget_mib"
"""Stack output by which a program binds itself to less than the disk would hold."""
DISK_GIB = 200
FILL_PERCENT = 75
"""What the stack may plan to fill: the host's own services, images and headroom need the rest."""
LOGS_GIB_PER_DAY = 1.0
TRACES_GIB_PER_DAY = 2.0
"""What Loki and Jaeger write a day where nothing bounds their size: the budgets of the host in the README."""


@dataclass(frozen=True)
class Kept:
    """How long something is kept."""

    signal: str
    """metrics, logs or traces."""
    days: float | None
    """None for ever."""
    where: str
    environment: str
    gib: float | None = None
    """The most that it takes, where that is declared."""
    part: bool = False
    """Whether this is an exception for a part of the signal: it may be shorter than the least."""
    on_disk: bool = True


@dataclass(frozen=True)
class Size:
    """What else takes a place on the disk."""

    what: str
    gib: float


@dataclass(frozen=True)
class Storage:
    """An Elasticsearch or OpenSearch that Jaeger stores in."""

    hosts: frozenset[str]
    where: str
    environment: str


@dataclass(frozen=True)
class Here:
    """A container that runs in this stack."""

    names: frozenset[str]


@dataclass(frozen=True)
class Budget:
    """What the program says that it may fill."""

    gib: float


Found = Kept | Size | Storage | Here | Budget | Wrong


def days_of(span: Any) -> float:
    """A duration as the services spell it, in days.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(durationpy.from_str(str(span)).total_seconds()) / DAY_SECONDS
    except (durationpy.DurationError, ValueError, KeyError) as error:
        raise ValueError(f"{span!r} is no duration") from error


def gib_of(size: Any) -> float:
    """A size as Prometheus spells it (`45GB` is 45 GiB), in GiB.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)i?B?", str(size))
    if not match:
        raise ValueError(f"{size!r} is no size")
    return float(match[1]) * 1024.0 ** " KMGTPE".index(match[2] or " ") / GIB


def _read(resource: Resource, config: Config) -> Iterator[Found]:
    if resource.resource_type == STACK and (stated := resource.props.get(BUDGET_OUTPUT)) is not None:
        yield Budget(float(stated) / 1024)
    if resource.resource_type != CONTAINER:
        return
    container, where = resource.props, environment(resource, config)
    try:
        for file in files(container):
            yield from _in_file(file, where)
        yield from _on_command_line(resource, where)
    except (ValueError, UnreadableError, AttributeError, TypeError, KeyError) as error:
        yield Wrong(f"container {resource.name}: {error}")
    if keeps_running(container):
        yield Here(frozenset(_names(resource)))
        yield from _own_log(resource)


def _names(resource: Resource) -> Iterator[str]:
    """By which others reach the container."""
    yield resource.name
    for key in ("name", "hostname"):
        with contextlib.suppress(UnknownValueError):  # a host name that the provider fills in
            yield str(resource.props.get(key))


def _in_file(file: File, where: str) -> Iterator[Found]:
    document = file.document
    if file.kind is Kind.PROMETHEUS:
        kept = ((document.get("storage") or {}).get("tsdb") or {}).get("retention") or {}
        if kept:
            yield _metrics(kept.get("time"), kept.get("size"), file.path, where)
    elif file.kind is Kind.LOKI:
        yield from _loki(document, file.path, where)
    elif file.kind is Kind.LOKI_OVERRIDES:
        for tenant, limits in document["overrides"].items():
            yield from _loki_limits(limits, f"{file.path}, {tenant}", where, on_disk=True)
    elif file.kind is Kind.COLLECTOR:
        yield from _jaeger(document, file.path, where)
        yield from _queues(document, file.path)
    else:
        yield from _cleaner(file.text, file.path, where)


def _metrics(time: Any, size: Any, place: str, where: str) -> Kept:
    days = days_of(time) if time else None
    gib = gib_of(size) if size and gib_of(size) else None
    if days is None and gib is None:
        days = PROMETHEUS_DEFAULT_DAYS
    return Kept("metrics", days, place, where, gib)


def _on_command_line(resource: Resource, where: str) -> Iterator[Found]:
    given = arguments(resource.props)
    flags = dict(re.findall(r"^--storage\.tsdb\.retention\.(time|size)=(\S+)$", "\n".join(given), re.MULTILINE))
    if flags:
        yield _metrics(flags.get("time"), flags.get("size"), f"container {resource.name}", where)
    yield from _cleaner(" ".join(given), f"container {resource.name}", where)


def _cleaner(text: str, place: str, where: str) -> Iterator[Kept]:
    """Jaeger's cleaner deletes an index of a day when it is so many days old: the first of them is not whole."""
    for days in re.findall(r"es-index-cleaner\S*\s+(\d+)\s", text):
        yield Kept("traces", int(days) - 1, place, where)


def _loki(document: Mapping[str, Any], place: str, where: str) -> Iterator[Found]:
    stores = [period.get("object_store") for period in (document.get("schema_config") or {}).get("configs") or ()]
    on_disk = not stores or stores[-1] == "filesystem"
    if not (document.get("compactor") or {}).get("retention_enabled"):
        yield Kept("logs", None, f"{place} (without compactor.retention_enabled)", where, on_disk=on_disk)
        return
    yield from _loki_limits(document.get("limits_config") or {}, f"{place}, limits_config", where, on_disk=on_disk)


def _loki_limits(limits: Mapping[str, Any], place: str, where: str, *, on_disk: bool) -> Iterator[Found]:
    if (period := limits.get("retention_period")) is not None:
        yield Kept("logs", days_of(period) or None, place, where, on_disk=on_disk)  # 0s is for ever
    for stream in limits.get("retention_stream") or ():
        within = f"{place}, {stream.get('selector')}"
        yield Kept("logs", days_of(stream.get("period")) or None, within, where, part=True, on_disk=on_disk)


def _jaeger(document: Mapping[str, Any], place: str, where: str) -> Iterator[Found]:
    backends = ((document.get("extensions") or {}).get("jaeger_storage") or {}).get("backends") or {}
    for name, backend in backends.items():
        if badger := (backend or {}).get("badger"):
            spans = (badger.get("ttl") or {}).get("spans", "72h")  # Jaeger's default
            yield Kept("traces", days_of(spans) or None, f"{place}, {name}", where)
        for kind in ("elasticsearch", "opensearch"):
            if (backend or {}).get(kind):
                hosts = frozenset(urlsplit(str(url)).hostname or "" for url in backend[kind].get("server_urls") or ())
                yield Storage(hosts, f"{place}, {name}", where)


def _queues(document: Mapping[str, Any], place: str) -> Iterator[Size]:
    for name, exporter in (document.get("exporters") or {}).items():
        queue = (exporter or {}).get("sending_queue") or {}
        if queue.get("storage") and queue.get("sizer") == "bytes":
            yield Size(f"queue of {name} in {place}", float(queue.get("queue_size", 0)) / GIB)


def _own_log(resource: Resource) -> Iterator[Size]:
    """What Docker keeps of the container's own lines."""
    rotation = resource.props.get("logOpts") or {}
    if resource.props.get("logDriver") == "json-file" and "max-size" in rotation:
        size = gib_of(str(rotation["max-size"]).upper()) * int(rotation.get("max-file", 1))
        yield Size("the containers' own logs", size)


def _judge(found: list[Found], config: Config) -> Iterator[str]:
    yield from wrong(found)
    for kept in dict.fromkeys(_kept(found)):
        least, most = _bounds(config["days"], kept.environment, kept.signal)
        named = f"{kept.where}: {kept.signal} are kept "
        of = f"in {kept.environment}"
        if kept.days is None and kept.gib is None:
            yield f"{named}for ever, and at most {most:g} days are allowed {of}: set a retention"
        elif kept.days is not None and kept.days > most:
            yield f"{named}{kept.days:g} days, and at most {most:g} are allowed {of}: shorten the retention"
        elif kept.days is not None and kept.days < least and not kept.part:
            yield f"{named}{kept.days:g} days, and at least {least:g} are needed {of}: lengthen the retention"


def _kept(found: list[Found]) -> Iterator[Kept]:
    kept = [fact for fact in found if isinstance(fact, Kept)]
    yield from kept
    cleaned = any(fact.signal == "traces" for fact in kept)
    for storage in found:
        if isinstance(storage, Storage) and not cleaned:
            yield Kept("traces", None, f"{storage.where} (no jaeger-es-index-cleaner deletes)", storage.environment)


def _bounds(days: Mapping[str, Mapping[str, Iterable[float]]], environment: str, signal: str) -> tuple[float, float]:
    for pattern, bounds in days.items():
        if fnmatch.fnmatchcase(environment, pattern) and signal in bounds:
            least, most = bounds[signal]
            return least, most
    return 0, float("inf")


def _judge_disk(found: list[Found], config: Config) -> Iterator[str]:
    sizes: dict[str, float] = {}
    for kept in dict.fromkeys(fact for fact in found if isinstance(fact, Kept) and not fact.part):
        if kept.signal == "metrics" and kept.gib is None:
            yield f"{kept.where}: nothing bounds the size of the metrics: set retention.size beside the time"
        if kept.gib is not None:
            sizes["metrics"] = max(sizes.get("metrics", 0), kept.gib)
    on_disk = _signals_on_disk(found)
    for signal in ("logs", "traces"):
        days = [kept.days for kept in _kept(found) if kept.signal == signal and not kept.part]
        if signal in on_disk and days and None not in days:
            longest = max(day for day in days if day is not None)
            sizes[f"{signal} of {longest:g} days"] = longest * config[f"{signal}_gib_per_day"]
    for size in _once(found):
        sizes[size.what.partition(" in ")[0]] = sizes.get(size.what.partition(" in ")[0], 0) + size.gib
    total, most = sum(sizes.values()), config["disk_gib"] * config["fill_percent"] / 100
    stated = min((fact.gib for fact in found if isinstance(fact, Budget)), default=most)
    shares = ", ".join(f"{what} {gib:.0f}" for what, gib in sorted(sizes.items(), key=lambda share: -share[1])[:4])
    kept_in_all = f"{total:.0f} GiB would be kept ({shares}), and"
    if total > most:
        yield (
            f"{kept_in_all} {config['fill_percent']:g} % of the disk of {config['disk_gib']:g} GiB "
            f"are {most:.0f} GiB: shorten a retention, lower a size, or name the bigger disk in the policy's config"
        )
    elif total > stated:
        yield (
            f"{kept_in_all} the stack's disk budget is {stated:.0f} GiB: shorten a retention, "
            "lower a size, or raise disk.budget if the disk holds it"
        )


def _signals_on_disk(found: list[Found]) -> set[str]:
    """Signals that this host keeps itself: not in an object store, nor in somebody else's cluster."""
    here = frozenset[str]().union(*(fact.names for fact in found if isinstance(fact, Here)))
    signals = (
        {"logs"} if all(kept.on_disk for kept in found if isinstance(kept, Kept) and kept.signal == "logs") else set()
    )
    storages = [fact for fact in found if isinstance(fact, Storage)]
    if not storages or any(storage.hosts & here for storage in storages):
        signals.add("traces")
    return signals


def _once(found: list[Found]) -> Iterator[Size]:
    """Each queue counts once, whatever the number of containers that carry its file; each container's log counts."""
    seen = set()
    for size in (fact for fact in found if isinstance(fact, Size)):
        if not size.what.startswith("queue") or size not in seen:
            seen.add(size)
            yield size


RETENTION = whole(
    "retention-bounds",
    "Metrics, logs and traces are kept as long as is needed and allowed.",
    _read,
    _judge,
    fix="Set the retention within the bounds of the environment; other bounds go into `days` of the policy's config.",
    config={
        "environment": ENVIRONMENT,
        "days": {
            "type": "object",
            "default": {name: {signal: list(days) for signal, days in of.items()} for name, of in DAYS.items()},
            "description": "Name of an environment, or a pattern as of a shell → metrics, logs, traces → least and most days. "
            "The first that matches counts.",
        },
    },
)

DISK = whole(
    "disk-budget",
    "What is kept fits the disk.",
    _read,
    _judge_disk,
    fix="Shorten a retention or lower a size; for a bigger disk set disk_gib of disk-budget with --policy-pack-config.",
    config={
        "environment": ENVIRONMENT,
        "disk_gib": {"type": "number", "default": DISK_GIB, "description": "The disk of the engine's data."},
        "fill_percent": {
            "type": "number",
            "default": FILL_PERCENT,
            "description": "Of the disk, that may be planned with.",
        },
        "logs_gib_per_day": {"type": "number", "default": LOGS_GIB_PER_DAY, "description": "What Loki writes a day."},
        "traces_gib_per_day": {
            "type": "number",
            "default": TRACES_GIB_PER_DAY,
            "description": "What Jaeger writes a day.",
        },
    },
)

POLICIES: tuple[Policy, ...] = (RETENTION, DISK)
