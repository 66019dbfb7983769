"""Shows what Pulumi's engine does in a few lines: what a plan would change, each service as it becomes well, and every
word of an error."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from operate.engine_events import SAME, Event, Operation, operation
from toolchain.report import Step, show_lines

CONTAINER = "docker:index/container:Container"
PROOF = "command:local:Command"
"""Type of the resource that is made once a service is well (`components.service.Service`)."""
STACK = "pulumi:pulumi:Stack"
PROVIDERS = "pulumi:providers:"
"""Beginning of the types of what only says how others are made."""
READ_BACK = "refresh"
"""Operation that asks the engine, and changes nothing there."""
GONE = "delete"
PAST = {"create": "created", "update": "updated", "replace": "replaced", GONE: "deleted"}
SERVICES = {"create": "new", "replace": "replaced", "update": "changed as they run", GONE: "removed"}
"""Operation on a service's container → what a plan calls such services."""
CHANGED = {"update": "changed as it runs", GONE: "removed"}
"""Operation on a service's container after which nothing has to be proved."""
NEW_FILES = "new files"
MOST_PROPERTIES = 4
"""Properties that a plan names for each service."""
MOST_NAMES = 4
"""Names that a wait lists, so that the line fits on a terminal."""
HARMLESS = {"info", "info#err"}
"""Severities of messages that are shown only if the command fails."""


class Progress:
    """Shows one command of Pulumi, event by event."""

    def __init__(self, step: Step, warnings: set[str]) -> None:
        """`warnings`: those that the plan of this update has shown already. They are not repeated."""
        self.has_complained = False
        """Whether there was an error."""
        self._step, self._title, self._known_warnings = step, step.title, warnings
        self._operations: dict[str, Operation] = {}
        self._busy: dict[str, str] = {}
        self._since: dict[str, int] = {}
        self._asides: list[str] = []

    def take(self, event: Event) -> None:
        """Shows what an event tells, if it is one of those that you want to know."""
        match event:
            case {"resourcePreEvent": {"metadata": metadata}}:
                self._begins(operation(metadata), event["timestamp"])
            case {"resOutputsEvent": {"metadata": metadata} as outputs}:
                self._ends(operation(metadata), event["timestamp"], planned=outputs.get("planning", False))
            case {"resOpFailedEvent": {"metadata": metadata}}:
                self._busy.pop(metadata["urn"], None)
            case {"diagnosticEvent": diagnostic}:
                self._message(diagnostic)
            case {"policyEvent": violation}:
                self._violation(violation)
            case {"errorEvent": {"error": words}}:
                self._complain(words, is_error=True)
            case {"stdoutEvent": {"message": words}}:
                self._complain(words.strip(), is_error=False)
            case {"policyLoadEvent": _}:
                self._wait_for(["the policies"])
            case {"preludeEvent": _}:
                self._wait_for(["the program"])

    def show_asides(self) -> None:
        """Shows the messages that are no complaint, which may say why a command has failed."""
        for words in self._asides:
            show_lines(words)
        self._asides.clear()

    def plan(self) -> list[str]:
        """A line for each way to change services, with their names; the last one for all else."""
        services: dict[str, list[Operation]] = {}
        others: list[Operation] = []
        for one in self._operations.values():
            if one.service:
                services.setdefault(one.service, []).append(one)
            else:
                others.append(one)
        named: dict[str, list[str]] = {}
        for service, operations in services.items():
            main = next((one for one in operations if one.kind == CONTAINER and one.name == service), None)
            if main:
                named.setdefault(SERVICES.get(main.verb, main.verb), []).append(_with_properties(main))
            elif any(one.kind == CONTAINER for one in operations):  # it brings files
                named.setdefault(NEW_FILES, []).append(service)
            else:
                others += operations
        lines = [f"{what}: {', '.join(names)}" for what, names in named.items()]
        return [*lines, *_listed(others)]

    def _begins(self, begun: Operation, timestamp: int) -> None:
        if begun.verb == SAME or begun.is_component or begun.kind.startswith(PROVIDERS):
            return
        self._busy[begun.urn] = begun.service or f"{_short(begun.kind)} {begun.name}"
        self._wait_for(self._busy.values())
        if begun.verb == READ_BACK:
            return
        operation = self._operations.get(begun.urn)
        if not (operation and operation.properties):  # one replacement is three operations, and not all say why
            self._operations[begun.urn] = begun
        self._since.setdefault(begun.service, timestamp)

    def _ends(self, ended: Operation, timestamp: int, *, planned: bool) -> None:
        if self._busy.pop(ended.urn, None) is None:
            return
        self._wait_for(self._busy.values())
        if planned or not ended.service or ended.verb == READ_BACK:
            return
        if ended.kind == PROOF and ended.verb != GONE:
            show_lines(f"{ended.service} is well, {timestamp - self._since[ended.service]} s", "✓")
        elif ended.kind == CONTAINER and ended.name == ended.service and ended.verb in CHANGED:
            show_lines(f"{ended.service} is {CHANGED[ended.verb]}", "✓")

    def _wait_for(self, names: Iterable[str]) -> None:
        busy = list(dict.fromkeys(names))
        more = f" and {len(busy) - MOST_NAMES} more" if len(busy) > MOST_NAMES else ""
        waiting = f", waiting for: {', '.join(busy[:MOST_NAMES])}{more}" if busy else ""
        self._step.title = self._title + waiting

    def _message(self, diagnostic: Mapping[str, Any]) -> None:
        severity, words = diagnostic["severity"], diagnostic["message"].strip()
        if severity == "debug" or diagnostic.get("ephemeral") or not words:
            return
        if urn := diagnostic.get("urn", ""):
            kind, name = urn.split("::")[-2].split("$")[-1], urn.split("::")[-1]
            words = words if kind == STACK else f"{_short(kind)} {name}: {words}"
        if severity in HARMLESS:
            self._asides.append(words)
        else:
            self._complain(words, is_error=severity != "warning")

    def _violation(self, violation: Mapping[str, Any]) -> None:
        urn, level = violation.get("resourceUrn", ""), violation["enforcementLevel"]
        where = f"{_short(urn.split('::')[-2].split('$')[-1])} {urn.split('::')[-1]}: " if urn else ""
        words = f"policy {violation['policyName']} ({level}): {where}{violation['message'].strip()}"
        self._complain(words, is_error=level == "mandatory")

    def _complain(self, words: str, *, is_error: bool) -> None:
        self.has_complained |= is_error
        if is_error:
            show_lines(words, "✗")
        elif words not in self._known_warnings:
            self._known_warnings.add(words)
            show_lines(words, "!")


def counts(changes: Mapping[str, int], *, past: bool) -> str:
    """A summary of the changes, done or planned: `3 created, 1 replaced`. `changes`: operation → number of resources."""
    return ", ".join(
        f"{number} {PAST.get(verb, verb)}" if past else f"{number} to {verb}" for verb, number in changes.items()
    )


def _short(kind: str) -> str:
    """The last word of a type: `docker:index/container:Container` → `Container`."""
    return kind.rsplit(":", maxsplit=1)[-1]


def _with_properties(changed: Operation) -> str:
    """The name of a service, and the inputs of its container that differ, if it has been there before."""
    if changed.verb not in {"update", "replace"} or not changed.properties:
        return changed.service
    more = ["…"] if len(changed.properties) > MOST_PROPERTIES else []
    return f"{changed.service} ({', '.join([*changed.properties[:MOST_PROPERTIES], *more])})"


def _listed(operations: Iterable[Operation]) -> Iterator[str]:
    """One line with the operations that are of no service."""
    named: dict[str, list[str]] = {}
    for one in operations:
        named.setdefault(one.verb, []).append(f"{_short(one.kind)} {one.name}")
    if named:
        yield "also " + "; ".join(f"{verb} {', '.join(names)}" for verb, names in named.items())
