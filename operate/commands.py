"""The commands for one stack, which `make up`, `preview`, `check`, `down` and `drift` run."""

import contextlib
import json
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated

import typer
from docker.errors import DockerException, NotFound
from rich.console import Console

import check
from config import addition_files
from config.services.descriptions import data_volumes
from config.settings import loading
from config.settings.secret_keys import GRAFANA_PASSWORD
from operate import engine_networks
from operate.backend import environment
from operate.managed_stack import Stack
from operate.policy_config import policies
from operate.stack_file import PROJECT, Name, load_settings
from toolchain import engine_setup, images, paths, pulumi_cli
from toolchain.report import Step, ToolchainError, console, note, verbose

WITH_PAGES = ("prometheus", "jaeger", "grafana")
"""Services with web pages in their official images that cannot be built from their Go modules."""


def up(stack: Name = "dev") -> None:
    """Installs what is missing, deploys, checks, and prints where to look."""
    deploy(stack)


def deploy(stack: str, *, planned: bool = False) -> None:
    """Deploys as `up` does. `planned`: a preview of this very update has just been judged."""
    deployed, pack = Stack(stack), policies(stack)
    deployed.must_keep_password()
    client = engine_setup.ensure(deployed.settings.docker)
    deployed.must_find_networks(client)
    new = deployed.create()
    deployed.find_places(client)
    deployed.make_up_password()
    deployed.fetch_images()
    deployed.find_host_parts(client)
    repairs = deployed.repair()
    options = (*repairs, *pack)
    # An update that changes nothing takes as long as its plan, and the check goes on beside that. What is to be read back
    # from the engine, only an update keeps.
    beside = ThreadPoolExecutor(1)
    results = None if new or planned or repairs else beside.submit(findings, stack, 0, with_request=False)
    try:
        changed = planned or deployed.plan(*options) or bool(repairs)
    finally:
        beside.shutdown(wait=False)
    if changed:
        results, changed = None, deployed.update("up", *options)
    _check(stack, check.PATIENCE_SECONDS, with_request=changed, beside=results)
    if not changed:
        note("nothing has changed, so the check sent no request through the stack; make check sends one")
    for name, value in deployed.outputs().items():
        if str(value).startswith("http"):
            console.print(f"{name}: {value}")
    running = load_settings(stack)
    if "grafana" in running.services:
        console.print(
            f"user admin, password: .venv/bin/python -m operate pulumi config get -s {stack} {GRAFANA_PASSWORD}"
        )
    built = [name for name in WITH_PAGES if name in running.services and running.image(name).startswith(images.LOCAL)]
    if built:
        note(f"built here, so without web pages (their APIs work): {', '.join(built)}")


def preview(stack: Name = "dev") -> None:
    """Shows what `up` would change, judged by the policy pack, as for a pull request."""
    previewed, pack = Stack(stack), policies(stack)
    if previewed.settings.docker.asked_at_previews:
        previewed.must_answer()
    previewed.create()
    previewed.pulumi("preview", "--diff", *pack)


def findings(
    stack: str, patience: float, *, with_request: bool = True, waits: check.Waits = check.in_silence
) -> list[check.Finding]:
    """Runs the check of `stack`, wherever its engine is, and returns its findings. `patience` is in seconds; the others as
    in `check.run`.

    Raises:
        ToolchainError: the stack's file is missing or wrong, or its engine does not answer.
    """
    settings = load_settings(stack)
    engine_setup.connect(settings.docker).close()
    try:
        additions = addition_files.read(settings, paths.REPOSITORY, file=f"Pulumi.{stack}.yaml: {PROJECT}")
    except loading.SettingsError as error:
        raise ToolchainError(str(error)) from None
    try:
        return check.run(settings, additions, patience, with_request=with_request, waits=waits)
    except (DockerException, OSError) as error:  # the engine stopped answering; exceptions of requests are OSErrors
        raise engine_setup.EngineUnreachableError(settings.docker.host, error) from None


def check_stack(
    stack: Name = "dev",
    as_json: Annotated[bool, typer.Option("--json", envvar="JSON", help="For programs.")] = False,  # noqa: FBT002
    patience: Annotated[
        float, typer.Option(envvar="PATIENCE", help="Seconds for what is on its way after a deployment.")
    ] = check.PATIENCE_SECONDS,
) -> None:
    """Checks that the engine and the services do what the settings promise."""
    if not as_json:
        _check(stack, patience)
        return
    results = findings(stack, patience)
    rows = [{"what": finding.what, "kept": finding.kept, "detail": finding.detail} for finding in results]
    print(json.dumps(rows, indent=2))
    _must_be_kept(results)


def _check(
    stack: str, patience: float, *, with_request: bool = True, beside: Future[list[check.Finding]] | None = None
) -> None:
    """Checks `stack` in your terminal: what it waits for, then all findings. `beside`: a check that is under way, which counts if
    it finds every promise kept.

    Raises:
        typer.Exit: a promise is broken.
    """
    title = "check"
    with Step(title) as step:

        def waits(finding: check.Finding, time_left: float) -> None:
            step.title = f"{title}, waiting up to {time_left:.0f} s more for: {finding.what}"

        results = _all_kept(beside) or findings(stack, patience, with_request=with_request, waits=waits)
        step.title = title
    check.show(results, Console(highlight=False), everything=verbose())
    _must_be_kept(results)


def _all_kept(beside: Future[list[check.Finding]] | None) -> list[check.Finding]:
    """The findings, if all promises are kept; else none."""
    with contextlib.suppress(ToolchainError):
        results = beside.result() if beside else []
        return results if all(finding.kept for finding in results) else []
    return []


def _must_be_kept(results: list[check.Finding]) -> None:
    if not all(finding.kept for finding in results):
        raise typer.Exit(1)


def down(
    stack: Name = "dev",
    purge: Annotated[bool, typer.Option(envvar="PURGE", help="The data volumes too, and the stack's state.")] = False,  # noqa: FBT002
) -> None:
    """Removes the stack. Its data volumes stay, unless you purge them."""
    removed = Stack(stack)
    deployed, volumes = removed.exists(), data_volumes(removed.settings) if purge else []
    if not (deployed or purge):
        return
    engine_of_stack = engine_setup.connect(removed.settings.docker)
    engine_networks.must_be_free(engine_of_stack, removed.settings.prefix, volumes)
    if deployed:
        removed.update("destroy")
    if not purge:
        return
    for name in volumes:
        with contextlib.suppress(NotFound):
            engine_of_stack.volumes.get(name).remove()
            console.print(f"removed the volume {name}")
    if deployed:
        removed.pulumi("stack", "rm", "--yes", "--preserve-config")


def pulumi(context: typer.Context) -> None:
    """Runs the Pulumi CLI with the backend and passphrase of the other commands: `pulumi config set …`."""
    installed = pulumi_cli.ensure()
    if context.args:
        result = subprocess.run([str(installed.cli), *context.args], env=environment(installed), check=False)
        raise typer.Exit(result.returncode)


def drift(stack: Name = "dev") -> None:
    """Fails if a deployment would change something, or if something was changed by hand on the engine."""
    watched = Stack(stack)
    watched.must_exist()
    watched.must_answer()
    # The diff begins with what the provider fills in at every refresh, so it is shown only if something would change.
    with Step(f"{stack}: nothing would change, nothing was changed by hand"):
        watched.passes("preview", "--refresh", "--diff", "--expect-no-changes")
