"""Service images for an engine that cannot pull: built here, with the face of the official ones."""

import functools
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import docker
from docker.errors import DockerException, ImageNotFound

from config.images import pins
from toolchain import debian, engine, golang, reach, store
from toolchain.images import archive
from toolchain.images.recipes import NOBODY, RECIPES, Debian, Go, Recipe
from toolchain.images.rootfs import WORLD_WRITABLE, Rootfs
from toolchain.report import Step, ToolchainError, note

FOLDER = Path(__file__).parent
DOCKER_HUB = "registry-1.docker.io"
LOCAL = "nervous-system/"
"""What the names of images that were built here begin with."""


def local_images(references: Mapping[str, str] | None = None) -> dict[str, str]:
    """Service → reference of an image that was built here, for each official image that cannot be had.

    `references` are the images that a stack wants, by service; by default all pinned ones. What the engine already
    has, or can pull, is not in the answer.
    """
    wanted = references or {service: pin.reference for service, pin in pins().items()}
    client = engine.connect()
    missing = {service: reference for service, reference in wanted.items() if not _present(client, reference)}
    silent = reach.unreachable({_registry_url(reference) for reference in missing.values()})
    to_build = [service for service, reference in missing.items() if _registry_url(reference) in silent]
    if not to_build:
        return {}
    note("the image registries cannot be reached: these images are builds from here, not the official ones")
    built = {service: ensure(client, service, RECIPES[service]) for service in to_build if service in RECIPES}
    if unavailable := sorted(set(to_build) - set(RECIPES)):
        note(f"not available here: {', '.join(unavailable)}")
    return built


def _present(client: docker.DockerClient, reference: str) -> bool:
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _registry_url(reference: str) -> str:
    host, slash, _ = reference.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host = "docker.io"
    if host == "docker.io":
        host = DOCKER_HUB
    scheme = "http" if host.split(":")[0] in {"localhost", "127.0.0.1"} else "https"
    return f"{scheme}://{host}/v2/"


def ensure(client: docker.DockerClient, service: str, recipe: Recipe) -> str:
    """The reference of the service's image; it is packed if the engine lacks it, and built if it never was."""
    reference = f"{LOCAL}{service}:{recipe.version}-{_image_key(service, recipe)}"
    if not _present(client, reference):
        with store.lock(f"image-{service}"):
            if not _present(client, reference):
                binaries = product(service, recipe)
                with Step(f"image {service} {recipe.version}"):
                    _load(client, reference, service, recipe, binaries)
    return reference


def binary(name: str) -> Path:
    """A tool for this machine out of an image's product: promtool, amtool or the services themselves."""
    for service, recipe in RECIPES.items():
        if isinstance(recipe.source, Go) and any(PurePosixPath(path).name == name for path in recipe.source.packages):
            return product(service, recipe) / name
    raise ToolchainError(f"no image has a binary {name}")


def product(service: str, recipe: Recipe) -> Path:
    """The folder with what goes into the image: kept apart from it, so that a new engine is filled in seconds."""
    return store.product(service, _source_key(service, recipe), functools.partial(_make, service, recipe))


def _make(service: str, recipe: Recipe, folder: Path) -> None:
    source = recipe.source
    if isinstance(source, Debian):
        with Step(f"{service}: unpacking {', '.join(source.packages)}"):
            debian.unpack(source.packages, folder)
        return
    with Step(f"{service}: building from Go modules"):
        golang.toolchain().build(
            FOLDER / service,
            list(source.packages.values()),
            tags=source.tags,
            ldflags=f"-s -w -X {source.version_variable}={recipe.version}",
            into=folder,
            log=f"build-{service}",
        )


def _source_key(service: str, recipe: Recipe) -> str:
    source = recipe.source
    if isinstance(source, Debian):
        return store.content_key(debian.release(), repr(source))
    return store.content_key(
        FOLDER / service, repr(source), recipe.version, golang.toolchain().version, platform.machine()
    )


def _image_key(service: str, recipe: Recipe) -> str:
    return store.content_key(_source_key(service, recipe), repr(recipe), *_packing())


@functools.cache
def _packing() -> tuple[str | Path, ...]:
    """What all images are made with."""
    return (FOLDER / "__init__.py", FOLDER / "archive.py", FOLDER / "rootfs.py", _source_key("base", BASE))


# What an image from a distribution has besides its service.
BASE = Recipe(version="", source=Debian(("busybox-static", "ca-certificates"), {}), entrypoint=())


def _load(client: docker.DockerClient, reference: str, service: str, recipe: Recipe, binaries: Path) -> None:
    base = product("base", BASE)
    with tempfile.TemporaryDirectory() as folder:
        layer, packed = Path(folder, "layer.tar"), Path(folder, "image.tar")
        with layer.open("wb") as content:
            root = Rootfs(content)
            _fill(root, recipe, binaries, base)
            root.close()
        config = {
            "Entrypoint": recipe.entrypoint,
            "Cmd": recipe.command,
            "User": recipe.user,
            "Labels": {"nervous-system.built-here": service},
            **recipe.config,
        }
        with packed.open("wb") as content:
            archive.write(content, reference, layer, config)
        try:
            with packed.open("rb") as content:
                client.images.load(content)
        except DockerException as error:
            raise ToolchainError(
                f"the engine refused the image {reference}: {error}", fix="see the engine's log"
            ) from error


def _fill(root: Rootfs, recipe: Recipe, binaries: Path, base: Path) -> None:
    users = {"root": 0, "nobody": NOBODY, **recipe.users}
    root.text("/etc/passwd", "".join(f"{name}:x:{uid}:{uid}:{name}:/:/bin/false\n" for name, uid in users.items()))
    root.text("/etc/group", "".join(f"{name}:x:{gid}:\n" for name, gid in users.items()))
    root.text("/etc/nsswitch.conf", "hosts: files dns\n")
    root.text("/etc/ssl/certs/ca-certificates.crt", _certificates(base))
    root.folder("/tmp", mode=WORLD_WRITABLE)  # noqa: S108  # a path in the image
    if recipe.shell:
        _add_busybox(root, base)
    for path, owner in recipe.folders.items():
        root.folder(path, owner=owner)
    for path, script in recipe.files.items():
        root.text(path, script, mode=0o755)
    if isinstance(recipe.source, Go):
        for path in recipe.source.packages:
            root.copy(path, binaries / PurePosixPath(path).name)
        return
    libraries: dict[str, Path] = {}
    for path, packaged in recipe.source.files.items():
        root.copy(path, binaries / packaged.lstrip("/"))
        libraries |= debian.shared_objects(binaries, binaries / packaged.lstrip("/"))
    for path, library in sorted(libraries.items()):
        root.copy(path, library)


def _add_busybox(root: Rootfs, base: Path) -> None:
    """A shell and the usual tools, as the official images have from busybox too."""
    busybox = next(path for path in base.rglob("bin/busybox") if path.is_file())
    root.copy("/bin/busybox", busybox)
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        root.link(f"/bin/{applet}", "busybox")


def _certificates(base: Path) -> str:
    """What ca-certificates' own installation would join into one file."""
    return "".join(path.read_text() for path in sorted(base.glob("usr/share/ca-certificates/*/*.crt")))
