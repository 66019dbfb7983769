"""Service images for an engine that cannot pull: built here, with the interface of the official images."""

import functools
import platform
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path, PurePosixPath

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from config.images import Reference, pins
from config.settings.docker import Docker
from toolchain import debian, engine_setup, golang, reach, store
from toolchain.images import faces, packing, userlands
from toolchain.images.recipes import RECIPES, Assembled, Debian, Go, Recipe
from toolchain.report import Step, ToolchainError, note

FOLDER = Path(__file__).parent
LOCAL = "nervous-system/"
"""Prefix of the names of images that are built here."""


def local_images(references: Mapping[str, str] | None = None, where: Docker | None = None) -> dict[str, str]:
    """Build the official images that are not available. Returns service → reference of the image that was built.

    `references` are the images that a stack needs, by service; by default all pinned ones. Images that the engine at
    `where` has, or can pull, are left out.
    """
    wanted = references or {service: pin.reference for service, pin in pins().items()}
    where = where or engine_setup.configured()
    client = engine_setup.connect(where)
    missing = {service: reference for service, reference in wanted.items() if not present(client, reference)}
    # One image of each registry is tried.
    samples = {Reference.parse(reference).host: reference for reference in missing.values()}
    silent = reach.silent({name: functools.partial(_can_pull, sample, where) for name, sample in samples.items()})
    to_build = [service for service, reference in missing.items() if Reference.parse(reference).host in silent]
    if not to_build:
        return {}
    note("the image registries cannot be reached: these images are built here, and are not the official ones")
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


def _can_pull(reference: str, where: Docker) -> bool:
    """Whether the engine can reach the registry. The engine may be in another network than this process.

    A registry that refuses the image counts as reachable: the pull then reports what is wrong with the reference or the
    login.
    """
    try:
        engine_setup.connect(where, timeout=reach.SECONDS).api.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except APIError as error:
        return error.response is not None and error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    except DockerException:  # a credential helper fails: the pull reports it
        return True
    except (requests.RequestException, ToolchainError):
        return False
    return True


def ensure(client: docker.DockerClient, service: str, recipe: Recipe) -> str:
    """Return the reference of the service's image. Packs the image if the engine lacks it, and builds it if that was
    never done."""
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
    """Path of a tool for this machine, such as promtool, amtool or a service's own binary, from an image's build
    product.

    Raises:
        ToolchainError: no image has a binary of that name.
    """
    for service, recipe in RECIPES.items():
        if isinstance(recipe.source, Go) and any(PurePosixPath(path).name == name for path in recipe.source.packages):
            return product(service, recipe) / name
    raise ToolchainError(f"no image has a binary {name}")


def product(service: str, recipe: Recipe) -> Path:
    """The folder with the image's content. It is cached apart from the image, so that filling a new engine takes
    seconds."""
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
            for file in sorted(match for pattern in source.data for match in original.glob(pattern)):
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
    """The recipe for the part of an image that is not the service: shell, tools, certificates."""
    return Recipe(version="", source=Debian(userlands.PACKAGES[face.userland.kind], {}))
