"""Retention settings in config files and on command lines: how long a stack keeps what, and how much disk that takes.

The settings are Prometheus' time and size, Loki's periods, the lifetime of Jaeger's spans in Badger, and the days after which
Jaeger's index cleaner deletes.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import durationpy

from policies.readers.declared_resources import Properties, Resource, arguments
from policies.readers.uploads import File, Kind

DAY_SECONDS = 86_400
GIB = 2**30

PROMETHEUS_DEFAULT_DAYS = 15
"""Prometheus' retention if neither time nor size is set (Prometheus docs, storage)."""


@dataclass(frozen=True)
class SignalRetention:
    """How long one signal is kept."""

    signal: str
    """metrics, logs or traces."""
    days: float | None
    """None if nothing is ever deleted."""
    where: str
    """Place in the container or file, for messages."""
    environment: str
    gib: float | None = None
    """Its largest size, if one is set."""
    part: bool = False
    """Whether it is an exception for a part of the signal, which may be shorter than the least."""
    on_disk: bool = True
    """Whether the data is on the host's disk, and not in an object store."""


@dataclass(frozen=True)
class DiskUse:
    """Anything else that takes room on the disk."""

    what: str
    gib: float


@dataclass(frozen=True)
class SearchStorage:
    """The Elasticsearch or OpenSearch in which Jaeger stores traces."""

    hosts: frozenset[str]
    where: str
    environment: str


Setting = SignalRetention | DiskUse | SearchStorage


def days_of(span: Any) -> float:
    """A duration in days, as the services spell it: 30.0 for `30d`, 7.0 for `168h0m0s`.

    Raises:
        ValueError: `span` is not a duration.
    """
    try:
        return float(durationpy.from_str(str(span)).total_seconds()) / DAY_SECONDS
    except (durationpy.DurationError, ValueError, KeyError) as error:
        raise ValueError(f"{span!r} is not a duration") from error


def gib_of(size: Any) -> float:
    """A size in GiB, as Prometheus spells it: 45.0 for `45GB`, which Prometheus reads as 45 GiB.

    Raises:
        ValueError: `size` is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)i?B?", str(size))
    if not match:
        raise ValueError(f"{size!r} is not a size")
    return float(match[1]) * 1024.0 ** " KMGTPE".index(match[2] or " ") / GIB


def settings_in_file(file: File, environment: str) -> Iterator[Setting]:
    """Every retention setting in `file`.

    Raises:
        ValueError, AttributeError, TypeError, KeyError: `file` is not built as a config of its kind.
    """
    document = file.document
    if file.kind is Kind.PROMETHEUS:
        retention = ((document.get("storage") or {}).get("tsdb") or {}).get("retention") or {}
        if retention:
            yield _metrics(retention.get("time"), retention.get("size"), file.path, environment)
    elif file.kind is Kind.LOKI:
        yield from _loki(document, file.path, environment)
    elif file.kind is Kind.LOKI_OVERRIDES:
        for tenant, limits in document["overrides"].items():
            yield from _loki_limits(limits, f"{file.path}, {tenant}", environment, on_disk=True)
    elif file.kind is Kind.COLLECTOR:
        yield from _jaeger(document, file.path, environment)
        yield from _queues(document, file.path)
    else:
        yield from _cleaner(file.text, file.path, environment)


def _metrics(time: Any, size: Any, where: str, environment: str) -> SignalRetention:
    days = days_of(time) if time else None
    gib = gib_of(size) if size and gib_of(size) else None
    if days is None and gib is None:
        days = PROMETHEUS_DEFAULT_DAYS
    return SignalRetention("metrics", days, where, environment, gib)


def settings_on_command_line(resource: Resource, environment: str) -> Iterator[Setting]:
    """Every retention setting on the command line of a container.

    Raises:
        ValueError: a duration or a size is malformed.
    """
    words = arguments(resource.props)
    flags = dict(re.findall(r"^--storage\.tsdb\.retention\.(time|size)=(\S+)$", "\n".join(words), re.MULTILINE))
    if flags:
        yield _metrics(flags.get("time"), flags.get("size"), f"container {resource.name}", environment)
    yield from _cleaner(" ".join(words), f"container {resource.name}", environment)


def _cleaner(text: str, where: str, environment: str) -> Iterator[SignalRetention]:
    """Jaeger's cleaner deletes an index when it is so many days old. An index holds one day, so its spans live up to a day less."""
    for days in re.findall(r"es-index-cleaner\S*\s+(\d+)\s", text):
        yield SignalRetention("traces", int(days) - 1, where, environment)


def _loki(document: Mapping[str, Any], where: str, environment: str) -> Iterator[Setting]:
    stores = [period.get("object_store") for period in (document.get("schema_config") or {}).get("configs") or ()]
    on_disk = not stores or stores[-1] == "filesystem"
    if not (document.get("compactor") or {}).get("retention_enabled"):
        yield SignalRetention(
            "logs", None, f"{where} (without compactor.retention_enabled)", environment, on_disk=on_disk
        )
        return
    yield from _loki_limits(
        document.get("limits_config") or {}, f"{where}, limits_config", environment, on_disk=on_disk
    )


def _loki_limits(limits: Mapping[str, Any], where: str, environment: str, *, on_disk: bool) -> Iterator[Setting]:
    if (period := limits.get("retention_period")) is not None:
        yield SignalRetention(
            "logs", days_of(period) or None, where, environment, on_disk=on_disk
        )  # 0s keeps logs for ever
    for stream in limits.get("retention_stream") or ():
        within = f"{where}, {stream.get('selector')}"
        yield SignalRetention(
            "logs", days_of(stream.get("period")) or None, within, environment, part=True, on_disk=on_disk
        )


def _jaeger(document: Mapping[str, Any], where: str, environment: str) -> Iterator[Setting]:
    backends = ((document.get("extensions") or {}).get("jaeger_storage") or {}).get("backends") or {}
    for name, backend in backends.items():
        if badger := (backend or {}).get("badger"):
            spans = (badger.get("ttl") or {}).get("spans", "72h")  # Jaeger's default
            yield SignalRetention("traces", days_of(spans) or None, f"{where}, {name}", environment)
        for kind in ("elasticsearch", "opensearch"):
            if (backend or {}).get(kind):
                hosts = frozenset(urlsplit(str(url)).hostname or "" for url in backend[kind].get("server_urls") or ())
                yield SearchStorage(hosts, f"{where}, {name}", environment)


def _queues(document: Mapping[str, Any], where: str) -> Iterator[DiskUse]:
    for name, exporter in (document.get("exporters") or {}).items():
        queue = (exporter or {}).get("sending_queue") or {}
        if queue.get("storage") and queue.get("sizer") == "bytes":
            yield DiskUse(f"queue of {name} in {where}", float(queue.get("queue_size", 0)) / GIB)


def own_log(container: Properties) -> Iterator[DiskUse]:
    """The largest size of the log that Docker keeps of `container`."""
    rotation, driver = container.get("logOpts") or {}, container.get("logDriver")
    if (driver == "json-file" and "max-size" in rotation) or (driver == "local" and rotation):
        with contextlib.suppress(ValueError):  # log-rotation refuses it
            files = int(rotation.get("max-file", 1 if driver == "json-file" else 5))
            yield DiskUse("the containers' own logs", gib_of(str(rotation.get("max-size", "20M")).upper()) * files)
