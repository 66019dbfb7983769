"""Asks the policies as the Pulumi engine does: inputs behind the SDK's proxies, numbers as floats, secrets unwrapped."""

import runpy
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi_policy
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.readers import declared_resources as declared
from tests.support.program import SECRET_SIGNATURE, Recorder

PACK = Path(__file__).parents[2] / "policies"
UNKNOWN: Any = UNKNOWN_STRING_VALUE
"""The text that the engine passes for a value that a preview does not know. The proxies recognise it for any type."""
FILLED_IN = (
    "bridge", "command", "containerLogs", "entrypoints", "envs", "exitCode", "hostname", "id", "init", "ipcMode", "networkDatas",
    "runtime", "securityOpts", "shmSize", "stopSignal", "stopTimeout",
)  # fmt: skip
"""Computed properties of a container (schema of the Docker provider)."""
EMPTY: Mapping[str, dict[str, Any]] = {
    "volumes": {"fromContainer": "", "hostPath": "", "readOnly": None, "selinuxRelabel": "", "volumeName": ""},
    "uploads": {"content": "", "contentBase64": "", "source": "", "sourceHash": "", "executable": None},
}
"""What the provider fills in for keys that are not set: input → key → value."""
STACK_NAME = "prod"


@dataclass(frozen=True)
class Resource:
    """One resource as a program declares it."""

    props: dict[str, Any]
    name: str = "app"
    kind: str = declared.CONTAINER
    protect: bool = False


@dataclass
class Messages:
    """The messages of a policy."""

    texts: list[str] = field(default_factory=list)

    def __call__(self, message: str, _urn: str | None = None) -> None:
        self.texts.append(message)


@cache
def pack() -> Mapping[str, Any]:
    """The arguments with which `policies/__main__.py` calls `PolicyPack`."""
    served: dict[str, Any] = {}
    with (
        mock.patch.object(pulumi_policy, "PolicyPack", lambda **arguments: served.update(arguments)),
        mock.patch.object(sys, "path", list(sys.path)),
    ):
        runpy.run_path(str(PACK))
    return served


def policies() -> dict[str, Policy]:
    """Policy name → policy of the pack."""
    return {policy.name: policy for policy in pack()["policies"]}


def level(policy: Policy) -> EnforcementLevel:
    """The level of `policy`: its own, else that of the pack."""
    effective: EnforcementLevel = policy.enforcement_level or pack()["enforcement_level"]
    return effective


def ask(
    policy: str | Policy,
    resources: Iterable[Resource],
    *,
    config: Mapping[str, Any] | None = None,
    stack: str = STACK_NAME,
) -> list[str]:
    """The messages of `policy` on a stack of `resources`."""
    judge = policies()[policy] if isinstance(policy, str) else policy
    messages = Messages()
    if isinstance(judge, StackValidationPolicy):
        filled_in = [_filled_in(resource) for resource in resources]
        judge.validate(StackValidationArgs([as_seen(resource, stack) for resource in filled_in], config), messages)
        return messages.texts
    assert isinstance(judge, ResourceValidationPolicy)
    for one in [as_seen(resource, stack) for resource in resources]:
        judge.validate(
            ResourceValidationArgs(one.resource_type, one.props, one.urn, one.name, one.opts, None, config), messages
        )
    return messages.texts


def of_one(policy: str, props: Mapping[str, Any], *, name: str = "app", **more: Any) -> list[str]:
    """The messages of `policy` on one container."""
    return ask(policy, [Resource(dict(props), name)], **more)


def refusals(resources: Iterable[Resource], *, stack: str = STACK_NAME) -> dict[str, list[str]]:
    """Mandatory policy → its messages on `resources`, without the policies that have none."""
    listed = list(resources)
    mandatory = [policy for policy in policies().values() if level(policy) is EnforcementLevel.MANDATORY]
    answers = {policy.name: ask(policy, listed, stack=stack) for policy in mandatory}
    return {name: messages for name, messages in answers.items() if messages}


def declared_by(recorder: Recorder, outputs: Mapping[str, Any]) -> list[Resource]:
    """Every resource that a program declared to the mocked engine, and last the stack with its outputs."""
    resources = [
        Resource(_plain(one.inputs), one.name, one.typ, protect=one.options.protect) for one in recorder.resources
    ]
    return [*resources, Resource(_plain(outputs), "project-stack", declared.STACK)]


def _plain(value: Any) -> Any:
    """`value` as the SDK unwraps it for policies, with the secrets in clear."""
    if isinstance(value, Mapping):
        return _plain(value["value"]) if SECRET_SIGNATURE in value else {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _filled_in(resource: Resource) -> Resource:
    """`resource` as a policy on the whole stack sees it in a preview: with the provider's defaults, and unknown where the provider
    takes a value from the image."""
    if resource.kind != declared.CONTAINER:
        return resource
    props = dict.fromkeys(FILLED_IN, UNKNOWN) | dict(resource.props)
    props = {key: UNKNOWN if key in FILLED_IN and value == [] else value for key, value in props.items()}
    for key, empty in EMPTY.items():
        if isinstance(props.get(key), list | tuple):
            props[key] = [empty | dict(one) if isinstance(one, Mapping) else one for one in props[key]]
    return replace(resource, props=props)


def as_seen(resource: Resource, stack: str) -> PolicyResource:
    """`resource` behind the SDK's proxies."""
    options = PolicyResourceOptions(resource.protect, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])
    urn = f"urn:pulumi:{stack}::project::{resource.kind}::{resource.name}"
    props = unknown_checking_proxy(_floats(dict(resource.props)))
    return PolicyResource(resource.kind, props, urn, resource.name, options, None, None, [], {})


def _floats(value: Any) -> Any:
    """`value` with all numbers as floats."""
    if isinstance(value, Mapping):
        return {key: _floats(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_floats(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
