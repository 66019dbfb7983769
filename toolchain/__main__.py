"""python -m toolchain: prepare this machine for deployments."""

import typer

from toolchain import engine_setup as docker_engine
from toolchain import images as service_images
from toolchain import lint
from toolchain.report import readable_errors

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def main() -> None:
    """Prepare this machine for deployments."""


@app.command()
def engine() -> None:
    """Make sure that a Docker engine runs."""
    docker_engine.ensure()


@app.command()
def images() -> None:
    """Build the service images that cannot be pulled."""
    for service, reference in service_images.local_images().items():
        typer.echo(f"{service}: {reference}")


@app.command()
def binary(name: str) -> None:
    """Print the path of a tool such as promtool."""
    typer.echo(service_images.binary(name))


app.command()(lint.lint)


if __name__ == "__main__":
    with readable_errors():
        app()
