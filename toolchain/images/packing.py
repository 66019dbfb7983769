"""Packs an image of one layer for `docker load`: the product of a recipe, with the interface from `faces.yaml`.

Loading needs no builder, and knows the whole configuration of an image; `docker import` does not (no stop signal). The
same content is the same image.
"""

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

import docker
from docker.errors import DockerException

from toolchain import debian
from toolchain.images import userlands
from toolchain.images.faces import Face, Folder, User
from toolchain.images.recipes import Go, Recipe
from toolchain.images.rootfs import Rootfs
from toolchain.report import ToolchainError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CREATED = "1970-01-01T00:00:00Z"
SECOND = 1_000_000_000
"""Nanoseconds in a second: the unit of health checks."""


def load(
    client: docker.DockerClient, reference: str, recipe: Recipe, face: Face, *, binaries: Path, base: Path
) -> None:
    """Give the engine the image `reference`; `base` holds the packages for the kind of its userland."""
    with tempfile.TemporaryDirectory() as folder:
        layer, image = Path(folder, "layer.tar"), Path(folder, "image.tar")
        with layer.open("wb") as archive:
            root = Rootfs(archive)
            _fill(root, recipe, face, binaries, base)
            root.close()
        with image.open("wb") as archive:
            _write(archive, reference, layer, configuration(face, recipe.version))
        try:
            with image.open("rb") as archive:
                client.images.load(archive)
        except DockerException as error:
            raise ToolchainError(
                f"the engine refused the image {reference}: {error}", fix="see the engine's log"
            ) from error


def configuration(face: Face, version: str) -> dict[str, Any]:
    """The image's configuration, in the words of the OCI image specification and of Docker."""
    variables = {**face.variables, **dict.fromkeys(face.release_variables, version)}
    config = {
        "Entrypoint": list(face.entrypoint),
        "Cmd": list(face.command),
        "User": face.user,
        "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
        "WorkingDir": face.working_dir,
        "StopSignal": face.stop_signal,
        "Volumes": {path: {} for path in face.volumes},
        "ExposedPorts": {port: {} for port in face.ports},
    }
    if face.health:
        config["Healthcheck"] = {
            "Test": list(face.health.test),
            "Interval": face.health.interval * SECOND,
            "Timeout": face.health.timeout * SECOND,
            "StartPeriod": face.health.start_period * SECOND,
        }
    return {name: value for name, value in config.items() if value}


def _write(archive: IO[bytes], reference: str, layer: Path, config: dict[str, Any]) -> None:
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    machine = platform.machine()
    description = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": CREATED,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED, "created_by": "nervous-system toolchain"}],
    }
    text = json.dumps(description).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(layer, "layer.tar")
        for path, data in ((name, text), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _fill(root: Rootfs, recipe: Recipe, face: Face, binaries: Path, base: Path) -> None:
    """The first file with a path wins: the face's, then the service's, then the userland's."""
    around = face.userland
    if face.passwd:
        _accounts(root, face.passwd)
    if around.nsswitch:
        root.text("/etc/nsswitch.conf", "hosts: files dns\n")
    if around.certificates:
        root.text("/etc/ssl/certs/ca-certificates.crt", _certificates(base))
    if around.tmp:
        root.folder("/tmp", Folder(owner=0, group=0, mode=0o1777))  # noqa: S108  # a path in the image
    for path, target in around.links.items():
        root.folder(target)
        root.link(path, target)
    for path, folder in sorted(face.folders.items()):
        root.folder(path, folder)
    for path, text in recipe.files.items():
        root.text(path, text, mode=0o755)
    _service(root, recipe, face, binaries)
    userlands.fill(root, around, base)


def _accounts(root: Rootfs, users: Mapping[str, User]) -> None:
    root.text(
        "/etc/passwd",
        "".join(f"{name}:x:{user.uid}:{user.gid}:{name}:/:/bin/false\n" for name, user in users.items()),
    )
    groups = {name: user.uid for name, user in users.items() if user.uid == user.gid}
    members = {name: ",".join(user for user, one in users.items() if name in one.groups) for name in groups}
    root.text("/etc/group", "".join(f"{name}:x:{gid}:{members[name]}\n" for name, gid in groups.items()))


def _service(root: Rootfs, recipe: Recipe, face: Face, binaries: Path) -> None:
    if isinstance(recipe.source, Go):
        for path in recipe.source.packages:
            root.copy(path, binaries / PurePosixPath(path).name, face.capabilities.get(path, ()))
        if recipe.source.data:
            root.tree(recipe.source.data_folder, binaries / "data")
        return
    programs = []
    for path, packaged in recipe.source.files.items():
        source = binaries / packaged.lstrip("/")
        if source.is_dir():
            root.tree(path, source)
        else:
            root.copy(path, source, face.capabilities.get(path, ()))
            programs.append(source)
    for path, library in sorted(debian.shared_objects(binaries, *programs).items()):
        root.copy(path, library)


def _certificates(base: Path) -> str:
    """What ca-certificates' own installation would join into one file."""
    return "".join(path.read_text() for path in sorted(base.glob("usr/share/ca-certificates/*/*.crt")))
