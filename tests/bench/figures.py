"""What was measured, as it is kept: one JSON file for each part, from which tables and plots are made."""

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

from config.settings.units import MIB

FOLDER = Path(__file__).parents[2] / "docs" / "performance"


@dataclass(frozen=True)
class Row:
    """One figure of one subject, in one run."""

    subject: str
    figure: str
    unit: str
    values: tuple[float, ...]
    """In the order in which they were measured."""
    command: str = ""
    date: str = ""
    load: float = 0
    """Average of the machine over the last minute when the run ended: above the number of cores, times are longer."""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most."""
        return min(self.values), max(self.values)


def row(subject: str, figure: str, unit: str, *values: float) -> Row:
    """Rounded to four significant digits: nothing here is known better."""
    return Row(subject, figure, unit, tuple(float(f"{value:.4g}") for value in values))


@dataclass(frozen=True)
class Record:
    """All rows of a part, and what they were measured on."""

    rows: tuple[Row, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def merged(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """With `rows` in place of the older ones of the same subjects; new subjects come last."""
        rows = tuple(rows)
        found: dict[str, list[Row]] = {}
        for old in self.rows:
            found.setdefault(old.subject, []).append(old)
        for subject in {new.subject: None for new in rows}:
            found[subject] = [new for new in rows if new.subject == subject]
        return tuple(one for of_subject in found.values() for one in of_subject)

    def added(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """`rows` with the values that are kept of the same figures before their own: further turns of one comparison."""
        kept = {(old.subject, old.figure): old.values for old in self.rows}
        return tuple(replace(new, values=kept.get((new.subject, new.figure), ()) + new.values) for new in rows)

    @property
    def text(self) -> str:
        """As JSON, with a line for each figure."""
        head = json.dumps({"machine": self.machine, "versions": self.versions}, indent=1).removesuffix("\n}")
        lines = ",\n  ".join(json.dumps(asdict(one), ensure_ascii=False) for one in self.rows)
        return f'{head},\n "figures": [\n  {lines}\n ]\n}}\n'

    def value(self, subject: str, figure: str) -> Row | None:
        return next((one for one in self.rows if (one.subject, one.figure) == (subject, figure)), None)


def path(part: str) -> Path:
    return FOLDER / f"{part}.json"


def load(part: str) -> Record:
    """What is kept of a part; an empty record of one that was never measured."""
    if not path(part).exists():
        return Record()
    document = json.loads(path(part).read_text())
    rows = tuple(Row(**{**one, "values": tuple(one["values"])}) for one in document.pop("figures"))
    return Record(rows, **document)


def save(part: str, rows: Iterable[Row], command: str, client: DockerClient, images: Mapping[str, str]) -> None:
    """Keeps `rows`, with what makes them comparable: command, date, load, machine and versions."""
    now, average = datetime.now(UTC).strftime("%Y-%m-%d"), round(os.getloadavg()[0], 1)
    dated = (replace(one, command=command, date=now, load=average) for one in rows)
    record = Record(load(part).merged(dated), _machine(client), versions(images))
    FOLDER.mkdir(exist_ok=True)
    path(part).write_text(record.text)


def versions(images: Mapping[str, str]) -> dict[str, str]:
    """Service → version in the tag of its image."""
    return {service: _version(reference) for service, reference in sorted(images.items())}


def _version(reference: str) -> str:
    tag = reference.partition("@")[0].rpartition(":")[2]
    return re.sub(r"-[0-9a-f]{12}$", "", tag)  # of what is built here: a hash of what it is made from


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
