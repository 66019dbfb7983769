"""The results of drills, as JSON and as a page: rows of this run replace those of the same name, the others stay."""

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drills.frame import Row

PAGE = """\
# Drills

A drill causes one fault or bad input on a real engine, and checks that the stack keeps its promises. `make drills` runs all of them, and
`make drills ONLY=kill-loki,disk-` some. It writes `drills.json` and, from that, this page. `make test` does not include it.

During a fault, a container writes five numbered lines a second, an application sends two numbered spans a second and is scraped every 2 s, and
an alert begins in the middle. The stack's intervals are shorter than by default: it scrapes and evaluates every 2 s, groups alerts for 1 s, and
decides about a trace after 1 s. It has to recover by what Docker does itself, or by `make up`.

A data volume is a disk of 256 MiB here. A process is killed from outside its container, so that to the engine it looks like a crash. A clock
that jumps is the one that the container's processes get from the kernel. The kernel's own clock stays right for everything else on the machine,
and with it the times of files and of health checks. Before, during and after the jump, lines and spans come with right times, unless the whole
host jumps.

Two hosts are two engines, each in a network of its own, with a link between them. The one with the [edge](edges.md) lets no connection
in by the link. On it a container writes five numbered lines a second, an application sends two spans a second, and a page counts how
often it was scraped, every 2 s; all of them are counted at the centre.

{summary}

In the tables, these words stand for a whole promise:

{abbreviations}
"""
ABBREVIATIONS = {
    "everything": "every line once, every trace, samples from before stay, scraped at least every 30 s, "
    "alert sent once, and its end, check green",
    "nothing else suffers": "steady lines, traces and samples all arrive, no service restarts, no other target is down",
    "a refusal": "`make up` refuses it in one message; every container runs on, untouched",
}
"""Name on the page → the promise, in the words of `drills.json`."""


def merged(before: Iterable[Mapping[str, Any]], rows: Iterable[Row], order: Iterable[str]) -> list[dict[str, Any]]:
    """The rows there were, with the new ones in place of those of the same name; in the order of the drills."""
    by_name = {str(row["name"]): dict(row) for row in before} | {row.name: asdict(row) for row in rows}
    return [by_name[name] for name in order if name in by_name]


def write(rows: Iterable[Row], groups: Mapping[str, Iterable[str]], versions: Mapping[str, str], folder: Path) -> None:
    """`drills.json` and `drills.md` in `folder`. `groups`: heading → names of its drills; `versions`: what ran."""
    file = folder / "drills.json"
    before = json.loads(file.read_text()) if file.exists() else {"versions": {}, "rows": []}
    order = [name for names in groups.values() for name in names]
    document = {
        "machine": machine(),
        "versions": before["versions"] | dict(versions),
        "rows": merged(before["rows"], rows, order),
    }
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
    summary = f"Run {period}, {document['machine']}; {versions}. {len(rows)} of {everything} drills, "
    summary += f"{len(failed)} failed." if failed else "none failed."
    abbreviations = "\n".join(f"- **{name}**: {promise}" for name, promise in ABBREVIATIONS.items())
    parts = [PAGE.format(summary=summary, abbreviations=abbreviations)]
    for heading, names in groups.items():
        parts += [f"## {heading}\n", "| drill | fault | must still hold | result | s |", "|---|---|---|---|---|"]
        for name in names:
            if row := rows.get(name):
                result = ("held" if row["held"] else "**failed**") + (f": {row['detail']}" if row["detail"] else "")
                cells = [f"`{name}`", row["cause"], _abbreviated(row["holds"]), result, f"{row['seconds']:.0f}"]
            else:
                cells = [f"`{name}`", "", "", "not run yet", ""]
            parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _abbreviated(promises: str) -> str:
    for name, promise in ABBREVIATIONS.items():
        promises = promises.replace(promise, name)
    return promises
