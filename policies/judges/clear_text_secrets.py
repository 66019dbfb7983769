"""Secrets in clear text: none in an environment, a label, a command line, an option, or inside a config file.

`docker inspect`, previews and the state show environments, labels, command lines and options. A secret inside a config file
cannot be protected apart from the rest of the file. Policies see Pulumi's secrets unwrapped, so a file that consists only of
a secret passes: that is the way to deliver one.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml
from pulumi_policy import Policy, Severity
from pulumi_policy.proxy import UnknownValueError

from policies.policy_kit import Config, allow_list, resource_policy, stack_policy
from policies.readers import documents
from policies.readers.declared_resources import (
    COMMAND,
    CONTAINER,
    NETWORK,
    STACK,
    VOLUME,
    Properties,
    Resource,
    is_started,
)
from policies.readers.secret_patterns import decoded, gives_away, in_lines, in_program, on_command_line
from policies.readers.uploads import uploads

_PROGRAMS = {
    ".py",
    ".js",
    ".mjs",
    ".ts",
    ".lua",
    ".rb",
    ".go",
    ".php",
    ".pl",
    ".java",
    ".sql",
    ".tpl",
    ".tmpl",
    ".html",
    ".md",
}
"""Suffixes of files of which only texts in quotes are read. All other files are read line by line."""
_OF_SECRETS = {"secrets", "credentials"}
"""Folders of files that consist only of secrets."""
_PEM = re.compile(r"(-----BEGIN [A-Z0-9 ]+-----[^-]+-----END [A-Z0-9 ]+-----\s*)+")
_TEXTS = (
    "hostname",
    "domainname",
    "user",
    "workingDir",
    "dns",
    "dnsOpts",
    "dnsSearches",
    "hosts",
    "tmpfs",
    "storageOpts",
    "sysctls",
)
"""Other inputs of a container that are texts."""

Shown = Iterator[tuple[str, str, str]]
"""Place, name and text of each value."""


def shown(resource: Resource) -> Shown:
    """Every value of `resource` that anybody on the host or any reader of the state can see."""
    props = resource.props
    if resource.resource_type in {VOLUME, NETWORK}:
        yield from _in_map("option", props.get("driverOpts" if resource.resource_type == VOLUME else "options"))
        yield from _in_labels(props)
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
    yield from _in_labels(container)
    words = [str(word) for key in ("entrypoints", "command") for word in container.get(key) or ()]
    for name, value in on_command_line(words):
        yield "command line", name, value
    for name, value in on_command_line([str(word) for word in (container.get("healthcheck") or {}).get("tests") or ()]):
        yield "health check", name, value
    yield from _in_map("log option", container.get("logOpts"))
    for mount in container.get("mounts") or ():
        yield from _in_map("volume option", (mount.get("volumeOptions") or {}).get("driverOptions"))
    for key in _TEXTS:
        with contextlib.suppress(UnknownValueError):  # an address that the engine chooses
            yield from ((key, name, value) for name, value in _in_document("", _plain(container.get(key))))
    if is_started(container):  # a container that is not started only holds files for others
        for upload in uploads(container):
            yield from _in_upload(upload)


def _in_labels(resource: Properties) -> Shown:
    for label in resource.get("labels") or ():
        yield "label", str(label["label"]), str(label.get("value"))


def _plain(value: Any) -> Any:
    """`value` without the SDK's proxies."""
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in value}
    return [_plain(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _in_map(where: str, options: Mapping[str, Any] | None) -> Shown:
    for name, value in (options or {}).items():
        yield where, str(name), str(value)


def _in_upload(upload: Properties) -> Shown:
    path = PurePosixPath(str(upload.get("file")))
    if _OF_SECRETS & {*path.parts[:-1]}:
        return
    try:
        text = str(upload.get("content") or "") or decoded(str(upload.get("contentBase64") or ""))
    except (
        UnknownValueError
    ):  # a secret that does not exist yet; unknown config files are refused by the policies that read them
        return
    for name, value in _in_file(path, text):
        yield f"file {path.name}", name, value


@cache
def _in_file(path: PurePosixPath, text: str) -> list[tuple[str, str]]:
    suffix = path.suffix.lower()
    is_one_secret = not re.search(r"\S\s+\S|=\S*[A-Za-z]|[<{\[]", text) or _PEM.fullmatch(text.strip())
    if is_one_secret and suffix not in documents.SUFFIXES:
        return []
    if suffix in _PROGRAMS:
        return list(in_program(text))
    if suffix in documents.SUFFIXES:
        with contextlib.suppress(yaml.YAMLError):  # then read line by line
            return list(_in_document("", documents.parsed(str(path), text)))
    return list(in_lines(text))


def _in_document(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _in_document(str(key), one)
    elif isinstance(value, list):
        for one in value:
            yield from _in_document(name, one)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield name, str(value)


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
    kinds=(CONTAINER, VOLUME, NETWORK, COMMAND),
    fix="Give the secret as a file (*_FILE, --…-file), delivered by an upload that Pulumi keeps secret.",
    config={
        "allowed": allow_list(
            {}, "<resource>:<variable, label, flag, option or key> that looks like a secret and is none → why."
        )
    },
    severity=Severity.CRITICAL,
)


def _read_outputs(resource: Resource, config: Config) -> Iterator[str]:
    if resource.resource_type != STACK:
        return
    for output in resource.props:
        with contextlib.suppress(UnknownValueError):  # of a resource that does not exist yet
            for name, value in _in_document(output, _plain(resource.props[output])):
                if output not in config["allowed"] and name not in config["allowed"] and gives_away(name, value):
                    yield output


def _judge_outputs(outputs: list[str], _: Config) -> Iterator[str]:
    for output in dict.fromkeys(outputs):
        yield (
            f"the output {output} holds a secret, which other stacks and everybody who may read this one can see: leave it out, or "
            f"allow {output} in the policy's config with a reason"
        )


OUTPUTS = stack_policy(
    "no-secrets-in-outputs",
    "No secret is an output of the stack.",
    _read_outputs,
    _judge_outputs,
    fix="Leave the output out. Who needs the secret reads it from where it is kept.",
    config={"allowed": allow_list({}, "Outputs, or keys in them, that look like a secret and are none → why.")},
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (CLEAR_TEXT, OUTPUTS)
