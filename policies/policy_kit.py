"""Turns functions that yield violations into policies.

A preview does not know every value. Reading an unknown one raises, and the SDK would then turn the whole policy into advice
for every resource: one unknown limit would let all other violations pass. Here an unknown value is a violation of the
resource that has it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies.readers.declared_resources import CONTAINER, Resource, noun, stack_name

Config = Mapping[str, Any]
"""Config of one policy: what `--policy-pack-config` sets, and the schema's defaults for the other keys."""

Schema = Mapping[str, Mapping[str, Any]]
"""Key of a policy's config → its JSON schema, with a default."""

Fact = TypeVar("Fact")


def resource_policy(
    name: str,
    description: str,
    check: Callable[[Resource, Config], Iterable[str]],
    *,
    kinds: Sequence[str] | None = (CONTAINER,),
    fix: str,
    config: Schema | None = None,
    severity: Severity = Severity.HIGH,
    advisory: bool = False,
) -> ResourceValidationPolicy:
    """A policy that judges each resource by itself.

    `check` yields the violations of one resource, each with its fix. `kinds` are the resource types that it judges, None for
    all.
    """
    schema = config or {}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if kinds is None or args.resource_type in kinds:
            for violation in _or_unknown(lambda: check(args, _with_defaults(schema, args.get_config()))):
                report(f"{noun(args)}: {violation}", args.urn)

    return ResourceValidationPolicy(
        name=name, description=description, validate=validate, **_metadata(fix, schema, severity, advisory=advisory)
    )


def stack_policy(
    name: str,
    description: str,
    read: Callable[[Resource, Config], Iterable[Fact]],
    judge: Callable[[list[Fact], Config], Iterable[str]],
    *,
    fix: str,
    config: Schema | None = None,
    severity: Severity = Severity.HIGH,
    advisory: bool = False,
) -> StackValidationPolicy:
    """A policy that judges all resources together.

    `read` yields the facts about one resource that the policy needs; `judge` yields the violations in all facts, each with
    its fix.
    """
    schema = config or {}

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        settings = _with_defaults(schema, args.get_config())
        facts: list[Fact] = []
        for resource in args.resources:
            try:
                facts += read(resource, settings)
            except UnknownValueError as unknown:
                report(f"{noun(resource)}: {_message(unknown)}", resource.urn)
        for violation in judge(facts, settings):
            report(violation, None)

    return StackValidationPolicy(
        name=name, description=description, validate=validate, **_metadata(fix, schema, severity, advisory=advisory)
    )


@dataclass(frozen=True)
class Violation:
    """A fact that is a violation by itself: one resource shows it, or it keeps the policy from judging."""

    message: str


def violations(facts: Iterable[Any]) -> Iterator[str]:
    """The message of each `Violation` among `facts`, without repetitions."""
    yield from dict.fromkeys(fact.message for fact in facts if isinstance(fact, Violation))


def environment(resource: Resource, config: Config) -> str:
    """The environment, which decides how strict a policy is: `environment` of its config, else the name of the stack."""
    return str(config.get("environment") or stack_name(resource))


ENVIRONMENT: Mapping[str, Any] = {
    "type": "string",
    "default": "",
    "description": "The environment, if the stack's name is not its name.",
}
"""Schema of the config key that `environment` reads."""


def allow_list(default: Mapping[str, str], description: str) -> dict[str, Any]:
    """Schema of an allow-list: name → reason."""
    return {"type": "object", "additionalProperties": {"type": "string"}, "default": dict(default), "description": description}  # fmt: skip


def in_list(name: str, allowed: Iterable[str]) -> bool:
    """Whether an allow-list has `name`. An entry may have a `*`: ``nginx_exporter*`` is ``nginx_exporter-2`` too."""
    return any(fnmatchcase(name, entry) for entry in allowed)


def _or_unknown(check: Callable[[], Iterable[str]]) -> Iterable[str]:
    try:
        yield from check()
    except UnknownValueError as unknown:
        yield _message(unknown)


def _message(unknown: UnknownValueError) -> str:
    return f"{'.'.join(unknown.props)} is not known before the update: give it as a plain value, not as an output"


def _with_defaults(schema: Schema, config: Config) -> Config:
    return {key: what["default"] for key, what in schema.items()} | dict(config)


def _metadata(fix: str, schema: Schema, severity: Severity, *, advisory: bool) -> dict[str, Any]:
    return {
        "enforcement_level": EnforcementLevel.ADVISORY if advisory else EnforcementLevel.MANDATORY,
        "remediation_steps": fix,
        "config_schema": PolicyConfigSchema({key: dict(what) for key, what in schema.items()}) if schema else None,
        "severity": severity,
    }
