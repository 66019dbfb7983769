"""Secrets in clear: what stands in an environment, a label, a command line or an option shows in `docker inspect`, in previews
and in the state; what stands in the middle of a config file cannot be kept apart from it.

A policy sees secrets of Pulumi unwrapped. So a file that is nothing but a secret is let through: that is how they are given.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml
from pulumi_policy import Policy, Severity
from pulumi_policy.proxy import UnknownValueError

from declared import COMMAND, CONTAINER, VOLUME, Config, Properties, Resource, each, is_started, reasons
from secret_looks import decoded, gives_away, in_lines, on_command_line

_DOCUMENTS = {".yml", ".yaml", ".json"}
_LINES = {".conf", ".cnf", ".cfg", ".ini", ".env", ".properties", ".toml", ".sh", ".alloy", ".hcl", ".xml"}

Shown = Iterator[tuple[str, str, str]]
"""Where something stands, its name, its text."""


def shown(resource: Resource) -> Shown:
    """What everybody on the host can read, or whoever reads the state."""
    props = resource.props
    if resource.resource_type == VOLUME:
        yield from _of_map("option", props.get("driverOpts"))
    elif resource.resource_type == COMMAND:
        yield from _of_command(props)
    else:
        yield from _of_container(props)


def _of_command(command: Properties) -> Shown:
    for step in ("create", "update", "delete"):
        for name, value in on_command_line([str(command.get(step) or "")]):
            yield "command", name, value
    environment = command.get("environment") or {}
    for name in environment:
        try:
            yield "environment", name, str(environment[name])
        except UnknownValueError:  # ids to come; which variables there may be is for known-commands
            continue


def _of_container(container: Properties) -> Shown:
    for entry in container.get("envs") or ():
        name, _, value = str(entry).partition("=")
        yield "environment", name, value
    for label in container.get("labels") or ():
        yield "label", str(label["label"]), str(label.get("value"))
    given = [str(one) for key in ("entrypoints", "command") for one in container.get(key) or ()]
    for name, value in on_command_line(given):
        yield "command line", name, value
    for name, value in on_command_line([str(one) for one in (container.get("healthcheck") or {}).get("tests") or ()]):
        yield "health check", name, value
    yield from _of_map("log option", container.get("logOpts"))
    for mount in container.get("mounts") or ():
        yield from _of_map("volume option", (mount.get("volumeOptions") or {}).get("driverOptions"))
    if is_started(container):  # else it only keeps files for others
        for upload in container.get("uploads") or ():
            yield from _of_file(upload)


def _of_map(where: str, options: Mapping[str, Any] | None) -> Shown:
    for name, value in (options or {}).items():
        yield where, str(name), str(value)


def _of_file(upload: Properties) -> Shown:
    path = PurePosixPath(str(upload.get("file")))
    suffix = path.suffix or path.name  # .env
    if suffix not in _DOCUMENTS | _LINES:
        return
    try:
        text = str(upload.get("content") or "") or decoded(str(upload.get("contentBase64") or ""))
    except UnknownValueError:  # a secret of Pulumi's that is not there yet; configs are refused by those who judge them
        return
    for name, value in _in_file(suffix, text):
        yield f"file {path.name}", name, value


@cache
def _in_file(suffix: str, text: str) -> list[tuple[str, str]]:
    if suffix in _DOCUMENTS:
        with contextlib.suppress(yaml.YAMLError):  # else by its lines
            return list(_of_document("", yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))  # noqa: S506 - a safe one
    return list(in_lines(text))


def _of_document(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _of_document(str(key), one)
    elif isinstance(value, list):
        for one in value:
            yield from _of_document(name, one)
    elif isinstance(value, str):
        yield name, value


def _check(resource: Resource, config: Config) -> Iterator[str]:
    for where, name, value in shown(resource):
        if f"{resource.name}:{name}" in config["allowed"]:
            continue
        if what := gives_away(name, value):
            named = f" {name}" if name else ""
            yield (
                f"its {where}{named} holds {what}, which docker inspect or the state shows: give it as a file that only the "
                "service's group can read, and name the file"
            )


CLEAR_TEXT = each(
    "no-secrets-in-clear",
    "No secret stands in an environment, a label, an option, on a command line or inside a config file.",
    _check,
    kinds=(CONTAINER, VOLUME, COMMAND),
    fix="Give the secret as a file (*_FILE, --…-file), delivered by an upload that Pulumi keeps secret.",
    config={
        "allowed": reasons(
            {}, "<resource>:<variable, label, flag, option or key> that is no secret although it looks like one → why."
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (CLEAR_TEXT,)
