"""python -m drills [NAMES]: faults on purpose on a real engine, a row for each. Names, or their beginnings, with commas."""

import re
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from drills import clock, crashes, deployments, drills_page, engine_restarts, healing, inputs, network, poison, storage
from drills.frame import Row, carry_out, chosen
from drills.ground import SERVICES, Ground, OnGround
from tests.support import machine
from tests.support.deployment import ROOT
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
"""Heading → its drills."""


def main(only: Annotated[str, typer.Argument(help="Names, or beginnings of names, separated by commas.")] = "") -> None:
    """Carries out the drills and writes docs/drills.json and docs/drills.md; fails if one has failed."""
    try:
        wanted = chosen((drill for group in GROUPS.values() for drill in group), only)
    except ValueError as error:
        raise ToolchainError(str(error)) from None
    console.print(f"{len(wanted)} drills: {', '.join(drill.name for drill in wanted)}")
    machine.main()
    client, local = machine.client(), images.local_images()
    rows: list[Row] = []
    begun = time.monotonic()
    with Ground(client, pulumi_cli.ensure().environment(), local) as ground:
        console.print(f"the stack is up, after {time.monotonic() - begun:.0f} s")
        versions = {"Docker": client.version()["Version"]}
        versions |= {service: _version(ground, service) for service in SERVICES}
        for row in carry_out(wanted, ground):
            rows.append(row)
            console.print(
                f"{'held  ' if row.held else 'FAILED'} {row.name} {row.seconds:.0f} s: {row.detail}", markup=False
            )
            names = {heading: [drill.name for drill in group] for heading, group in GROUPS.items()}
            drills_page.write(rows, names, versions, ROOT / "docs")
    failed = sum(not row.held for row in rows)
    console.print(f"{len(rows)} drills, {failed} failed")
    sys.exit(bool(failed))


def _version(ground: Ground, service: str) -> str:
    """Tag of the image that ran, without what only this machine knows."""
    reference = ground.stack.settings.image(service).partition("@")[0]
    return re.sub("-[0-9a-f]{12}$", "", reference.rpartition(":")[2])


if __name__ == "__main__":
    with readable_errors():
        typer.run(main)
