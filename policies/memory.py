"""Memory: a hard limit on every container that is started, no swap, and a sum that leaves the host its share.

The limits are judged one by one, from what is declared and before the engine hears of it; the sum is judged at the end
of a preview and of an update. A number that a preview cannot know is a violation: the SDK would turn the whole policy
into advice, and one container with an unknown limit would open the door to all the others.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pulumi_policy import (
    Policy,
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
STACK = "pulumi:pulumi:Stack"

CEILING_MIB = 14 * 1024
"""What the containers may have of the 16 GiB of the host. Another host: `ceiling_mib` in the config of the pack."""

CEILING_OUTPUT = "memory_ceiling_mib"
"""Stack output by which a stack binds itself to less than the ceiling of the pack; it cannot ask for more."""

BIGGEST = 5
"""How many shares a sum over the ceiling names."""

Properties = Mapping[str, Any]
"""Of one resource, as the engine hands them over: numbers are floats, and reading an unknown one raises."""


class NoLimitError(Exception):
    """Why a container's memory has no bound that one can count on, and what would give it one."""


def limit_mib(container: Properties) -> int:
    """The hard limit of `container`.

    Raises:
        NoLimitError: it has none, or a preview cannot tell.
    """
    memory = _known(container, "memory")
    if not memory or memory < 0:
        msg = "it has no hard memory limit: set memory and memory_swap to the same number of MiB"
        raise NoLimitError(msg)
    return int(memory)


def refuse_swap(container: Properties) -> None:
    """Judges what `container` may have beyond its limit. Only as declared: engines that cannot count swap report -1.

    Raises:
        NoLimitError: it may swap, or a preview cannot tell.
    """
    memory, swap = limit_mib(container), _known(container, "memorySwap")
    if swap != memory:
        msg = f"its limit of {memory} MiB lets it have {_beyond(memory, swap)} on top: set memory_swap to {memory} too"
        raise NoLimitError(msg)


def is_started(container: Properties) -> bool:
    """Whether anything will run in `container`; one that only holds files is created and left alone."""
    return _is_on(container, "start")


def keeps_running(container: Properties) -> bool:
    """Whether `container` holds on to its memory; one that does a job and ends does not."""
    return is_started(container) and _is_on(container, "mustRun")


def over_the_ceiling(limits: Iterable[tuple[str, int]], ceiling_mib: int) -> str | None:
    """What is wrong if `limits` (name, MiB) add up to more than the ceiling."""
    shares = sorted(limits, key=lambda share: (-share[1], share[0]))
    total = sum(mib for _, mib in shares)
    if total <= ceiling_mib:
        return None
    named = [f"{name} {mib}" for name, mib in shares[:BIGGEST]]
    if rest := shares[BIGGEST:]:
        named.append(f"{len(rest)} more with {sum(mib for _, mib in rest)}")
    return (
        f"the limits add up to {total} MiB, {total - ceiling_mib} MiB over the ceiling of {ceiling_mib} MiB "
        f"({', '.join(named)}): lower a limit, or raise the ceiling if the host has the memory"
    )


def stated_ceiling(outputs: Properties) -> int | None:
    """The ceiling that the stack itself names among its `outputs`.

    Raises:
        NoLimitError: it names one that a preview cannot know.
    """
    stated = _known(outputs, CEILING_OUTPUT)
    return None if stated is None else int(stated)


def _known(properties: Properties, key: str) -> Any:
    try:
        return properties.get(key)
    except UnknownValueError:
        msg = f"{key} is not known before the update: give it as a plain number, not as an output"
        raise NoLimitError(msg) from None


def _beyond(memory: int, swap: float | None) -> str:
    """What Docker makes of `memory_swap`, which counts memory and swap together."""
    if not swap:
        return "as much swap"
    return "swap without end" if swap < 0 else f"{swap - memory:g} MiB of swap"


def _is_on(container: Properties, switch: str) -> bool:
    """`switch` of `container`: on unless it is known to be off."""
    try:
        return container.get(switch) is not False
    except UnknownValueError:
        return True


def _judge_limit(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type != CONTAINER or not is_started(args.props):
        return
    try:
        refuse_swap(args.props)
    except NoLimitError as problem:
        report(f"container {args.name}: {problem}", args.urn)


def _judge_sum(args: StackValidationArgs, report: ReportViolation) -> None:
    ceiling = int(args.get_config().get("ceiling_mib", CEILING_MIB))
    limits: list[tuple[str, int]] = []
    unbounded: list[str] = []
    for resource in args.resources:
        try:
            if resource.resource_type == STACK:
                ceiling = min(ceiling, stated_ceiling(resource.props) or ceiling)
            elif _counts(resource):
                limits.append((resource.name, limit_mib(resource.props)))
        except NoLimitError as problem:
            unbounded.append(f"{resource.name}: {problem}")
    if violation := over_the_ceiling(limits, ceiling):
        report(violation, None)
    if unbounded:
        report(f"the limits cannot be added up; {'; '.join(unbounded)}", None)


def _counts(resource: PolicyResource) -> bool:
    return resource.resource_type == CONTAINER and keeps_running(resource.props)


LIMIT = ResourceValidationPolicy(
    name="memory-limit",
    description="Every container that is started has a hard memory limit and no swap.",
    severity=Severity.HIGH,
    tags=["memory"],
    remediation_steps="Set memory and memory_swap of the container to the same number of MiB.",
    validate=_judge_limit,
)

CEILING = StackValidationPolicy(
    name="memory-ceiling",
    description="The memory limits of all containers that keep running fit under the ceiling.",
    severity=Severity.HIGH,
    tags=["memory"],
    remediation_steps="Lower a limit; on a bigger host set ceiling_mib of memory-ceiling with --policy-pack-config.",
    config_schema=PolicyConfigSchema(
        properties={
            "ceiling_mib": {
                "type": "integer",
                "minimum": 1,
                "default": CEILING_MIB,
                "description": "What all containers together may have, in MiB.",
            }
        }
    ),
    validate=_judge_sum,
)

POLICIES: tuple[Policy, ...] = (LIMIT, CEILING)
