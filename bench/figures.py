"""Saved measurements: one JSON file for each part. Tables and plots are made from them."""

import json
import os
import platform
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docker import DockerClient

from config.images import Reference
from config.sizes import MIB

FOLDER = Path(__file__).parents[1] / "docs" / "performance"


@dataclass(frozen=True)
class Row:
    """A figure of a subject, from one run."""

    subject: str
    figure: str
    unit: str
    values: tuple[float, ...]
    """The values in the order in which they were measured."""
    command: str = ""
    date: str = ""
    load: float = 0
    """Load average of the last minute, at the end of the run. Above the number of cores, times are longer."""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return min(self.values), max(self.values)


def row(subject: str, figure: str, unit: str, *values: float) -> Row:
    """A row with values rounded to four significant digits, because none is known better."""
    return Row(subject, figure, unit, tuple(float(f"{value:.4g}") for value in values))


@dataclass(frozen=True)
class Record:
    """All rows of a part, and the machine and versions that they were measured on."""

    rows: tuple[Row, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def merged(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """The saved rows, with `rows` instead of the older ones of the same subjects. New subjects come last."""
        rows = tuple(rows)
        by_subject: dict[str, list[Row]] = {}
        for old in self.rows:
            by_subject.setdefault(old.subject, []).append(old)
        for subject in {new.subject: None for new in rows}:
            by_subject[subject] = [new for new in rows if new.subject == subject]
        return tuple(one for of_subject in by_subject.values() for one in of_subject)

    def added(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """`rows`, each with the saved values of the same figure before its own: more rounds of the same comparison."""
        old_values = {(old.subject, old.figure): old.values for old in self.rows}
        return tuple(replace(new, values=old_values.get((new.subject, new.figure), ()) + new.values) for new in rows)

    @property
    def text(self) -> str:
        """The record as JSON, with one line for each figure."""
        head = json.dumps({"machine": self.machine, "versions": self.versions}, indent=1).removesuffix("\n}")
        lines = ",\n  ".join(json.dumps(asdict(one), ensure_ascii=False) for one in self.rows)
        return f'{head},\n "figures": [\n  {lines}\n ]\n}}\n'

    def value(self, subject: str, figure: str) -> Row | None:
        return next((one for one in self.rows if (one.subject, one.figure) == (subject, figure)), None)


def path(part: str) -> Path:
    return FOLDER / f"{part}.json"


def load(part: str) -> Record:
    """The saved record of a part. It is empty if the part was never measured."""
    if not path(part).exists():
        return Record()
    document = json.loads(path(part).read_text())
    rows = tuple(Row(**{**one, "values": tuple(one["values"])}) for one in document.pop("figures"))
    return Record(rows, **document)


def save(part: str, rows: Iterable[Row], command: str, client: DockerClient, images: Mapping[str, str]) -> None:
    """Save `rows` with what makes them comparable: command, date, load, machine and versions."""
    now, average = datetime.now(UTC).strftime("%Y-%m-%d"), round(os.getloadavg()[0], 1)
    dated = (replace(one, command=command, date=now, load=average) for one in rows)
    record = Record(load(part).merged(dated), _machine(client), versions(images))
    FOLDER.mkdir(exist_ok=True)
    path(part).write_text(record.text)


def versions(images: Mapping[str, str]) -> dict[str, str]:
    """Service → version, from the tag of its image."""
    return {service: _version(reference) for service, reference in sorted(images.items())}


def _version(reference: str) -> str:
    tag = Reference.parse(reference).tag
    return re.sub(r"-[0-9a-f]{12}$", "", tag)  # images built here end with a hash of their inputs


def _machine(client: DockerClient) -> dict[str, Any]:
    engine = client.info()
    return {
        "cores": os.cpu_count(),
        "memory": f"{engine['MemTotal'] / MIB / 1024:.0f} GiB",
        "kernel": platform.release(),
        "system": engine["OperatingSystem"],
        "engine": engine["ServerVersion"],
        "cgroup": engine.get("CgroupVersion", "1"),
    }
