"""The commands for one stack: what `make up`, `preview`, `check`, `down` and `drift` run."""

import contextlib
import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer
from docker import DockerClient
from docker.errors import DockerException, NotFound
from rich.console import Console

import check
from components import other_engine, preflight
from config import dashboard_files
from config.cadvisor import KMSG
from config.images import resolve
from config.services import data_volumes
from config.settings import Settings, loading
from config.settings import own_rules as rule_files
from config.settings.secret_keys import GRAFANA_PASSWORD
from toolchain import (
    ahead,
    engine,
    host_view,
    images,
    networks,
    paths,
    policy_config,
    pulumi_cli,
    recovery,
    stack_document,
    unreadable,
)
from toolchain.backend import environment
from toolchain.images import pulling
from toolchain.report import Step, ToolchainError, console, note

PROJECT = "nervous-system"
OWN = f"organization/{PROJECT}/"
"""What a backend in a folder or a bucket puts before the names of this project's stacks, where it says them in full."""
WITH_PAGES = ("prometheus", "jaeger", "grafana")
"""Services whose official images have web pages that cannot be built from their Go modules."""

NAMES = re.compile(r"[\w.-]{1,100}", re.ASCII)
"""Names of stacks that the CLI allows."""


def _named(name: str) -> str:
    """Raises ToolchainError where the name is empty, as of `make down STACK=$name` without that variable: the default would
    be another stack."""
    if not name or os.environ.get("STACK") == "":
        raise ToolchainError("STACK is empty", fix="name a stack, or leave STACK out for dev")
    return name


Name = Annotated[str, typer.Option("--stack", envvar="STACK", help="As in Pulumi.<stack>.yaml.", callback=_named)]


def policies(stack: str) -> tuple[str, ...]:
    """What tells the CLI to apply the policy pack, with the config in `policies.<stack>.json` where there is one.

    Raises:
        ToolchainError: that is wrong.
    """
    pack, config = ("--policy-pack", str(paths.REPOSITORY / "policies")), paths.REPOSITORY / f"policies.{stack}.json"
    if not config.exists():
        return pack
    policy_config.judge(config)
    return (*pack, "--policy-pack-config", str(config))


def stack_file(stack: str) -> Path:
    """Where the config of `stack` stands.

    Raises:
        ToolchainError: there is no such file.
    """
    if not NAMES.fullmatch(stack):
        raise ToolchainError(f"STACK={stack!r} names no stack", fix=f"name one that is there: {_stacks()}")
    path = paths.REPOSITORY / f"Pulumi.{stack}.yaml"
    if not path.exists():
        raise ToolchainError(
            f"no file {path.name}", fix=f"write one, like Pulumi.prod.yaml, or name a stack that is there: {_stacks()}"
        )
    return path


def _stacks() -> str:
    return ", ".join(sorted(path.name.split(".")[1] for path in paths.REPOSITORY.glob("Pulumi.*.yaml")))


def load_settings(stack: str, file: Path | None = None) -> Settings:
    """The settings in the file of `stack`, or in one that is to become it; secrets are only counted, never decrypted.

    Raises:
        ToolchainError: the file is missing or wrong, and the message names every key; or it names no engine where Docker's
            own tools mean another one than the default.
    """
    config = stack_document.config(file or stack_file(stack), PROJECT)
    secret_keys = [key for key, value in config.items() if _holds_secret(value)]
    try:
        settings = loading.load(
            {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()},
            secret_keys=secret_keys,
            project=PROJECT,
            stack=stack,
        )
    except loading.SettingsError as error:
        raise ToolchainError(str(error)) from None
    if unclear := other_engine.question(settings.docker, f"Pulumi.{stack}.yaml"):
        raise ToolchainError(unclear[0], fix=unclear[1])
    return settings


def _holds_secret(value: object) -> bool:
    """Whether Pulumi has encrypted a part of this value: `{secure: …}`, at any depth."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))


class Program:
    """One stack of the Pulumi program in `folder`, and a CLI that can deploy it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._pulumi = pulumi_cli.ensure()

    def pulumi(self, *arguments: str) -> None:
        """Runs the CLI in the user's terminal; ends this program with its exit code when that is not 0."""
        command = [str(self._pulumi.cli), *arguments, "--stack", self.name]
        done = subprocess.run(command, cwd=self.folder, env=environment(self._pulumi), check=False)
        if done.returncode:
            raise typer.Exit(done.returncode)

    def passes(self, *arguments: str) -> None:
        """As `pulumi`, but shows what the CLI prints only when its exit code is not 0."""
        color = "always" if console.is_terminal else "never"
        command = [str(self._pulumi.cli), *arguments, "--stack", self.name, "--non-interactive", f"--color={color}"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(self._pulumi),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout)
            raise typer.Exit(done.returncode)

    def ask(self, *arguments: str, stdin: str | None = None) -> str:
        """What the CLI prints.

        Raises:
            ToolchainError: in the CLI's words.
        """
        command = [str(self._pulumi.cli), *arguments, "--non-interactive"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(self._pulumi),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolchainError(done.stderr.strip())
        return done.stdout

    def exists(self) -> bool:
        """Whether the backend knows the stack.

        Raises:
            ToolchainError: Pulumi Cloud has it in another organisation than the one in which it would be made.
        """
        names = {stack["name"].removeprefix(OWN) for stack in json.loads(self.ask("stack", "ls", "--json"))}
        owners = sorted(name.partition("/")[0] for name in names if name.endswith(f"/{self.name}"))
        if owners and self.name not in names:
            raise ToolchainError(
                f"the stack {self.name} belongs to {' and '.join(owners)}, which is not your default organisation",
                fix=f".venv/bin/python -m toolchain pulumi org set-default {owners[0]}",
            )
        return self.name in names

    def create(self) -> None:
        """Makes the stack if there is none; leaves the user's own selection alone."""
        if not self.exists():
            with Step(f"new stack {self.name}"):
                self.ask("stack", "init", self.name, "--no-select")

    def outputs(self) -> dict[str, Any]:
        """What the last deployment exported."""
        found: dict[str, Any] = json.loads(self.ask("stack", "output", "--json", "--stack", self.name))
        return found


class Stack(Program):
    """A stack of this project whose file is right."""

    def __init__(self, name: str) -> None:
        self.settings = load_settings(name)
        super().__init__(name, paths.REPOSITORY)

    def must_exist(self) -> None:
        """Raises ToolchainError for a stack that was never deployed from here."""
        if not self.exists():
            backend = environment(self._pulumi).get("PULUMI_BACKEND_URL", "the backend of `pulumi login`")
            raise ToolchainError(f"no stack {self.name} in {backend}", fix=f"make up STACK={self.name} deploys it")

    def must_answer(self) -> None:
        """Raises ToolchainError when its engine cannot be reached: the CLI would say so resource by resource."""
        engine.connect(self.settings.docker)

    def must_find_networks(self, client: DockerClient) -> None:
        """Raises ToolchainError when the engine lacks one of `networks`, or no service could join it."""
        networks.must_find(client, self.settings.networks, f"{stack_file(self.name).name}: {PROJECT}:networks")

    def find_places(self, client: DockerClient) -> None:
        """Says in the stack file where the engine keeps what the stack reads, when that is elsewhere."""
        said, asked = self.settings.docker, preflight.Engine.ask(client)
        places = preflight.elsewhere(asked, data_root=said.data_root, containerd=said.containerd)
        for key, path in places.items():
            self.ask("config", "set", "--path", f"docker.{key}", path, "--stack", self.name)
            note(f"{stack_file(self.name).name}: docker.{key} is {path} now, where this engine has it: commit that")
        if places:
            self.settings = load_settings(self.name)

    def find_kmsg(self, client: DockerClient) -> None:
        """Says in the stack file where the engine's host has no `/dev/kmsg`.

        Raises:
            ToolchainError: its file system cannot be mounted as the exporters need it.
        """
        if host_view.lacks_kmsg(client, self.settings):
            self.ask("config", "set", "--path", "docker.kmsg", "false", "--stack", self.name)
            note(
                f"{stack_file(self.name).name}: docker.kmsg is false now, for the engine's host has no {KMSG}: which container the "
                "kernel kills for memory is not told; commit that"
            )
            self.settings = load_settings(self.name)

    @property
    def _backend(self) -> str:
        """Where the state is; empty for where `pulumi login` has been."""
        return environment(self._pulumi).get("PULUMI_BACKEND_URL", "")

    def mend(self, *, data: bool = True) -> tuple[str, ...]:
        """Clears what is in the way of a deployment, also of the `data`; returns the options of `pulumi up` that bring back
        what is gone."""
        client = engine.connect(self.settings.docker)
        if data:
            unreadable.set_aside(self.settings, client)
            ahead.set_aside(self.settings, client)
        return recovery.mend(self, self._backend, self.settings.prefix, client)

    def create(self) -> None:
        """As any program; a damaged state is restored before."""
        recovery.restore_state(self._backend, PROJECT, self.name)
        super().create()

    @property
    def _lacks_password(self) -> bool:
        return self.settings.grafana.enabled and GRAFANA_PASSWORD not in self.settings.secrets

    def must_keep_password(self) -> None:
        """Raises ToolchainError where a password would be made up in a checkout that is thrown away."""
        if self._lacks_password and os.environ.get("CI", "").lower() not in {"", "0", "false"}:
            raise ToolchainError(
                f"{stack_file(self.name).name} has no {GRAFANA_PASSWORD}, and one that is made up in CI is lost with its checkout",
                fix=f"on your own machine:  .venv/bin/python -m toolchain pulumi config set --secret -s {self.name} "
                f"{GRAFANA_PASSWORD}  and commit the file; or do without Grafana:  grafana: {{enabled: false}}",
            )

    def make_up_password(self) -> None:
        """Sets Grafana's password where none is set, encrypted in the stack file."""
        if not self._lacks_password:
            return
        password = secrets.token_urlsafe(24)
        self.ask("config", "set", "--secret", GRAFANA_PASSWORD, "--stack", self.name, stdin=password)
        self.settings = load_settings(self.name)
        note(f"Grafana's password is made up, and encrypted in {stack_file(self.name).name}")

    def fetch_images(self) -> None:
        """Pulls the images that the engine lacks, and builds those that cannot be pulled, which the stack file then names:
        `pulumi up` finds them, too."""
        overrides = {service: getattr(self.settings.images, service) for service in self.settings.image_names}
        before = {service: image for service, image in overrides.items() if image and image.startswith(images.LOCAL)}
        wanted = {
            service: resolve(service, None, self.settings.images.registry)
            if service in before
            else self.settings.image(service)
            for service in self.settings.image_names
        }
        built = images.local_images(wanted, self.settings.docker)
        for service, reference in built.items():
            if before.get(service) != reference:
                self.ask("config", "set", "--path", f"images.{service}", reference, "--stack", self.name)
        if built.items() - before.items():
            note(
                f"{stack_file(self.name).name} names them now, so that `pulumi up` finds them too; no need to commit that"
            )
        for service in before.keys() - built.keys():  # its registry can be reached by now
            self.ask("config", "rm", "--path", f"images.{service}", "--stack", self.name)
        pulling.pull(
            engine.connect(self.settings.docker), {wanted[service] for service in wanted.keys() - built.keys()}
        )


def up(stack: Name = "dev") -> None:
    """Installs what is missing, deploys, checks, and prints where to look."""
    deploy(stack)


def deploy(stack: str, *options: str) -> None:
    """As `up`, with more options of `pulumi up`."""
    deployed, pack = Stack(stack), policies(stack)
    deployed.must_keep_password()
    client = engine.ensure(deployed.settings.docker)
    deployed.must_find_networks(client)
    deployed.create()
    deployed.find_places(client)
    deployed.make_up_password()
    deployed.fetch_images()
    deployed.find_kmsg(client)
    deployed.pulumi("up", "--yes", *options, *deployed.mend(), *pack)
    check_stack(stack)
    for name, value in deployed.outputs().items():
        if str(value).startswith("http"):
            console.print(f"{name}: {value}")
    running = load_settings(stack)
    if "grafana" in running.services:
        console.print(
            f"user admin, password: .venv/bin/python -m toolchain pulumi config get -s {stack} {GRAFANA_PASSWORD}"
        )
    built = [name for name in WITH_PAGES if name in running.services and running.image(name).startswith(images.LOCAL)]
    if built:
        note(f"built here, and so without web pages (their APIs run): {', '.join(built)}")


def preview(stack: Name = "dev") -> None:
    """What `up` would change, judged by the policy pack: as a pull request does."""
    previewed, pack = Stack(stack), policies(stack)
    if previewed.settings.docker.asked_at_previews:
        previewed.must_answer()
    previewed.create()
    previewed.pulumi("preview", "--diff", *pack)


def findings(stack: str, patience: float) -> list[check.Finding]:
    """What the check has found of `stack`, wherever its engine is.

    Raises:
        ToolchainError: the stack's file is missing or wrong, or its engine does not answer.
    """
    settings = load_settings(stack)
    engine.connect(settings.docker).close()
    file = f"Pulumi.{stack}.yaml: {PROJECT}"
    try:
        own_rules = rule_files.read(settings.alerts.rule_files, paths.REPOSITORY, stack_key=f"{file}:alerts.rule_files")
        dashboards = dashboard_files.read(settings, paths.REPOSITORY, stack_key=f"{file}:grafana.dashboards")
    except loading.SettingsError as error:
        raise ToolchainError(str(error)) from None
    try:
        return check.run(settings, own_rules, patience, dashboards=dashboards)
    except (DockerException, OSError) as error:  # it has ceased to answer; what requests raises is an OSError
        raise engine.EngineUnreachableError(settings.docker.host, error) from None


def check_stack(
    stack: Name = "dev",
    as_json: Annotated[bool, typer.Option("--json", envvar="JSON", help="For programs.")] = False,  # noqa: FBT002
    patience: Annotated[
        float, typer.Option(envvar="PATIENCE", help="Seconds for what is on its way after a deployment.")
    ] = check.PATIENCE_SECONDS,
) -> None:
    """Reads back from the engine and the services what the settings promise."""
    found = findings(stack, patience)
    if as_json:
        print(json.dumps([vars(finding) for finding in found], indent=2))
    else:
        check.show(found, Console(highlight=False))
    if not all(finding.kept for finding in found):
        raise typer.Exit(1)


def down(
    stack: Name = "dev",
    purge: Annotated[bool, typer.Option(envvar="PURGE", help="The data volumes too, and the stack's state.")] = False,  # noqa: FBT002
) -> None:
    """Removes everything; what was measured stays, unless purged."""
    removed = Stack(stack)
    deployed, volumes = removed.exists(), data_volumes(removed.settings) if purge else []
    if not (deployed or purge):
        return
    engine_of_stack = engine.connect(removed.settings.docker)
    networks.must_be_free(engine_of_stack, removed.settings.prefix, volumes)
    if deployed:
        removed.pulumi("destroy", "--yes")
    if not purge:
        return
    for name in volumes:
        with contextlib.suppress(NotFound):
            engine_of_stack.volumes.get(name).remove()
            console.print(f"removed the volume {name}")
    if deployed:
        removed.pulumi("stack", "rm", "--yes", "--preserve-config")


def pulumi(context: typer.Context) -> None:
    """Run the Pulumi CLI with the backend and passphrase of the other commands: `pulumi config set …`."""
    found = pulumi_cli.ensure()
    if context.args:
        done = subprocess.run([str(found.cli), *context.args], env=environment(found), check=False)
        raise typer.Exit(done.returncode)


def drift(stack: Name = "dev") -> None:
    """Fails when something would change, or was changed by hand on the engine."""
    watched = Stack(stack)
    watched.must_exist()
    watched.must_answer()
    # Its diff begins with what the provider fills in at every refresh: of interest only beside a change.
    with Step(f"{stack}: nothing would change, nothing was changed by hand"):
        watched.passes("preview", "--refresh", "--diff", "--expect-no-changes")
