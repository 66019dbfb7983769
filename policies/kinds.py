"""What a program consists of: only what this pack can judge, and only commands that are known.

A command runs on the machine of the deployment, with the passphrase of the stack at hand.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from pulumi_policy import Policy, Severity

from declared import COMMAND, CONTAINER, IMAGE, NETWORK, STACK, VOLUME, Config, Resource, each, reasons

KINDS: Mapping[str, str] = {
    CONTAINER: "judged by most policies",
    VOLUME: "judged by data-volumes and apart-from-the-host",
    NETWORK: "judged by apart-from-the-host",
    IMAGE: "judged by images-are-pinned",
    COMMAND: "judged by known-commands",
    STACK: "the program itself",
    "pulumi:providers:docker": "where the engine is",
    "pulumi:providers:command": "it only starts commands, which are judged",
    "nervous-system:index:*": "components of this project: each resource in them is judged by itself",
}

COMMANDS: Mapping[str, str] = {
    ".venv/bin/python -m components.activate": "hands a service its files and asks whether it is well",
    ".venv/bin/python -m components.annotation": "tells Grafana of a deployment",
}
VARIABLES: Mapping[str, str] = {"ORDER": "what those commands are told; it changes no program"}

_ELSEWHERE = ("interpreter", "dir", "stdin", "archivePaths", "assetPaths")
"""Inputs by which a known command is run by another program, in another place, or takes files."""


def _check_kind(resource: Resource, config: Config) -> Iterator[str]:
    kind = resource.resource_type
    if not any(fnmatchcase(kind, known) for known in config["allowed"]):
        yield (
            f"no policy can judge a {kind}: declare what it does by containers, volumes and networks, or allow the kind in the "
            "policy's config with a reason"
        )


def _check_command(resource: Resource, config: Config) -> Iterator[str]:
    props = resource.props
    for step in ("create", "update", "delete"):
        if (text := props.get(step)) and text not in config["allowed"]:
            yield f"its {step} runs a program that is not known: leave it out, or allow it in the policy's config with a reason"
    for key in _ELSEWHERE:
        if props.get(key):
            yield f"{key} makes another command of a known one: leave it out"
    for name in props.get("environment") or {}:
        if name not in config["variables"]:
            yield (
                f"the variable {name} may make another command of a known one: leave it out, or allow it in the policy's config "
                "as one of its variables, with a reason"
            )


KNOWN_KINDS = each(
    "known-kinds",
    "A program declares only kinds of resources that are judged.",
    _check_kind,
    kinds=None,
    fix="Declare containers, volumes, networks and pulled images.",
    config={"allowed": reasons(KINDS, "Kinds, with * for any → why they need no policy, or which judges them.")},
    severity=Severity.CRITICAL,
)

KNOWN_COMMANDS = each(
    "known-commands",
    "Only known commands run on the machine of the deployment.",
    _check_command,
    kinds=(COMMAND,),
    fix="Leave the command out; what a container can do, a container does.",
    config={
        "allowed": reasons(COMMANDS, "Commands, word by word → what they are for."),
        "variables": reasons(VARIABLES, "Variables that commands may be given → why they change no program."),
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (KNOWN_KINDS, KNOWN_COMMANDS)
