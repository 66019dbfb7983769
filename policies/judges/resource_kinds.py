"""Resource kinds: a program declares only kinds of resources that this pack judges."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_resources import COMMAND, CONTAINER, IMAGE, NETWORK, STACK, VOLUME, Resource

KINDS: Mapping[str, str] = {
    CONTAINER: "judged by most policies",
    VOLUME: "judged by data-volumes and apart-from-the-host",
    NETWORK: "judged by apart-from-the-host",
    IMAGE: "judged by images-are-pinned",
    COMMAND: "judged by known-commands",
    STACK: "the program itself",
    "pulumi:providers:docker": "says where the engine is",
    "pulumi:providers:command": "it only starts commands, which are judged",
    "nervous-system:index:*": "components of this project: each resource in them is judged by itself",
}
"""Kind of resource, with * as in a shell → which policies judge it, or why it needs none."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    kind = resource.resource_type
    if not any(fnmatchcase(kind, pattern) for pattern in config["allowed"]):
        yield (
            f"no policy can judge a {kind}: declare containers, volumes and networks instead, or allow the kind in the policy's "
            "config with a reason"
        )


KNOWN_KINDS = resource_policy(
    "known-kinds",
    "A program declares only kinds of resources that are judged.",
    _check,
    kinds=None,
    fix="Declare containers, volumes, networks and pulled images.",
    config={"allowed": allow_list(KINDS, "Kinds, with * for any → which policies judge them, or why they need none.")},
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (KNOWN_KINDS,)
