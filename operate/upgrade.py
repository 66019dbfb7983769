"""`make upgrade`: a backup, the images of this checkout, the check; and the previous images if that fails.

    current and new images ──▶ refused, or ──▶ backup ──▶ update, check ──▶ done
                                                             │ one of them fails
                              previous images, on the current data ──▶ check ──▶ report, exit code 1
                                 │ a service does not get healthy on its data, or its image is of another major version
                              its data from the backup; its current data go into a second backup

It also stops while the error budget of an SLO is spent, unless you insist (`DESPITE_BUDGET=1`).

Data that came in since the backup are given up only if nothing else helps, and never without a copy.
"""

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer
import yaml
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.containers import health_of
from check.files import texts_in
from config.container import DIRECTORY
from config.images import version, without_digest
from config.services import descriptions
from config.services.logs import loki
from config.settings import Settings
from engine.activate import crash_loops
from operate import backup, commands, recovery, slo, version_steps
from operate.backup import keys, manifest
from operate.backup.place import Place
from operate.managed_stack import Stack
from operate.policy_config import policies
from operate.stack_file import Name, load_settings, stack_file
from toolchain import engine_setup, paths
from toolchain.report import Step, ToolchainError, console, note

IMAGE = "docker:index/remoteImage:RemoteImage"
FILES = "nervous-system:index:ConfigFiles"
"""Type of `components.config_files.ConfigFiles`."""

SETTLED_SECONDS = 45
"""Limit for a service to become healthy."""

Deployment = Mapping[str, Any]
"""Pulumi's state, as `pulumi stack export` prints it."""
Changes = Mapping[str, tuple[str, str]]
"""Image name (a service, or `busybox`) → the reference that runs, and the new one."""

TO = Annotated[
    str, typer.Option(envvar="TO", help="Where the backup goes: a folder, or s3://bucket/path; else beside the state.")
]


def upgrade(stack: Name = "dev", to: TO = "", despite_budget: slo.DESPITE = False) -> None:  # noqa: FBT002
    """Takes a backup, deploys the new images and checks them; goes back to the previous images if that fails."""
    to = keys.place("TO", to or str(paths.state_dir() / "backups"))
    with _stack_file_as_it_was(stack):
        changes = judge(stack)
        if not changes:
            console.print(f"{stack} runs the images of this checkout: nothing to upgrade (make up deploys all else)")
            return
        for name, (old, new) in changes.items():
            console.print(f"{name}: {_short(old, new)} → {_short(new, old)}")
        if not despite_budget:
            must_have_budget(stack)
        with Step("settings and policies agree"):
            Stack(stack).passes("preview", *policies(stack))
        saved = backup.take(stack, to, "")
        console.print(f"the backup: {saved}")
    try:
        commands.deploy(stack, planned=True)
    except (typer.Exit, ToolchainError) as error:
        if isinstance(error, ToolchainError):
            error.show()
        roll_back(stack, changes, saved, to)


@contextlib.contextmanager
def _stack_file_as_it_was(name: str) -> Iterator[None]:
    """Restores the stack file if this block fails: by then it names images that were built here."""
    file = stack_file(name)
    text = file.read_bytes()
    try:
        yield
    except BaseException:
        file.write_bytes(text)
        raise


def _short(image: str, other: str) -> str:
    """The reference without its digest, if the rest tells the two apart."""
    tags = without_digest(image), without_digest(other)
    return tags[0] if tags[0] != tags[1] else image


def judge(name: str) -> Changes:
    """The images that an upgrade of the stack would change.

    Raises:
        ToolchainError: some of it is not safe.
    """
    host = Stack(name)
    host.must_exist()
    client = engine_setup.connect(host.settings.docker)
    host.fetch_images()
    settings = load_settings(name)
    state = json.loads(host.ask("stack", "export", "--stack", name)).get("deployment") or {}
    changes = changed(settings, running(client, settings, state))
    today = datetime.now(UTC).date()
    if unsafe := problems(settings, changes, periods(client, settings, state), today):
        raise ToolchainError(
            f"{name} is not upgraded, and nothing has been touched:\n" + "\n".join(f"    {text}" for text in unsafe),
            fix="docs/operations.md says which steps are safe; make restore goes back to an earlier version and its data",
        )
    keepers = {container.service for container in descriptions.keepers(settings)}
    for service in sorted(changes.keys() & keepers):
        if None in map(version, changes[service]):
            note(f"{service}: the versions of {' and '.join(changes[service])} are unknown, so this step is not judged")
    return changes


def must_have_budget(name: str) -> None:
    """Raises ToolchainError if the error budget of an SLO is spent, because an upgrade may cost more of it."""
    settings = load_settings(name)
    if spent := slo.spent(engine_setup.connect(settings.docker), settings):
        raise ToolchainError(
            f"{name} is not upgraded, and nothing has been touched: no error budget is left of\n"
            + "\n".join(
                f"    {one.indicator.slo.name}: {one.failed:,.0f} of {one.requests:,.0f} failed, {one.allowed:,.0f} may, in "
                f"{one.indicator.slo.window}"
                for one in spent
            ),
            fix=f"wait until it is back (make slo STACK={name}); or upgrade all the same: make upgrade STACK={name} DESPITE_BUDGET=1",
        )


def running(client: DockerClient, settings: Settings, state: Deployment) -> dict[str, str]:
    """Image name → the reference that runs. The engine tells it; for a container that is gone, or only loaded files,
    Pulumi's state does."""
    names = {f"{settings.prefix}-{service}": service for service in settings.services}
    result: dict[str, str] = {}
    for resource in state.get("resources") or []:
        inputs = resource.get("inputs", {})
        if resource["type"] == recovery.CONTAINER and inputs.get("name") in names:
            result[names[inputs["name"]]] = inputs["image"]
        elif resource["type"] == IMAGE and resource["urn"].endswith("-busybox"):
            result["busybox"] = inputs["name"]
    for name, service in names.items():
        with contextlib.suppress(NotFound):
            result[service] = client.containers.get(name).attrs["Config"]["Image"]
    return result


def changed(settings: Settings, before: Mapping[str, str]) -> Changes:
    """The images of `before` that are others in these settings."""
    wanted = {name: settings.image(name) for name in (*settings.services, "busybox") if name in before}
    return {name: (before[name], image) for name, image in wanted.items() if image != before[name]}


def periods(client: DockerClient, settings: Settings, state: Deployment) -> list[dict[str, Any]]:
    """Loki's periods (`schema_config.configs`) as they run, or ran last; empty if there was no Loki."""
    text = None
    with contextlib.suppress(NotFound):
        text = texts_in(client.containers.get(f"{settings.prefix}-loki"), DIRECTORY).get(loki.MAIN)
    for resource in state.get("resources") or []:
        if text is None and resource["type"] == FILES and resource["urn"].endswith("::loki"):
            text = resource["inputs"]["files"][loki.MAIN]
    result: list[dict[str, Any]] = yaml.safe_load(text)["schema_config"]["configs"] if text else []
    return result


def problems(settings: Settings, changes: Changes, before: Collection[Mapping[str, Any]], today: date) -> list[str]:
    """The unsafe steps of an upgrade, one line each. `before` are Loki's periods."""
    keepers = {container.service for container in descriptions.keepers(settings)}
    texts = [version_steps.jump(service, *images) for service, images in sorted(changes.items()) if service in keepers]
    days = version_steps.changed_periods(before, manifest.log_schema(settings), today) if before else []
    if days:
        texts.append(
            f"logs.s3: Loki's period from {', '.join(days)} has begun, and this would change it: its logs would not be "
            "found; leave it as it was, and begin a new one (logs.s3.since) on a future day"
        )
    return [text for text in texts if text]


def roll_back(name: str, changes: Changes, saved: str, to: str) -> None:
    """Deploys the previous images. Puts back a service's data from the backup `saved` if it needs them; its current
    data go into a second backup in `to` first.

    Raises:
        ToolchainError: always, because the upgrade has failed. It says how the stack is now.
    """
    note(f"the upgrade of {name} failed, see above: rolling back to the previous images")
    host = Stack(name)
    for image, (old, _) in changes.items():
        host.ask("config", "set", "--path", f"images.{image}", old, "--stack", name)
    host = Stack(name)
    keepers = {container.service for container in descriptions.keepers(host.settings)} & changes.keys()
    aside: dict[str, str] = {}

    def put_back(wanted: Collection[str]) -> None:
        named, where = ", ".join(sorted(wanted)), "still in the stack"
        try:
            copy = backup.take(name, to, "")
            where = f"in {copy}"
            note(f"{named}: restoring its data from {saved}; the current data is {where}")
            backup.put_back(name, wanted, Place(saved))
        except ToolchainError as error:
            raise ToolchainError(
                f"{name} is neither upgraded nor rolled back: the data of {named} cannot be restored: {error}\n"
                f"    the data of the backup is in {saved}, the current data {where}",
                fix=f"{error.fix or 'fix that'}; then make restore STACK={name} FROM={saved} REPLACE=1, which gives up all data "
                "that came in since",
            ) from error
        aside.update(dict.fromkeys(wanted, copy))

    if others := {service for service in keepers if version_steps.another_format(*changes[service])}:
        put_back(others)
    while not (well := _deployed(host)):
        client = engine_setup.connect(host.settings.docker)
        olds = {service: changes[service][0] for service in keepers - aside.keys()}
        with Step(f"services that do not get healthy, waiting up to {SETTLED_SECONDS} s") as step:
            ill = unwell(client, host.settings.prefix, olds)
            step.result = ", ".join(sorted(ill)) or "none"
        if not ill:
            break
        put_back(ill)
    message, fix = _told(name, changes, saved, aside, well=well)
    raise ToolchainError(message, fix=fix)


def _deployed(host: Stack) -> bool:
    """Deploys and checks. Returns whether both succeeded.

    Data that a service calls damaged here stay where they are: the other image may have written them.
    """
    try:
        host.update("up", *host.repair(data=False), *policies(host.name))
        commands.check_stack(host.name)
    except typer.Exit:
        return False
    return True


def unwell(client: DockerClient, prefix: str, images: Mapping[str, str], patience: float = SETTLED_SECONDS) -> set[str]:
    """The services that run the given image, and do not become healthy with it within `patience` seconds. `images`:
    service → reference. A service that crashes on and on is not waited for.
    """
    deadline = time.monotonic() + patience
    while True:
        ill = {service: one for service, image in images.items() if (one := _ill(client, f"{prefix}-{service}", image))}
        if all(map(crash_loops, ill.values())) or time.monotonic() > deadline:
            return set(ill)
        time.sleep(1)


def _ill(client: DockerClient, name: str, image: str) -> Container | None:
    """The container, if it runs this image and is not well."""
    try:
        container = client.containers.get(name)
    except NotFound:
        return None
    attributes = container.attrs
    if attributes["Config"]["Image"] != image:
        return None
    asked = "Health" in attributes["State"]
    steady = health_of(container) == "healthy" if asked else not attributes["RestartCount"]
    return None if attributes["State"]["Status"] == "running" and steady else container


def _told(name: str, changes: Changes, saved: str, aside: Mapping[str, str], *, well: bool) -> tuple[str, str]:
    """The message at the end of a rollback, and the fix."""
    lines = [f"{name} is not upgraded: the update, or the check after it, has failed"]
    lines.append(
        f"it runs the previous images again{', and passes the check' if well else ', but does not pass the check either'}"
    )
    lines += [
        f"{service}: its data is from the backup; what came in since is in {copy}, and not in the stack"
        for service, copy in sorted(aside.items())
    ]
    if not aside:
        lines.append("no data was given up: what came in meanwhile is in the stack")
    lines.append(f"the backup: {saved}")
    file = stack_file(name).name
    overrides = " ".join(f"images.{image}" for image in sorted(changes))
    fix = f"{file} now names the previous images ({overrides}): remove these lines once the cause is fixed, then make upgrade STACK={name}"
    if not well:
        fix = (
            f"check out the previous version, and make up STACK={name}; "
            f"if its data is damaged: make restore STACK={name} FROM={saved} REPLACE=1"
        )
    return "\n    ".join(lines), fix
