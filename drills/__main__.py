"""python -m drills [NAMES]: faults on purpose on a real engine, a row for each. Names, or their beginnings, with commas."""

import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from config.images import Reference
from drills import (
    clock,
    crashes,
    deployments,
    drills_page,
    engine_restarts,
    healing,
    inputs,
    network,
    poison,
    storage,
    two_hosts,
)
from drills.centre_and_edge import CentreAndEdge
from drills.frame import Drill, Row, carry_out, chosen
from drills.ground import SERVICES, Ground, OnGround
from tests.support import machine
from tests.support.deployment import ROOT, Deployment
from toolchain import images, pulumi_cli
from toolchain.report import ToolchainError, readable_errors

console = Console(width=160, highlight=False)

GROUPS: dict[str, list[OnGround]] = {
    "Containers": crashes.drills(),
    "Engine": engine_restarts.drills(),
    "Network": network.drills(),
    "Storage": storage.drills(),
    "Clocks": [*clock.drills(), *engine_restarts.clock_drills()],
    "Deployments": deployments.drills(),
    "Self-healing": healing.drills(),
    "Bad inputs": [*inputs.drills(), *poison.drills()],
}
"""Heading → its drills on one stack."""
TWO_HOSTS = {"Two hosts": two_hosts.drills()}
"""Those on a centre and its edge."""
NAMES = {
    heading: [drill.name for drill in group] for groups in (GROUPS, TWO_HOSTS) for heading, group in groups.items()
}


def main(only: Annotated[str, typer.Argument(help="Names, or beginnings of names, separated by commas.")] = "") -> None:
    """Carries out the drills and writes docs/drills.json and docs/drills.md; fails if one has failed."""
    on_one = [drill for group in GROUPS.values() for drill in group]
    on_two = [drill for group in TWO_HOSTS.values() for drill in group]
    every: list[Drill[Any]] = [*on_one, *on_two]
    try:
        wanted = {drill.name for drill in chosen(every, only)}
    except ValueError as error:
        raise ToolchainError(str(error)) from None
    console.print(f"{len(wanted)} drills: {', '.join(drill.name for drill in every if drill.name in wanted)}")
    machine.main()
    client, local = machine.client(), images.local_images()
    environment = pulumi_cli.ensure().environment()
    rows: list[Row] = []

    def told(row: Row, versions: Mapping[str, str]) -> None:
        rows.append(row)
        result = "held  " if row.held else "FAILED"
        console.print(f"{result} {row.name} {row.seconds:.0f} s: {row.detail}", markup=False)
        drills_page.write(rows, NAMES, versions, ROOT / "docs")

    docker = {"Docker": client.version()["Version"]}
    if of_one := [drill for drill in on_one if drill.name in wanted]:
        with _up(Ground(client, environment, local)) as ground:
            versions = docker | {service: _version(ground.stack, service) for service in SERVICES}
            for row in carry_out(of_one, ground):
                told(row, versions)
    if of_two := [drill for drill in on_two if drill.name in wanted]:
        with _up(CentreAndEdge(environment)) as both:
            versions = docker | {service: _version(both.centre, service) for service in both.centre.settings.services}
            for row in carry_out(of_two, both):
                told(row, versions)
    failed = sum(not row.held for row in rows)
    console.print(f"{len(rows)} drills, {failed} failed")
    sys.exit(bool(failed))


Up = TypeVar("Up", Ground, CentreAndEdge)


@contextmanager
def _up(ground: Up) -> Iterator[Up]:
    begun = time.monotonic()
    with ground:
        console.print(f"what the drills are carried out on is up, after {time.monotonic() - begun:.0f} s")
        yield ground


def _version(stack: Deployment, service: str) -> str:
    """Tag of the image that ran, without what only this machine knows."""
    return re.sub("-[0-9a-f]{12}$", "", Reference.parse(stack.settings.image(service)).tag)


if __name__ == "__main__":
    with readable_errors():
        typer.run(main)
