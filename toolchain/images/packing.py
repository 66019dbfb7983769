"""Packs an image of one layer in the form that `docker load` reads.

Loading needs no builder, and knows the whole configuration of an image; `docker import` does not (no stop signal).
Owners and modes are written into the archive, so nothing here needs root, and the same content is the same image.
"""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Any

import docker
from docker.errors import DockerException

from toolchain import debian
from toolchain.images.recipes import NOBODY, Go, Recipe
from toolchain.report import ToolchainError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CREATED = "1970-01-01T00:00:00Z"
WORLD_WRITABLE = 0o1777


def load(client: docker.DockerClient, reference: str, recipe: Recipe, binaries: Path, base: Path) -> None:
    """Give the engine the image `reference`."""
    with tempfile.TemporaryDirectory() as folder:
        layer, image = Path(folder, "layer.tar"), Path(folder, "image.tar")
        with layer.open("wb") as archive:
            root = Rootfs(archive)
            _fill(root, recipe, binaries, base)
            root.close()
        with image.open("wb") as archive:
            _write(archive, reference, layer, _configuration(recipe))
        try:
            with image.open("rb") as archive:
                client.images.load(archive)
        except DockerException as error:
            raise ToolchainError(
                f"the engine refused the image {reference}: {error}", fix="see the engine's log"
            ) from error


def _configuration(recipe: Recipe) -> dict[str, Any]:
    return {"Entrypoint": recipe.entrypoint, "Cmd": recipe.command, "User": recipe.user, **recipe.config}


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


class Rootfs:
    """Collects files, folders and links into a tar archive."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=archive, mode="w")  # noqa: SIM115  # closed by close()
        self._folders = {PurePosixPath("/")}

    def folder(self, path: str, *, owner: int = 0, mode: int = 0o755) -> None:
        """A folder, with its parents."""
        if PurePosixPath(path) not in self._folders:
            self._folders.add(PurePosixPath(path))
            self._add(path, tarfile.DIRTYPE, mode=mode, uid=owner, gid=owner)

    def text(self, path: str, content: str, *, mode: int = 0o644) -> None:
        data = content.encode()
        self._add(path, tarfile.REGTYPE, io.BytesIO(data), mode=mode, size=len(data))

    def copy(self, path: str, source: Path) -> None:
        """A program of this machine, or a library of one; a link is followed."""
        with source.open("rb") as content:
            self._add(path, tarfile.REGTYPE, content, mode=0o755, size=source.stat().st_size)

    def tree(self, path: str, source: Path) -> None:
        """A folder of this machine with all that is in it."""
        for found in sorted(source.rglob("*")):
            if found.is_file():  # what a link leads to, where it leads inside
                self.copy(f"{path}/{found.relative_to(source)}", found)

    def link(self, path: str, target: str) -> None:
        self._add(path, tarfile.SYMTYPE, mode=0o777, linkname=target)

    def close(self) -> None:
        self._tar.close()

    def _add(self, path: str, kind: bytes, content: IO[bytes] | None = None, **facts: int | str) -> None:
        for parent in reversed(PurePosixPath(path).parents):
            self.folder(str(parent))
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type = kind
        for name, value in facts.items():
            setattr(entry, name, value)
        self._tar.addfile(entry, content)


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
        if recipe.source.data:
            root.tree(recipe.source.data_folder, binaries / "data")
        return
    libraries: dict[str, Path] = {}
    for path, packaged in recipe.source.files.items():
        source = binaries / packaged.lstrip("/")
        if source.is_dir():
            root.tree(path, source)
        else:
            root.copy(path, source)
            libraries |= debian.shared_objects(binaries, source)
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
