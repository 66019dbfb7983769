"""Local commands: only known commands run on the deploying machine, where the passphrase of the stack is at hand."""

from collections.abc import Iterator, Mapping

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_resources import COMMAND, Resource

COMMANDS: Mapping[str, str] = {
    ".venv/bin/python -m engine.activate": "activates a service's files and asks whether it is healthy",
    ".venv/bin/python -m engine.annotation": "marks a deployment in Grafana",
}
"""Command, word by word → what it does."""
VARIABLES: Mapping[str, str] = {
    "ORDER": "the order that these commands carry out; it does not change which program runs"
}
"""Environment variable of a command → why it is harmless."""

_REDIRECTIONS = ("interpreter", "dir", "stdin", "archivePaths", "assetPaths")
"""Inputs that make a known command run another program, run elsewhere, or take files."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    props = resource.props
    for step in ("create", "update", "delete"):
        if (text := props.get(step)) and text not in config["allowed"]:
            yield f"its {step} runs an unknown program: leave it out, or allow it in the policy's config with a reason"
    for key in _REDIRECTIONS:
        if props.get(key):
            yield f"{key} turns a known command into another: leave it out"
    for name in props.get("environment") or {}:
        if name not in config["variables"]:
            yield (
                f"the variable {name} may turn a known command into another: leave it out, or add it to `variables` in the "
                "policy's config with a reason"
            )


KNOWN_COMMANDS = resource_policy(
    "known-commands",
    "Only known commands run on the deploying machine.",
    _check,
    kinds=(COMMAND,),
    fix="Leave the command out. Do the work in a container if it can be done there.",
    config={
        "allowed": allow_list(COMMANDS, "Commands, word by word → what they do."),
        "variables": allow_list(VARIABLES, "Environment variables of commands → why they are harmless."),
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (KNOWN_COMMANDS,)
