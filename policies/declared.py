"""How the policies of this pack look at what a program declares.

A preview does not know everything. Reading such a value raises, and the SDK would then turn the whole policy into advice,
for every resource: one unknown limit would open the door to all the others. Here it is a violation of that resource.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
COMMAND = "command:local:Command"
STACK = "pulumi:pulumi:Stack"

_NOUNS = {
    CONTAINER: "container",
    VOLUME: "volume",
    IMAGE: "image",
    NETWORK: "network",
    COMMAND: "command",
    STACK: "stack",
}

Properties = Mapping[str, Any]
"""Of one resource, as the engine hands them over: camelCase, numbers as floats; reading an unknown one raises."""

Config = Mapping[str, Any]
"""Of one policy: what `--policy-pack-config` says, with the schema's defaults for the rest."""

Schema = Mapping[str, Mapping[str, Any]]
"""JSON schema of each key of a policy's config; each has a default."""

Resource = PolicyResource | ResourceValidationArgs
Fact = TypeVar("Fact")


def each(
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
    """A policy that judges every resource of `kinds` (None: of all) by itself; `check` yields what is wrong, and how to mend it."""
    schema = config or {}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if kinds is None or args.resource_type in kinds:
            for violation in _known(lambda: check(args, _configured(schema, args.get_config()))):
                report(f"{noun(args)}: {violation}", args.urn)

    return ResourceValidationPolicy(
        name=name, description=description, validate=validate, **_metadata(fix, schema, severity, advisory=advisory)
    )


def whole(
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
    """A policy about all resources together: `read` takes from each what counts, `judge` yields what is wrong with it."""
    schema = config or {}

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        chosen = _configured(schema, args.get_config())
        facts: list[Fact] = []
        for resource in args.resources:
            try:
                facts += read(resource, chosen)
            except UnknownValueError as unknown:
                report(f"{noun(resource)}: {_explained(unknown)}", resource.urn)
        for violation in judge(facts, chosen):
            report(violation, None)

    return StackValidationPolicy(
        name=name, description=description, validate=validate, **_metadata(fix, schema, severity, advisory=advisory)
    )


@dataclass(frozen=True)
class Wrong:
    """A fact that is a violation by itself: what one resource tells, or what cannot be judged."""

    what: str


def wrong(facts: Iterable[Any]) -> Iterator[str]:
    """The violations among them, each once."""
    yield from dict.fromkeys(fact.what for fact in facts if isinstance(fact, Wrong))


def noun(resource: Resource) -> str:
    """What messages call `resource`."""
    return f"{_NOUNS.get(resource.resource_type, resource.resource_type)} {resource.name}"


def environment(resource: Resource, config: Config) -> str:
    """What decides how strict a policy is: its config's `environment`, else the name of the stack."""
    return str(config.get("environment") or resource.urn.split("::")[0].removeprefix("urn:pulumi:"))


ENVIRONMENT: Mapping[str, Any] = {
    "type": "string",
    "default": "",
    "description": "The environment, where the stack's name does not say it.",
}


def reasons(default: Mapping[str, str], description: str) -> dict[str, Any]:
    """Schema of an allow-list: name → why."""
    return {"type": "object", "additionalProperties": {"type": "string"}, "default": dict(default), "description": description}  # fmt: skip


def is_started(container: Properties) -> bool:
    """Whether anything will run in `container`; one that only holds files is created and left alone."""
    return _is_on(container, "start")


def keeps_running(container: Properties) -> bool:
    """Whether `container` is a service; one that does a job and ends is not."""
    return is_started(container) and _is_on(container, "mustRun")


def given(container: Properties, key: str) -> list[str]:
    """A list of texts of `container` that a program may leave to the image.

    A policy about the whole stack sees what the provider makes of the inputs, and that is unknown for what it fills in
    from the image. So what is unknown counts as not given; `no-secrets-in-clear`, which sees the inputs, refuses it.
    """
    try:
        return [str(one) for one in container.get(key) or ()]
    except UnknownValueError:
        return []


def arguments(container: Properties) -> list[str]:
    """The command line of `container`, as far as it is given."""
    return [*given(container, "entrypoints"), *given(container, "command")]


def image_name(container: Properties) -> str:
    """The last part of the path of the container's image, without tag and digest: `loki` of `docker.io/grafana/loki:3`."""
    reference = str(container.get("image") or "")
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _is_on(container: Properties, switch: str) -> bool:
    """`switch` of `container`: on unless it is known to be off."""
    try:
        return container.get(switch) is not False
    except UnknownValueError:
        return True


def _known(check: Callable[[], Iterable[str]]) -> Iterable[str]:
    try:
        yield from check()
    except UnknownValueError as unknown:
        yield _explained(unknown)


def _explained(unknown: UnknownValueError) -> str:
    return f"{'.'.join(unknown.props)} is not known before the update: give it as a plain value, not as an output"


def _configured(schema: Schema, config: Config) -> Config:
    return {key: what["default"] for key, what in schema.items()} | dict(config)


def _metadata(fix: str, schema: Schema, severity: Severity, *, advisory: bool) -> dict[str, Any]:
    return {
        "enforcement_level": EnforcementLevel.ADVISORY if advisory else EnforcementLevel.MANDATORY,
        "remediation_steps": fix,
        "config_schema": PolicyConfigSchema({key: dict(what) for key, what in schema.items()}) if schema else None,
        "severity": severity,
    }
