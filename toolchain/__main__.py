"""python -m toolchain: the commands that make calls."""

import typer

from toolchain import engine as docker_engine
from toolchain import pulumi_cli
from toolchain.report import readable_errors

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def main() -> None:
    """Make this machine able to deploy."""


@app.command()
def engine() -> None:
    """A running Docker engine."""
    docker_engine.ensure()


@app.command()
def pulumi() -> None:
    """The Pulumi CLI with its providers."""
    pulumi_cli.ensure()


if __name__ == "__main__":
    with readable_errors():
        app()
