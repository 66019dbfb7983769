"""The results of drills, as JSON and as a page: rows of this run replace those of the same name, the others stay."""

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.drills.frame import Row

PAGE = """\
# Drills

`make drills` causes each of these faults on a real engine and looks at what came of it; one or some alone:
`make drills ONLY=kill-loki,disk-`. This page is made from `drills.json`, which it writes. Not a part of `make test`.

While a fault lasts, a container writes five numbered lines a second, an application sends two numbered spans a second and is
scraped every 2 s, and an alert begins in the middle of it. The times in which the stack promises something are shorter than
by default: it scrapes and judges every 2 s, groups alerts for 1 s, and decides about a trace after 1 s. “Without hands”
means: by what Docker does itself, or by `make up`.

A data volume is a disk of 256 MiB here. A process is killed from outside its container, so that the engine knows as
little of it as of a crash. A clock that jumps is that of the processes, as they ask the kernel for the time: the kernel's own,
by which everybody else on the machine goes, stays right, and with it the times of files and of health checks. Before, during
and after the jump, lines and spans come with right times, but for those of a host that jumps as a whole.

{summary}
"""


def merged(before: Iterable[Mapping[str, Any]], rows: Iterable[Row], order: Iterable[str]) -> list[dict[str, Any]]:
    """The rows there were, with the new ones in place of those of the same name; in the order of the drills."""
    found = {str(row["name"]): dict(row) for row in before} | {row.name: asdict(row) for row in rows}
    return [found[name] for name in order if name in found]


def write(rows: Iterable[Row], groups: Mapping[str, Iterable[str]], versions: Mapping[str, str], folder: Path) -> None:
    """`drills.json` and `drills.md` in `folder`. `groups`: heading → names of its drills; `versions`: what ran."""
    file = folder / "drills.json"
    before = json.loads(file.read_text())["rows"] if file.exists() else []
    order = [name for names in groups.values() for name in names]
    document = {"machine": machine(), "versions": dict(versions), "rows": merged(before, rows, order)}
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (folder / "drills.md").write_text(page(document, groups))


def machine() -> str:
    """In a few words, without a name."""
    memory = Path("/proc/meminfo").read_text().split()[1]
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return f"{cores} cores, {int(memory) / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}"


def page(document: Mapping[str, Any], groups: Mapping[str, Iterable[str]]) -> str:
    """The page that people read."""
    rows = {row["name"]: row for row in document["rows"]}
    failed = [row for row in rows.values() if not row["held"]]
    everything = sum(len(list(names)) for names in groups.values())
    days = sorted({row["measured"] for row in rows.values()})
    period = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    told = f"Carried out {period}, {document['machine']}; {versions}. {len(rows)} of {everything} drills, "
    told += f"{len(failed)} failed." if failed else "none failed."
    parts = [PAGE.format(summary=told)]
    for heading, names in groups.items():
        parts += [f"## {heading}\n", "| drill | fault | must still hold | result | s |", "|---|---|---|---|---|"]
        for name in names:
            if row := rows.get(name):
                result = ("held" if row["held"] else "**failed**") + (f": {row['detail']}" if row["detail"] else "")
                cells = [f"`{name}`", row["cause"], row["holds"], result, f"{row['seconds']:.0f}"]
            else:
                cells = [f"`{name}`", "", "", "not carried out yet", ""]
            parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)
