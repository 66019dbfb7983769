"""Memory: every container that is started has a hard limit and no swap, and the sums of the limits stay within bounds.

Limits are judged one by one, from the declared inputs and before the engine sees them. Sums are judged at the end of a preview
and of an update.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import Policy

from policies.policy_kit import Config, resource_policy, stack_policy
from policies.readers.declared_resources import (
    CONTAINER,
    STACK,
    Properties,
    Resource,
    image_name,
    is_started,
    keeps_running,
)

CEILING_MIB = 14 * 1024
"""Memory for all containers together on a host with 16 GiB, in MiB. Other hosts set `ceiling_mib` in the config of the pack."""

CEILING_OUTPUT = "memory_ceiling_mib"
"""Stack output with the stack's own ceiling in MiB. It can lower the ceiling of the pack, not raise it."""

SHARES_MIB: Mapping[str, int] = {
    "prometheus": 4096,
    "loki": 4096,
    "jaeger": 2048,
    "elasticsearch|opensearch": 4096,
    "grafana": 1024,
    r".+[-_]exporter|cadvisor|(docker[-_])?socket[-_]proxy": 1024,
}
"""Pattern of a container's name or image name → MiB for all containers that match, on a host with 16 GiB."""

HEADROOM_PERCENT = 5
"""Share of the ceiling that `memory-headroom` advises to leave free."""

BIGGEST = 5
"""How many containers a message on a sum over the ceiling names."""


@dataclass(frozen=True)
class MemoryLimit:
    """The hard limit of a container that keeps running."""

    name: str
    image: str
    """The last part of the repository."""
    mib: int
    """0 if there is no limit."""


@dataclass(frozen=True)
class OwnCeiling:
    """The ceiling that the stack sets for itself."""

    mib: int


def limit(container: Properties) -> Iterator[str]:
    """Violations in the memory settings of one container, from its inputs: an engine that cannot count swap reports -1."""
    memory, swap = container.get("memory"), container.get("memorySwap")
    reservation = container.get("memoryReservation")
    if not memory or memory < 0:
        yield "it has no hard memory limit: set memory and memory_swap to the same number of MiB"
        return
    if swap != memory:
        yield (
            f"its limit of {memory:g} MiB lets it use {_beyond(memory, swap)} on top: set memory_swap to {memory:g} too"
        )
    if reservation is not None and not 0 <= reservation <= memory:
        yield f"its memory_reservation of {reservation:g} MiB is above its limit of {memory:g} MiB: lower it, or leave it out"


def over_the_ceiling(limits: Iterable[MemoryLimit], ceiling_mib: int) -> str | None:
    """The violation if `limits` add up to more than `ceiling_mib`, else None."""
    shares = sorted(limits, key=lambda share: (-share.mib, share.name))
    total = sum(share.mib for share in shares)
    if total <= ceiling_mib:
        return None
    named = [f"{share.name} {share.mib}" for share in shares[:BIGGEST]]
    if rest := shares[BIGGEST:]:
        named.append(f"{len(rest)} more with {sum(share.mib for share in rest)}")
    return (
        f"the limits add up to {total} MiB, {total - ceiling_mib} MiB over the ceiling of {ceiling_mib} MiB "
        f"({', '.join(named)}): lower a limit, or raise the ceiling if the host has the memory"
    )


def _beyond(memory: float, swap: float | None) -> str:
    """The swap that Docker allows: `memory_swap` is memory and swap together, in MiB."""
    if not swap:
        return "as much swap"
    return "unlimited swap" if swap < 0 else f"{swap - memory:g} MiB of swap"


def _check_limit(container: Resource, _: Config) -> Iterable[str]:
    return limit(container.props) if is_started(container.props) else ()


def _read(resource: Resource, _: Config) -> Iterator[MemoryLimit | OwnCeiling]:
    if resource.resource_type == STACK and (own := resource.props.get(CEILING_OUTPUT)) is not None:
        yield OwnCeiling(int(own))
    elif resource.resource_type == CONTAINER and keeps_running(resource.props):
        memory = int(resource.props.get("memory") or 0)
        yield MemoryLimit(resource.name, image_name(resource.props), max(memory, 0))


def _judge_sum(facts: list[MemoryLimit | OwnCeiling], config: Config) -> Iterator[str]:
    limits, ceiling = _split(facts, config)
    if violation := over_the_ceiling(limits, ceiling):
        yield violation
    if unbounded := [one.name for one in limits if not one.mib]:
        yield f"the limits cannot be added up: give a hard limit to {', '.join(unbounded)}"


def _judge_headroom(facts: list[MemoryLimit | OwnCeiling], config: Config) -> Iterator[str]:
    limits, ceiling = _split(facts, config)
    total, percent = sum(one.mib for one in limits), config["percent"]
    if ceiling * (100 - percent) / 100 < total <= ceiling:
        yield (
            f"the limits add up to {total} of {ceiling} MiB: less than {percent:g} % is left for the next service. "
            "Lower a limit in time, or raise the ceiling if the host has the memory"
        )


def _split(facts: list[MemoryLimit | OwnCeiling], config: Config) -> tuple[list[MemoryLimit], int]:
    limits = [fact for fact in facts if isinstance(fact, MemoryLimit)]
    own = [fact.mib for fact in facts if isinstance(fact, OwnCeiling)]
    return limits, min([int(config["ceiling_mib"]), *own])


def _judge_shares(facts: list[MemoryLimit | OwnCeiling], config: Config) -> Iterator[str]:
    limits = [fact for fact in facts if isinstance(fact, MemoryLimit)]
    for pattern, most in config["shares_mib"].items():
        group = [one for one in limits if re.fullmatch(pattern, one.name) or re.fullmatch(pattern, one.image)]
        total = sum(one.mib for one in group)
        if total > most:
            named = ", ".join(f"{one.name} {one.mib}" for one in group)
            yield f"{named}: {total} MiB, but {pattern} may have {most:g} MiB together: lower a limit"


_CEILING_SCHEMA: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "default": CEILING_MIB,
    "description": "Memory for all containers together, in MiB.",
}

LIMIT = resource_policy(
    "memory-limit",
    "Every container that is started has a hard memory limit and no swap.",
    _check_limit,
    fix="Set memory and memory_swap of the container to the same number of MiB. Set memory_reservation lower, or leave it out.",
)

CEILING = stack_policy(
    "memory-ceiling",
    "The memory limits of all containers that keep running fit under the ceiling.",
    _read,
    _judge_sum,
    fix="Lower a limit; on a bigger host set ceiling_mib of memory-ceiling with --policy-pack-config.",
    config={"ceiling_mib": _CEILING_SCHEMA},
)

SHARES = stack_policy(
    "memory-shares",
    "No kind of service takes more than its share of the memory.",
    _read,
    _judge_shares,
    fix="Lower a limit; on a bigger host set shares_mib of memory-shares with --policy-pack-config.",
    config={
        "shares_mib": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "default": dict(SHARES_MIB),
            "description": "Regular expression for names of containers, or of images without registry and tag → MiB for all of them.",
        }
    },
)

HEADROOM = stack_policy(
    "memory-headroom",
    "The memory limits leave room under the ceiling.",
    _read,
    _judge_headroom,
    fix="Lower a limit, or raise the ceiling if the host has the memory.",
    config={
        "ceiling_mib": _CEILING_SCHEMA,
        "percent": {
            "type": "number",
            "default": HEADROOM_PERCENT,
            "description": "Share of the ceiling to leave free.",
        },
    },
    advisory=True,
)

POLICIES: tuple[Policy, ...] = (LIMIT, CEILING, SHARES, HEADROOM)
