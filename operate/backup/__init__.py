"""`make backup` and `make restore`: copies everything that a stack cannot make again to a folder or an S3-compatible
store, and back."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from docker import DockerClient
from docker.errors import DockerException, NotFound
from docker.models.containers import Container as RunningContainer
from requests import RequestException

from config.container import STACK_LABEL, Container
from config.services import descriptions
from config.settings.networks import own_networks
from config.sizes import MIB
from operate import commands, engine_networks, volume_helper
from operate.backup import archives, keys
from operate.backup import manifest as manifests
from operate.backup import volume as volumes
from operate.backup.manifest import Kept, Manifest
from operate.backup.place import Place, Stored
from operate.interrupts import ended_by_sigterm
from operate.managed_stack import Stack
from operate.stack_file import NAMES, PROJECT, Name, load_settings, stack_file
from toolchain import engine_setup, paths
from toolchain.report import Step, ToolchainError, console, note

TO = Annotated[str, typer.Option(envvar="TO", help="A folder, or s3://bucket/path: the backup gets a folder in it.")]
FROM = Annotated[str, typer.Option("--from", envvar="FROM", help="The folder of one backup.")]


def backup(
    to: TO,
    stack: Name = "dev",
    recipient: Annotated[str, typer.Option(envvar="RECIPIENT", help="Public key (age, ssh) to encrypt for.")] = "",
) -> None:
    """Takes a backup while the stack runs, and prints its address."""
    console.print(f"whole, and ready to be restored: {take(stack, to, recipient)}")


def take(name: str, to: str, recipient: str) -> str:
    """Takes a backup of the stack `name`, encrypted if `recipient` is not empty. Returns its address in `to` once it is
    complete: `/backups/prod-20261129T132000Z`."""
    to = keys.place("TO", to)
    if recipient:
        keys.recipient(recipient)
    saved = Stack(name)
    saved.must_exist()
    client = engine_setup.connect(saved.settings.docker)
    start = datetime.now(UTC)
    place = Place(f"{to.rstrip('/')}/{name}-{start:%Y%m%dT%H%M%SZ}", recipient=recipient or None)
    with ended_by_sigterm(), place.made():
        copies = {
            container.service: _keep(client, saved, container, place)
            for container in descriptions.keepers(saved.settings)
            if volumes.exists(client, f"{saved.settings.prefix}-{container.service}")
        }
        with Step("state and stack file"):
            state = saved.ask("stack", "export", "--stack", name)
            whole = Manifest(
                stack=name,
                prefix=saved.settings.prefix,
                environment=saved.settings.environment,
                taken=start,
                log_schema=manifests.log_schema(saved.settings),
                state=place.write("state.json", [state.encode()]),
                stack_file=place.write("stack.yaml", [stack_file_bytes(name)]),
                volumes=copies,
            )
            place.write_clear_text(manifests.NAME, whole.model_dump_json(indent=2).encode())
    return place.address


def stack_file_bytes(name: str) -> bytes:
    """The bytes of the stack file."""
    return stack_file(name).read_bytes()


def _keep(client: DockerClient, saved: Stack, container: Container, place: Place) -> Kept:
    """Copies one volume. If the copy fails because a file is truncated meanwhile, it is tried again."""
    settings, service = saved.settings, container.service
    name = f"{settings.prefix}-{service}"
    try:
        running = client.containers.get(name)
    except NotFound:
        running = None
    with Step(service) as step, _errors_of_engine(service):
        busybox = volume_helper.image(client, settings.image("busybox"))
        with volume_helper.helper(client, busybox, prefix=settings.prefix, volume=name) as helper:
            for tries_left in reversed(range(volumes.TRIES)):
                try:
                    files, seconds = _copy(helper, running, container, place)
                    break
                except ChildProcessError as error:
                    if not tries_left:
                        raise
                    note(f"{service}: once more: {error}")
        copy = Kept(
            image=running.attrs["Config"]["Image"] if running else settings.image(service),
            image_id=running.attrs["Image"] if running else "",
            seconds_held=round(seconds, 3),
            files=files,
        )
        step.result = f"{copy.bytes / MIB:.2f} MiB, {container.quiesce} for {seconds:.1f} s"
    return copy


def _copy(
    helper: RunningContainer,
    running: RunningContainer | None,
    container: Container,
    place: Place,
) -> tuple[tuple[Stored, ...], float]:
    """Copies the files of a volume. Returns the archives, and for how many seconds the service was held."""
    at_rest, changed, names = (f"{container.service}.{archive}" for archive in volumes.ARCHIVES)
    first = place.write(at_rest, volumes.at_rest(helper))
    with volumes.quiesced(running, container.quiesce, container.grace_seconds) as seconds:
        volumes.set_aside(helper)
    then = place.write(changed, volumes.changed(helper)), place.write(names, volumes.names(helper))
    return (first, *then), seconds[0]


@contextmanager
def _errors_of_engine(service: str) -> Iterator[None]:
    """Turns an error of the engine, or on the way to it, into one line."""
    try:
        yield
    except (ChildProcessError, DockerException, RequestException) as error:
        raise ToolchainError(
            f"{service}: its volume cannot be copied: {error}", fix="check that the host answers, and try again"
        ) from error


def restore(
    source: FROM,
    stack: Name = "dev",
    identity: Annotated[Path | None, typer.Option(envvar="IDENTITY", help="File with the secret key.")] = None,
    replace: Annotated[bool, typer.Option(envvar="REPLACE", help="What the stack has kept since, goes.")] = False,  # noqa: FBT002
) -> None:
    """Deploys the stack with all the data of the backup."""
    bring_back(stack, Place(keys.place("FROM", source), identity=identity), replace=replace)


def bring_back(name: str, place: Place, *, replace: bool) -> None:
    """Restores the backup at `place` as the stack `name`. Everything is judged before anything is written or touched.

    Raises:
        ToolchainError: the backup is damaged or does not fit, or the stack has data and `replace` is not set.
    """
    with Step("the backup is whole") as step:
        manifest = manifests.read(place)
        text = _text_of(place, manifest.stack_file)  # proves that the key opens it
        place.must_hold(manifest.state)
        with _stack_file(name, text) as file:
            settings = load_settings(name, file)
        manifests.must_fit(manifest, settings, with_grafana=settings.grafana.enabled)
        free_bytes = archives.room(settings)
        for archived in manifest.volumes.values():
            free_bytes = archives.must_be_sound(place, archived, free_bytes)
        step.result = f"{manifest.stack}, {manifest.age}, {sum(file.bytes for file in manifest.files) / MIB:.2f} MiB"
    client = engine_setup.ensure(settings.docker)
    engine_networks.must_find(client, settings.networks, f"Pulumi.{name}.yaml: {PROJECT}:networks")
    prefix = settings.prefix
    present = [volume for service in manifest.volumes if volumes.exists(client, volume := f"{prefix}-{service}")]
    if present and not replace:
        raise ToolchainError(
            f"{name} already has data, in {', '.join(present)}",
            fix=f"to replace it with the backup's: make restore STACK={name} FROM={place.address} REPLACE=1",
        )
    if present and manifest.stack != name:
        raise ToolchainError(
            f"the backup is of the stack {manifest.stack}, and {name} has data of its own, in {', '.join(present)}",
            fix=f"name the right stack: STACK={manifest.stack}; to give up what {name} has: make down STACK={name} PURGE=1 first",
        )
    if present:
        engine_networks.must_be_free(client, prefix, present)
    _write_stack_file(name, text)
    restored = Stack(name)
    restored.create()
    restored.make_up_password()
    restored.fetch_images()
    if present:
        restored.update("destroy")
        _remove_what_no_state_knows(client, prefix)
        for volume in present:
            client.volumes.get(volume).remove()
    _fill(client, restored, manifest, place)
    commands.up(name)


def _text_of(place: Place, file: Stored) -> bytes:
    return b"".join(place.read(file))


@contextmanager
def _stack_file(name: str, text: bytes) -> Iterator[Path]:
    """Path of the stack's file. If there is none, path of a temporary copy of the backup's."""
    if not NAMES.fullmatch(name) or (paths.REPOSITORY / f"Pulumi.{name}.yaml").exists():
        yield stack_file(name)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"Pulumi.{name}.yaml")
        file.write_bytes(text)
        yield file


def _remove_what_no_state_knows(client: DockerClient, prefix: str) -> None:
    """Removes the containers and networks of a stack whose state is lost: they hold its volumes and names."""
    try:
        for container in client.containers.list(all=True, filters={"label": f"{STACK_LABEL}={prefix}"}):
            note(f"{container.name} is removed: the stack's state does not know it")
            container.remove(force=True, v=True)
        for network in client.networks.list(names=[prefix]):
            if network.name in own_networks(prefix):
                network.remove()
    except DockerException as error:
        raise ToolchainError(f"what runs already cannot be removed: {error}") from error


def put_back(name: str, wanted: Collection[str], place: Place) -> None:
    """Replaces the data of the services `wanted` by those in a backup of the same stack. Containers that use
    their volumes are removed. The next deployment creates them again."""
    manifest, saved = manifests.read(place), Stack(name)
    client = engine_setup.connect(saved.settings.docker)
    some = {service: copy for service, copy in manifest.volumes.items() if service in wanted}
    free_bytes = archives.room(saved.settings)
    for copy in some.values():
        free_bytes = archives.must_be_sound(place, copy, free_bytes)
    for service in some:
        volume = f"{saved.settings.prefix}-{service}"
        for container in client.containers.list(all=True, filters={"volume": volume}):
            container.remove(force=True)
        client.volumes.get(volume).remove()
    _fill(client, saved, manifest.model_copy(update={"volumes": some}), place)


def _write_stack_file(name: str, text: bytes) -> None:
    path = paths.REPOSITORY / f"Pulumi.{name}.yaml"
    if not path.exists():
        path.write_bytes(text)
        note(f"{path.name} is the one of the backup")


def _fill(client: DockerClient, restored: Stack, manifest: Manifest, place: Place) -> None:
    """Creates and fills the volumes, under the names that the deployment uses."""
    busybox, prefix = volume_helper.image(client, restored.settings.image("busybox")), restored.settings.prefix
    for service, copy in manifest.volumes.items():
        name = f"{prefix}-{service}"
        with Step(f"{service}: {copy.bytes / MIB:.2f} MiB back"), _errors_of_engine(service):
            client.volumes.create(name)
            try:
                with volume_helper.helper(client, busybox, prefix=prefix, volume=name, writes=True) as helper:
                    at_rest, changed, names = (place.read(file) for file in copy.files)
                    volumes.fill(helper, (at_rest, changed, names))
            except BaseException:
                client.volumes.get(name).remove()  # an incomplete volume would pass for a whole one
                raise
