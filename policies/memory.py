"""Memory: a hard limit on every container that is started, no swap, and sums that leave everybody their share.

The limits are judged one by one, from what is declared and before the engine hears of it; the sums are judged at the end
of a preview and of an update.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import Policy

from declared import CONTAINER, STACK, Config, Properties, Resource, each, image_name, is_started, keeps_running, whole

CEILING_MIB = 14 * 1024
"""What the containers may have of the 16 GiB of the host. Another host: `ceiling_mib` in the config of the pack."""

CEILING_OUTPUT = "memory_ceiling_mib"
"""Stack output by which a stack binds itself to less than the ceiling of the pack; it cannot ask for more."""

SHARES_MIB: Mapping[str, int] = {
    "prometheus": 4096,
    "loki": 4096,
    "jaeger": 2048,
    "elasticsearch|opensearch": 4096,
    "grafana": 1024,
    r".+[-_]exporter|cadvisor|(docker[-_])?socket[-_]proxy": 1024,
}
"""Pattern of a container's name, or of its image's → what all that match may have together, of the host's 16 GiB."""

HEADROOM_PERCENT = 5

BIGGEST = 5
"""How many shares a sum over the ceiling names."""


@dataclass(frozen=True)
class Limit:
    """The hard limit of a container that keeps running."""

    name: str
    image: str
    """The last part of its path."""
    mib: int
    """0 for none."""


@dataclass(frozen=True)
class Ceiling:
    """What the stack itself says of its ceiling."""

    mib: int


def limit(container: Properties) -> Iterator[str]:
    """What is wrong with the bounds of one container. Only as declared: engines that cannot count swap report -1."""
    memory, swap = container.get("memory"), container.get("memorySwap")
    reservation = container.get("memoryReservation")
    if not memory or memory < 0:
        yield "it has no hard memory limit: set memory and memory_swap to the same number of MiB"
        return
    if swap != memory:
        yield (
            f"its limit of {memory:g} MiB lets it have {_beyond(memory, swap)} on top: set memory_swap to {memory:g} too"
        )
    if reservation is not None and not 0 <= reservation <= memory:
        yield f"its memory_reservation of {reservation:g} MiB is above its limit of {memory:g} MiB: lower it, or leave it out"


def over_the_ceiling(limits: Iterable[Limit], ceiling_mib: int) -> str | None:
    """What is wrong if `limits` add up to more than the ceiling."""
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
    """What Docker makes of `memory_swap`, which counts memory and swap together."""
    if not swap:
        return "as much swap"
    return "swap without end" if swap < 0 else f"{swap - memory:g} MiB of swap"


def _check_limit(container: Resource, _: Config) -> Iterable[str]:
    return limit(container.props) if is_started(container.props) else ()


def _read(resource: Resource, _: Config) -> Iterator[Limit | Ceiling]:
    if resource.resource_type == STACK and (stated := resource.props.get(CEILING_OUTPUT)) is not None:
        yield Ceiling(int(stated))
    elif resource.resource_type == CONTAINER and keeps_running(resource.props):
        memory = int(resource.props.get("memory") or 0)
        yield Limit(resource.name, image_name(resource.props), max(memory, 0))


def _judge_sum(facts: list[Limit | Ceiling], config: Config) -> Iterator[str]:
    limits, ceiling = _split(facts, config)
    if violation := over_the_ceiling(limits, ceiling):
        yield violation
    if unbounded := [one.name for one in limits if not one.mib]:
        yield f"the limits cannot be added up: give a hard limit to {', '.join(unbounded)}"


def _judge_headroom(facts: list[Limit | Ceiling], config: Config) -> Iterator[str]:
    limits, ceiling = _split(facts, config)
    total, percent = sum(one.mib for one in limits), config["percent"]
    if ceiling * (100 - percent) / 100 < total <= ceiling:
        yield (
            f"the limits add up to {total} of {ceiling} MiB: less than {percent:g} % are left for the next service. "
            "Lower a limit before you need to, or raise the ceiling if the host has the memory"
        )


def _split(facts: list[Limit | Ceiling], config: Config) -> tuple[list[Limit], int]:
    limits = [fact for fact in facts if isinstance(fact, Limit)]
    stated = [fact.mib for fact in facts if isinstance(fact, Ceiling)]
    return limits, min([int(config["ceiling_mib"]), *stated])


def _judge_shares(facts: list[Limit | Ceiling], config: Config) -> Iterator[str]:
    limits = [fact for fact in facts if isinstance(fact, Limit)]
    for pattern, most in config["shares_mib"].items():
        group = [one for one in limits if re.fullmatch(pattern, one.name) or re.fullmatch(pattern, one.image)]
        total = sum(one.mib for one in group)
        if total > most:
            named = ", ".join(f"{one.name} {one.mib}" for one in group)
            yield f"{named}: {total} MiB, and {most:g} MiB is all that {pattern} may have together: lower a limit"


_CEILING_SCHEMA: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "default": CEILING_MIB,
    "description": "What all containers together may have, in MiB.",
}

LIMIT = each(
    "memory-limit",
    "Every container that is started has a hard memory limit and no swap.",
    _check_limit,
    fix="Set memory and memory_swap of the container to the same number of MiB, and memory_reservation to less or not at all.",
)

CEILING = whole(
    "memory-ceiling",
    "The memory limits of all containers that keep running fit under the ceiling.",
    _read,
    _judge_sum,
    fix="Lower a limit; on a bigger host set ceiling_mib of memory-ceiling with --policy-pack-config.",
    config={"ceiling_mib": _CEILING_SCHEMA},
)

SHARES = whole(
    "memory-shares",
    "No kind of service takes the memory of the others.",
    _read,
    _judge_shares,
    fix="Lower a limit; on a bigger host set shares_mib of memory-shares with --policy-pack-config.",
    config={
        "shares_mib": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "default": dict(SHARES_MIB),
            "description": "Regular expression for names of containers or images, without registry and tag → MiB for all of them.",
        }
    },
)

HEADROOM = whole(
    "memory-headroom",
    "The memory limits leave room under the ceiling.",
    _read,
    _judge_headroom,
    fix="Lower a limit, or raise the ceiling where the host has the memory.",
    config={
        "ceiling_mib": _CEILING_SCHEMA,
        "percent": {"type": "number", "default": HEADROOM_PERCENT, "description": "Of the ceiling, to be left free."},
    },
    advisory=True,
)

POLICIES: tuple[Policy, ...] = (LIMIT, CEILING, SHARES, HEADROOM)
