"""Secrets in clear text: none in an environment, a label, a command line, an option, or inside a config file.

`docker inspect`, previews and the state show environments, labels, command lines and options. A secret inside a config file
cannot be protected apart from the rest of the file. Policies see Pulumi's secrets unwrapped, so a file that consists only of
a secret passes: that is the way to deliver one.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml
from pulumi_policy import Policy, Severity
from pulumi_policy.proxy import UnknownValueError

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_resources import COMMAND, CONTAINER, VOLUME, Properties, Resource, is_started
from policies.readers.secret_patterns import decoded, gives_away, in_lines, on_command_line

_DOCUMENTS = {".yml", ".yaml", ".json"}
"""Suffixes of files that are read as YAML."""
_LINES = {".conf", ".cnf", ".cfg", ".ini", ".env", ".properties", ".toml", ".sh", ".alloy", ".hcl", ".xml"}
"""Suffixes of files that are read line by line."""

Shown = Iterator[tuple[str, str, str]]
"""Place, name and text of each value."""


def shown(resource: Resource) -> Shown:
    """Every value of `resource` that anybody on the host or any reader of the state can see."""
    props = resource.props
    if resource.resource_type == VOLUME:
        yield from _in_map("option", props.get("driverOpts"))
    elif resource.resource_type == COMMAND:
        yield from _in_command(props)
    else:
        yield from _in_container(props)


def _in_command(command: Properties) -> Shown:
    for step in ("create", "update", "delete"):
        for name, value in on_command_line([str(command.get(step) or "")]):
            yield "command", name, value
    environment = command.get("environment") or {}
    for name in environment:
        try:
            yield "environment", name, str(environment[name])
        except UnknownValueError:  # an id that does not exist yet; known-commands judges which variables are allowed
            continue


def _in_container(container: Properties) -> Shown:
    for entry in container.get("envs") or ():
        name, _, value = str(entry).partition("=")
        yield "environment", name, value
    for label in container.get("labels") or ():
        yield "label", str(label["label"]), str(label.get("value"))
    words = [str(word) for key in ("entrypoints", "command") for word in container.get(key) or ()]
    for name, value in on_command_line(words):
        yield "command line", name, value
    for name, value in on_command_line([str(word) for word in (container.get("healthcheck") or {}).get("tests") or ()]):
        yield "health check", name, value
    yield from _in_map("log option", container.get("logOpts"))
    for mount in container.get("mounts") or ():
        yield from _in_map("volume option", (mount.get("volumeOptions") or {}).get("driverOptions"))
    if is_started(container):  # a container that is not started only holds files for others
        for upload in container.get("uploads") or ():
            yield from _in_upload(upload)


def _in_map(where: str, options: Mapping[str, Any] | None) -> Shown:
    for name, value in (options or {}).items():
        yield where, str(name), str(value)


def _in_upload(upload: Properties) -> Shown:
    path = PurePosixPath(str(upload.get("file")))
    suffix = path.suffix or path.name  # of .env
    if suffix not in _DOCUMENTS | _LINES:
        return
    try:
        text = str(upload.get("content") or "") or decoded(str(upload.get("contentBase64") or ""))
    except (
        UnknownValueError
    ):  # a secret that does not exist yet; unknown config files are refused by the policies that read them
        return
    for name, value in _in_file(suffix, text):
        yield f"file {path.name}", name, value


@cache
def _in_file(suffix: str, text: str) -> list[tuple[str, str]]:
    if suffix in _DOCUMENTS:
        with contextlib.suppress(yaml.YAMLError):  # then read line by line
            return list(_in_document("", yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))  # noqa: S506 - a safe one
    return list(in_lines(text))


def _in_document(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _in_document(str(key), one)
    elif isinstance(value, list):
        for one in value:
            yield from _in_document(name, one)
    elif isinstance(value, str):
        yield name, value


def _check(resource: Resource, config: Config) -> Iterator[str]:
    for where, name, value in shown(resource):
        if f"{resource.name}:{name}" in config["allowed"]:
            continue
        if secret := gives_away(name, value):
            label = f" {name}" if name else ""
            yield (
                f"its {where}{label} holds {secret}, which docker inspect or the state shows: deliver it as a file that only "
                "the service's group can read, and pass the name of the file"
            )


CLEAR_TEXT = resource_policy(
    "no-secrets-in-clear",
    "No secret is in an environment, a label, an option, on a command line or inside a config file.",
    _check,
    kinds=(CONTAINER, VOLUME, COMMAND),
    fix="Give the secret as a file (*_FILE, --…-file), delivered by an upload that Pulumi keeps secret.",
    config={
        "allowed": allow_list(
            {}, "<resource>:<variable, label, flag, option or key> that looks like a secret and is none → why."
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (CLEAR_TEXT,)
