"""The command `unanswered`: finds rules, panels and settings that can never have data on a running stack."""

import json
from pathlib import Path
from typing import Annotated

import typer
from docker.errors import DockerException
from rich.console import Console
from rich.markup import escape

from check.brought import verdicts_of
from check.queries import Brought, of_counted, of_dashboard, of_rules
from config.services.correlation import dashboard_files
from config.settings import Settings, loading, own_rules
from operate.stack_file import PROJECT, Name, load_settings
from toolchain import engine_setup, paths
from toolchain.report import ToolchainError


def unanswered(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Rule files and dashboards. Without any, those of the stack, and its metrics.golden_signals."
        ),
    ] = None,
    stack: Name = "dev",
) -> None:
    """Prints the rules, panels and settings that can never have data, because nobody exposes what they ask for."""
    settings = load_settings(stack)
    try:
        brought = [*_rules(settings, files, stack), *_dashboards(settings, files, stack), *_counted(settings, files)]
    except loading.SettingsError as error:
        raise ToolchainError(str(error)) from None
    console = Console(highlight=False, soft_wrap=True)
    if not brought:
        console.print(
            "nothing is brought: name files, or list some in alerts.rule_files, grafana.dashboards and metrics.golden_signals"
        )
        return
    client = engine_setup.connect(settings.docker)
    try:
        verdicts = verdicts_of(client, settings, brought)
    except LookupError as error:
        raise ToolchainError(f"{stack} cannot be asked: {error}", fix=f"make up STACK={stack} deploys it") from None
    except (DockerException, OSError) as error:
        raise engine_setup.EngineUnreachableError(settings.docker.host, error) from None
    for verdict in verdicts:
        console.print(
            f"[bold]{escape(verdict.name)}[/]: {verdict.all - len(verdict.unanswered)} of {verdict.all} can have data"
        )
        for where, missing in verdict.unanswered.items():
            console.print(f"  [red]{escape(where)}[/]: nobody exposes {escape(', '.join(missing))}")
        if verdict.plugins:
            console.print(f"  [red]Grafana has no plugin for its panels[/]: {escape(', '.join(verdict.plugins))}")
        others = {one for one in verdict.missing if not any(one in missing for missing in verdict.unanswered.values())}
        if others:
            console.print(f"  [dim]in a part of what has data: {escape(', '.join(sorted(others)))}[/]")
    if any(verdict.unanswered or verdict.plugins for verdict in verdicts):
        raise typer.Exit(1)


def _is_dashboard(path: Path) -> bool:
    return path.suffix == ".json"


def _rules(settings: Settings, files: list[Path] | None, stack: str) -> list[Brought]:
    if not files:
        key = f"Pulumi.{stack}.yaml: {PROJECT}:alerts.rule_files"
        texts = own_rules.read(settings.alerts.rule_files, paths.REPOSITORY, stack_key=key)
        return [of_rules(name, text) for name, text in texts.items()]
    return [
        of_rules(str(path) if len(texts) == 1 else f"{path}: {name}", text)
        for path in files
        if not _is_dashboard(path)
        for texts in [own_rules.read([path.name], path.parent, stack_key=str(path.parent))]
        for name, text in texts.items()
    ]


def _counted(settings: Settings, files: list[Path] | None) -> list[Brought]:
    return [] if files else list(map(of_counted, settings.metrics.golden_signals))


def _dashboards(settings: Settings, files: list[Path] | None, stack: str) -> list[Brought]:
    if not files:
        key = f"Pulumi.{stack}.yaml: {PROJECT}:grafana.dashboards"
        own = dashboard_files.own(settings, paths.REPOSITORY, stack_key=key)
        return [of_dashboard(one.key.rpartition(": ")[2], json.loads(one.text)) for one in own.values()]
    result = []
    for path in filter(_is_dashboard, files):
        named = settings.grafana.model_copy(update={"dashboards": (path.name,), "folders": {}})
        one = settings.model_copy(update={"grafana": named})
        own = dashboard_files.own(one, path.parent, stack_key=str(path.parent))
        result += [of_dashboard(str(path), json.loads(dashboard.text)) for dashboard in own.values()]
    return result
