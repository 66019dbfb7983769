"""python -m examples.shop.load: send requests to the shop by a profile, and report the results as JSON."""

from pathlib import Path
from typing import Annotated

import typer

from examples.shop.load.faults import Fault
from examples.shop.load.generator import Generator, ShopNotReadyError
from examples.shop.load.profiles import PROFILES

PROFILES_IN_WORDS = "\n\n".join(f"{name}: {profile.description}." for name, profile in PROFILES.items())


def main(
    profile: Annotated[str, typer.Argument(help="One of " + ", ".join(PROFILES) + ".")] = "steady",
    *,
    url: Annotated[str, typer.Option(help="Where the shop's Nginx listens.")] = "http://127.0.0.1:8080",
    seconds: Annotated[float, typer.Option(min=0, help="How long in all, the phases in proportion; 0: as it is.")] = 0,
    fault: Annotated[
        str, typer.Option(help="In place of the incident's own, e.g. products=latency:1500ms or auth=leak:5MiB.")
    ] = "",
    report: Annotated[Path | None, typer.Option(help="File for the report, else it is printed.")] = None,
) -> None:
    """Send requests to the shop and report what became of them."""
    try:
        if profile not in PROFILES:
            raise ValueError(f"{profile!r} is not a profile, which are {', '.join(PROFILES)}")  # noqa: TRY301
        traffic = PROFILES[profile]
        traffic = traffic.with_fault(Fault.parse(fault)) if fault else traffic
        traffic = traffic.lasting(seconds) if seconds else traffic
        summary = Generator(url).run(traffic, on_phase=lambda phase: typer.echo(phase, err=True))
    except (ShopNotReadyError, ValueError) as error:
        typer.echo(f"✗ {error}", err=True)
        raise typer.Exit(1) from None
    text = summary.model_dump_json(indent=2)
    if report:
        report.write_text(text + "\n")
        typer.echo(f"{summary.requests} requests; what became of them: {report}", err=True)
    else:
        typer.echo(text)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(help=f"{main.__doc__}\n\n{PROFILES_IN_WORDS}")(main)

if __name__ == "__main__":
    app()
