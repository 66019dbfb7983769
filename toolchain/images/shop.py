"""Images of the shop (examples/shop) for an engine that cannot pull. They follow the shop's Dockerfiles.

Go: a static binary. Python: Debian's Python, and wheels. Node.js: the official build, and modules. Lock files pin all
of them.
"""

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker

from toolchain import debian, golang, nodejs
from toolchain.images import ensure, for_tests, python
from toolchain.images.faces import Face, userlands
from toolchain.images.recipes import Assembled, Recipe
from toolchain.paths import REPOSITORY
from toolchain.report import Step, run

FOLDER = REPOSITORY / "examples" / "shop"
PORT = 8000
NOTHING: Mapping[str, str] = {}


def images(client: docker.DockerClient) -> dict[str, str]:
    """Container of the shop → reference of its image. Builds the images that do not exist."""
    own = {service: ensure(client, f"shop-{service}", make()) for service, make in SERVICES.items()}
    return own | {service: for_tests.image(client, service) for service in ("nginx", "postgres", "redis")}


def _face(entrypoint: tuple[str, ...], **more: Any) -> Face:
    return Face(
        userland=userlands()["alpine"],
        entrypoint=entrypoint,
        user="65534:65534",
        ports=(f"{PORT}/tcp",),
        **more,
    )


def _go(service: str) -> Recipe:
    parts = ("go.mod", "go.sum", service, "telemetry/telemetry.go", "faults/faults.go")
    return Recipe(
        version="example",
        source=Assembled(
            functools.partial(_build_go, service), tuple(FOLDER / part for part in parts), {f"/{service}": service}
        ),
        face=_face((f"/{service}",)),
    )


def _build_go(service: str, folder: Path) -> None:
    with Step(f"shop-{service}: building from Go modules"):
        golang.toolchain().build(
            FOLDER, [f"./{service}"], tags="netgo", ldflags="-s -w", into=folder, log=f"build-shop-{service}"
        )


def _python(service: str) -> Recipe:
    return _scripts(
        source=Assembled(
            _install_python,
            (FOLDER / "requirements.txt",),
            {path: path for path in ("/usr/bin/python3", "/usr/lib", "/app/packages")},
        ),
        entrypoint=("python3", "-m", f"{service}.main"),
        parts=(f"{service}/*", "telemetry/*.py", "faults/*.py"),
        environment={"PYTHONPATH": "/app/packages", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _install_python(folder: Path) -> None:
    version = python.unpack(folder).removeprefix("python")
    with Step("shop: packages of Python"):
        pip = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-config",
        ]
        run(
            [*pip, "--python-version", version, "--target", folder / "app" / "packages",
             "-r", FOLDER / "requirements.txt"],
            log="shop-python",
        )  # fmt: skip


def _nodejs(service: str) -> Recipe:
    return _scripts(
        source=Assembled(
            _install_nodejs,
            (FOLDER / "package.json", FOLDER / "package-lock.json", nodejs.PINNED),
            {"/usr/bin/node": "node", "/app/node_modules": "node_modules"},
        ),
        entrypoint=("node", f"{service}/main.js"),
        parts=(f"{service}/*", "telemetry/*.js", "faults/*.js"),
    )


def _install_nodejs(folder: Path) -> None:
    with Step("shop: Node.js and its modules"):
        debian.unpack(("libstdc++6",), folder)  # node needs this and its dependencies
        nodejs.install_modules(FOLDER, folder)
        (folder / "node").hardlink_to(nodejs.binary())


def _scripts(
    *, source: Assembled, entrypoint: tuple[str, ...], parts: tuple[str, ...], environment: Mapping[str, str] = NOTHING
) -> Recipe:
    """A recipe for an interpreted service. The sources are not part of the build product, so a changed line packs a new
    image without installing anything."""
    sources = sorted(path for part in parts for path in FOLDER.glob(part) if path.is_file())
    return Recipe(
        version="example",
        source=source,
        files={f"/app/{path.relative_to(FOLDER)}": path.read_text() for path in sources},
        face=_face(entrypoint, working_dir="/app", environment={"PATH": "/usr/bin:/bin", **environment}),
    )


SERVICES: dict[str, Callable[[], Recipe]] = {
    "gateway": functools.partial(_go, "gateway"),
    "orders": functools.partial(_go, "orders"),
    "auth": functools.partial(_python, "auth"),
    "users": functools.partial(_python, "users"),
    "products": functools.partial(_nodejs, "products"),
}
"""Service → function that makes its recipe. A recipe is made on demand, because it reads the sources."""
