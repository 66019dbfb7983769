"""Doors to the engine: the requests that a proxy in front of the Docker socket lets through, apart from reads.

A door is an HAProxy config with a server on a unix socket that may be an engine's. Each of its fronts either only
reads, or compares whole requests with a list: named requests to named containers. None of these containers belongs to
the stack, and a rule of the acting service names each. The same holds for a list of `rollbacks`, of a program that
makes containers anew.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, Violation, stack_policy, violations
from policies.readers.declared_resources import CONTAINER, Resource, noun
from policies.readers.uploads import UnreadableError, files

_HEADS = re.compile(r"^(?=(?:global|defaults|frontend|backend|listen|resolvers|cache|peers|userlist)\b)", re.MULTILINE)
_SERVER = re.compile(r"^\s+server\s+\S+\s+(?:unix@)?/\S*\.sock", re.MULTILINE)
_LEADS = re.compile(r"^\s+(?:default_backend|use_backend)\s+(\S+)", re.MULTILINE)
_READS = re.compile(
    r"^\s+http-request\s+deny\s+unless\s+(?:METH_GET(?:\s+or\s+METH_HEAD)?|\{ method GET \}(?: \{ path /\S+ \})?)$", re.MULTILINE
)  # fmt: skip
_ONLY = re.compile(r"^\s+http-request\s+deny\s+unless\s+(\w+)$", re.MULTILINE)
_ACL = re.compile(r"^\s+acl\s+(\w+)\s+(.+)$", re.MULTILINE)
_LIST = re.compile(r"var\(txn\.\w+\) -m str -f (\S+)")
_WHOLE = re.compile(
    r'^\s+http-request\s+set-var-fmt\(txn\.\w+\)\s+"%\[method\] %\[pathq\] \[%\[req\.body\]\]"$', re.MULTILINE
)
_OF_A_COMMAND = re.compile(
    r"""var\(txn\.\w+\) -m reg '\^(?:POST /exec/\[0-9a-f\]\{64\}/start \\\[\{"Detach":false,"Tty":false\}\\\]|GET /exec/\[0-9a-f\]\{64\}/json \\\[\\\])\$'"""
)
"""The start and the end of a command that was made by a request of the list: its id is known to nobody else."""
_ASIDE = re.compile(
    r"^\s+http-request\s+(allow|set-(?:method|path|pathq|uri|query)|replace-\S+|use-service)\b", re.MULTILINE
)
"""Rules that let a request through, or make another one of it."""
_REQUEST = re.compile(
    r"""GET /containers/json\?all=1&filters=%7B%22name%22%3A%5B%22%5E%2F[\w.%-]+%24%22%5D%7D \[\]"""
    r"""|POST /containers/(?P<restarted>[\w.-]+)/restart \[\]"""
    r"""|POST /containers/(?P<asked>[\w.-]+)/exec \[\{"AttachStderr":true,"AttachStdout":true,"Cmd":\[.+\]\}\]"""
)
_ID = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True)
class OwnContainer:
    """A container that the program declares."""

    name: str


@dataclass(frozen=True)
class Passed:
    """A container that a door lets a request change, or run a command in."""

    door: str
    name: str


@dataclass(frozen=True)
class Wanted:
    """A container that a rule of the acting service names."""

    name: str


Fact = OwnContainer | Passed | Wanted | Violation


def _read(resource: Resource, _: Config) -> Iterator[Fact]:
    if resource.resource_type != CONTAINER:
        return
    if name := resource.props.get("name"):
        yield OwnContainer(str(name))
    try:
        uploaded = {PurePosixPath(file.path).name: file for file in files(resource.props)}
    except UnreadableError as error:
        yield Violation(f"{noun(resource)}: {error}")
        return
    for file in uploaded.values():
        if isinstance(file.document, Mapping):
            yield from (Wanted(name) for name in _containers(file.document, "actions"))
            rolled_back = _containers(file.document, "rollbacks")
            yield from (Passed(f"{noun(resource)}: its list {file.path}", name) for name in rolled_back)
        elif _SERVER.search(file.text):
            yield from _in_door(noun(resource), file.text, {name: one.text for name, one in uploaded.items()})


def _containers(document: Mapping[str, Any], key: str) -> Iterator[str]:
    """Names of the containers in a list below `key`."""
    listed = document.get(key)
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and isinstance(name := one.get("container"), str):
            yield name


def _in_door(door: str, config: str, uploaded: Mapping[str, str]) -> Iterator[Fact]:
    sections = [section for section in _HEADS.split(config) if section.strip()]
    engines = {
        _name(section) for section in sections if section.startswith(("backend", "listen")) and _SERVER.search(section)
    }
    for section in sections:
        leads = {*_LEADS.findall(section)} & engines or (section.startswith("listen") and _SERVER.search(section))
        if leads and not (_READS.search(section) and not _ASIDE.search(section)):
            yield from _in_list(f"{door}: its front {_name(section)}", section, uploaded)


def _name(section: str) -> str:
    return [*section.split(), ""][1]


def _in_list(front: str, section: str, uploaded: Mapping[str, str]) -> Iterator[Fact]:
    only = [name for name in _ONLY.findall(section) if name not in {"METH_GET", "METH_HEAD"}]
    conditions = [condition.strip() for name, condition in _ACL.findall(section) if name in only]
    lists = [match[1] for condition in conditions if (match := _LIST.fullmatch(condition))]
    exact = all(_LIST.fullmatch(one) or _OF_A_COMMAND.fullmatch(one) for one in conditions)
    if not (len(only) == 1 and lists and exact and _WHOLE.search(section)) or _ASIDE.search(section):
        yield Violation(
            f"{front} lets more through to the engine than reading, and more than a list of whole requests: deny all but "
            "METH_GET and METH_HEAD, or compare method, path, query and body with a list"
        )
    for line in (line for name in lists for line in uploaded.get(PurePosixPath(name).name, "").splitlines()):
        request = _REQUEST.fullmatch(line)
        if not request:
            yield Violation(
                f"{front} lets through {line[:100]!r}: name one container, and restart it or run a command in it"
            )
        elif name := request["restarted"] or request["asked"]:
            yield Passed(front, name)


def _judge(facts: list[Fact], _: Config) -> Iterator[str]:
    yield from violations(facts)
    own = {fact.name for fact in facts if isinstance(fact, OwnContainer)}
    wanted = {fact.name for fact in facts if isinstance(fact, Wanted)}
    yield from (
        f"an action names {name}, which this program declares itself: a program does not heal itself"
        for name in sorted(own & wanted)
    )
    for door, name in sorted({(fact.door, fact.name) for fact in facts if isinstance(fact, Passed)}):
        yield from (f"{door} {why}" for why in _wrong(name, own, wanted))


def _wrong(name: str, own: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    if name in own:
        yield f"lets {name} be changed, which this program declares itself: a program does not heal itself"
    elif name not in wanted:
        yield f"lets {name} be changed, which no action names: take it out of the list"
    if _ID.fullmatch(name):
        yield f"lets {name} be changed, which could be the beginning of any container's id: use a name with other signs"


DOORS = stack_policy(
    "engine-doors",
    "What a proxy of the Docker socket lets through is reading, or named requests to named containers that are not the stack's.",
    _read,
    _judge,
    fix="Deny everything but GET and HEAD; or compare whole requests with a list that names containers of others.",
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (DOORS,)
