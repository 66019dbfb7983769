"""Sends a test alert to every receiver of a stack, and says what came back."""

import typer
from docker.errors import DockerException, NotFound
from rich.console import Console

import check
from check import receivers
from operate.stack_file import PROJECT, Name, load_settings
from toolchain import engine_setup
from toolchain.report import Step, ToolchainError


def alert_test(stack: Name = "dev") -> None:
    """Sends a test alert to every receiver, and reports the answers. The alert is critical, so it pages the person
    on call."""
    settings = load_settings(stack)
    if not receivers.receivers(settings):
        raise ToolchainError(
            f"Pulumi.{stack}.yaml: {PROJECT}:notifications: no receiver is set, so nobody gets any alert",
            fix="docs/notifications.md shows how to set one",
        )
    client = engine_setup.connect(settings.docker)
    try:
        with Step("test alert"):
            results = receivers.findings(receivers.manager(client, settings), settings)
    except NotFound:
        raise ToolchainError(f"no Alertmanager of {stack} is running", fix=f"make up STACK={stack}") from None
    except LookupError as error:
        raise ToolchainError(str(error), fix=f"make check STACK={stack}") from None
    except (DockerException, OSError) as error:
        raise engine_setup.EngineUnreachableError(settings.docker.host, error) from None
    check.show(results, Console(highlight=False), everything=True)
    if not all(finding.kept for finding in results):
        raise typer.Exit(1)
