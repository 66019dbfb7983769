"""Reads the events of Pulumi's engine while it works: `pulumi … --event-log FILE` writes each as a line of JSON.

Pulumi's own automation packages read the same file; the shapes are those of `apitype.EngineEvent` (v3.256.0). One
command writes one file: `pulumi up` with its preview would overwrite the file in between.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]

ENVIRONMENT = {"PULUMI_DEBUG_COMMANDS": "true"}
"""Makes the CLI know the option `--event-log`, which it lists in no help."""
POLL_SECONDS = 0.1
SAME = "same"
"""The operation of a resource that stays as it is."""
REPLACED = "replace"
"""Part of the names of the operations that make up a replacement: `delete-replaced`, `replace`, `create-replacement`."""
SERVICE = "nervous-system:index:Service"
"""Type of `components.service.Service`. All resources of a service have it among their parents."""


@dataclass(frozen=True)
class Operation:
    """What the engine does, or is going to do, with one resource."""

    urn: str
    kind: str
    """Type of the resource, such as `docker:index/container:Container`."""
    name: str
    verb: str
    """As Pulumi names it: `create`, `update`, `delete` and so on. A replacement is three: the removal of the old one,
    the decision, the new one; each is called `replace` here."""
    service: str
    """The service that the resource belongs to; empty if it belongs to none."""
    properties: tuple[str, ...]
    """Inputs that differ."""
    is_component: bool
    """Whether it only groups others. Nothing on the engine is meant then."""


def operation(metadata: Mapping[str, Any]) -> Operation:
    """The operation that an event is about. `metadata`: `apitype.StepEventMetadata`."""
    state = metadata["new"] or metadata["old"]
    *_, kinds, name = metadata["urn"].split("::")
    *parents, kind = kinds.split("$")
    # A service's files are a component too, which is called as the service is.
    service = state["parent"].split("::")[-1] if SERVICE in parents else ""
    verb = "replace" if REPLACED in metadata["op"] else metadata["op"]
    return Operation(
        metadata["urn"],
        kind,
        name,
        verb,
        service,
        tuple(metadata.get("keys") or metadata.get("diffs") or ()),
        is_component=not state.get("custom"),
    )


def changes(file: Path) -> dict[str, int]:
    """Operation → number of resources, at the end of a command; nothing of those that stay as they are. Empty too if the
    command never got to the engine."""
    counts: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError), file.open("rb") as log:
        for line in log:
            if b'"summaryEvent"' in line:
                counts = json.loads(line)["summaryEvent"]["resourceChanges"] or {}
    return {verb: number for verb, number in counts.items() if verb != SAME}


@contextmanager
def followed(file: Path, take: Callable[[Event], None]) -> Iterator[None]:
    """Gives `take` every event that is written to `file` while this block runs, in a thread. At the end of the
    block `take` has all events."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(_read, file, take, over)
        try:
            yield
        finally:
            over.set()
        reading.result()


def _read(file: Path, take: Callable[[Event], None], over: threading.Event) -> None:
    unread, position, last = b"", 0, False
    while not last:
        last = over.wait(POLL_SECONDS)
        if not file.exists():
            continue
        with file.open("rb") as log:
            log.seek(position)
            new = log.read()
        position += len(new)
        *lines, unread = (unread + new).split(b"\n")
        for line in filter(None, lines):
            take(json.loads(line))
