"""Service images for an engine that cannot pull: built here, with the face of the official ones."""

import functools
import platform
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path, PurePosixPath

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from config.images import pins
from config.settings.docker import Docker
from toolchain import debian, engine, golang, reach, store
from toolchain.images import faces, packing, userlands
from toolchain.images.recipes import RECIPES, Assembled, Debian, Go, Recipe
from toolchain.report import Step, ToolchainError, note

FOLDER = Path(__file__).parent
LOCAL = "nervous-system/"
"""What the names of images that were built here begin with."""


def local_images(references: Mapping[str, str] | None = None, where: Docker | None = None) -> dict[str, str]:
    """Service → reference of an image that was built here, for each official image that cannot be had.

    `references` are the images that a stack wants, by service; by default all pinned ones. What the engine at `where`
    already has, or can pull, is not in the answer.
    """
    wanted = references or {service: pin.reference for service, pin in pins().items()}
    where = where or engine.configured()
    client = engine.connect(where)
    missing = {service: reference for service, reference in wanted.items() if not present(client, reference)}
    # One image stands for its registry.
    samples = {registry(reference): reference for reference in missing.values()}
    silent = reach.silent({name: functools.partial(_can_pull, sample, where) for name, sample in samples.items()})
    to_build = [service for service, reference in missing.items() if registry(reference) in silent]
    if not to_build:
        return {}
    note("the image registries cannot be reached: these images are builds from here, not the official ones")
    built = {service: ensure(client, service, RECIPES[service]) for service in to_build if service in RECIPES}
    if unavailable := sorted(set(to_build) - set(RECIPES)):
        note(f"not available here: {', '.join(unavailable)}")
    return built


def present(client: docker.DockerClient, reference: str) -> bool:
    """Whether the engine has the image."""
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def registry(reference: str) -> str:
    """The host that an image reference names, by Docker's rule."""
    host, slash, _ = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else "docker.io"


def _can_pull(reference: str, where: Docker) -> bool:
    """Whether the registry answers the engine, which may sit in another network than this process.

    A registry that refuses the image has answered: the pull will say what is wrong with the reference or the login.
    """
    try:
        engine.connect(where, timeout=reach.SECONDS).api.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except APIError as error:
        return error.response is not None and error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    except DockerException:  # the helper that keeps the logins: the pull says what is wrong with it
        return True
    except (requests.RequestException, ToolchainError):
        return False
    return True


def ensure(client: docker.DockerClient, service: str, recipe: Recipe) -> str:
    """The reference of the service's image; it is packed if the engine lacks it, and built if it never was."""
    reference = f"{LOCAL}{service}:{recipe.version}-{_image_key(service, recipe)}"
    if not present(client, reference):
        with store.lock(f"image-{service}"):
            if not present(client, reference):
                face = _face(service, recipe)
                binaries, base = product(service, recipe), product("base", _base(face))
                with Step(f"image {service} {recipe.version}"):
                    packing.load(client, reference, recipe, face, binaries=binaries, base=base)
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
    if isinstance(source, Assembled):
        source.make(folder)
        return
    with Step(f"{service}: building from Go modules"):
        golang.toolchain().build(
            FOLDER / (source.module or service),
            list(source.packages.values()),
            tags=source.tags,
            ldflags=f"-s -w -X {source.version_variable}={recipe.version}",
            into=folder,
            log=f"build-{service}",
            wired=source.wired,
            c=source.c,
        )
        if source.data:
            original = golang.toolchain().module_folder(FOLDER / service, source.data_of)
            for file in sorted(found for pattern in source.data for found in original.glob(pattern)):
                copy = folder / "data" / file.relative_to(original)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
    for path, package in source.packages.items():
        (folder / PurePosixPath(package).name).rename(folder / PurePosixPath(path).name)


def _source_key(service: str, recipe: Recipe) -> str:
    source = recipe.source
    if isinstance(source, Debian):
        return store.content_key(debian.release(), repr(source))
    if isinstance(source, Assembled):
        return store.content_key(debian.release(), recipe.version, *source.made_from)
    return store.content_key(
        FOLDER / (source.module or service),
        repr(source),
        recipe.version,
        golang.toolchain().version,
        platform.machine(),
    )


def _image_key(service: str, recipe: Recipe) -> str:
    face = _face(service, recipe)
    packers = (FOLDER / name for name in ("packing.py", "rootfs.py", "userlands.py"))
    return store.content_key(
        _source_key(service, recipe), repr(recipe), repr(face), _source_key("base", _base(face)), *packers
    )


def _face(service: str, recipe: Recipe) -> faces.Face:
    return recipe.face or faces.official()[service]


def _base(face: faces.Face) -> Recipe:
    """What an image has besides its service."""
    return Recipe(version="", source=Debian(userlands.PACKAGES[face.userland.kind], {}))
