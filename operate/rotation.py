"""The command `rotate`: another credential for an edge, at a centre and on the edge, so that none of its requests is refused."""

import secrets
from typing import Annotated

import typer

from config.settings.edges import NEXT
from config.settings.secret_keys import CENTRE_PASSWORD, OF_EDGES
from operate import commands
from operate.managed_stack import Stack
from operate.stack_file import Name, load_settings
from toolchain import paths
from toolchain.report import ToolchainError, note


def rotate(
    edge: Annotated[str, typer.Argument(envvar="EDGE", help="As in `edges` of the centre.")],
    stack: Name = "dev",
) -> None:
    """Gives an edge another credential. The centre takes both until the edge has it. If it stops half-way, run it again: it goes
    on from there."""
    centre = Stack(stack)
    if edge not in centre.settings.edges:
        there = ", ".join(sorted(centre.settings.edges)) or "none"
        raise ToolchainError(f"Pulumi.{stack}.yaml has no edge {edge!r}: edges: {there}", fix="EDGE=<one of them>")
    at_edge = Stack(_stack_of(edge))
    key, following = OF_EDGES + edge, OF_EDGES + edge + NEXT
    if following in centre.settings.secrets:  # the edge may have it already
        note(f"{following} is set already: going on with that")
        password = centre.ask("config", "get", following, "--stack", stack).strip()
    else:
        password = secrets.token_hex(32)
        _set(centre, following, password)
    commands.deploy(stack)
    _set(at_edge, CENTRE_PASSWORD, password)
    commands.deploy(at_edge.name)
    _set(centre, key, password)
    centre.ask("config", "rm", following, "--stack", stack)
    commands.deploy(stack)
    note(f"{edge} has a new credential: commit Pulumi.{stack}.yaml and Pulumi.{at_edge.name}.yaml")


def _set(stack: Stack, secret: str, value: str) -> None:
    stack.ask("config", "set", "--secret", secret, "--stack", stack.name, stdin=value)


def _stack_of(edge: str) -> str:
    """The stack of this checkout that is the edge.

    Raises:
        ToolchainError: there is none.
    """
    for name in sorted(
        path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in paths.REPOSITORY.glob("Pulumi.*.yaml")
    ):
        try:
            settings = load_settings(name)
        except ToolchainError:  # another stack's file, which is not asked for here
            continue
        if settings.role == "edge" and settings.name_of_host == edge:
            return name
    raise ToolchainError(
        f"no stack file here has  role: edge  and  host_name: {edge}",
        fix="set its credential by hand, in the order of docs/edges.md",
    )
