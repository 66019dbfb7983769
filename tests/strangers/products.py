"""What the programs run on, made once from the registries of their languages, each file compared with a hash that is here."""

import platform
import shutil
import sys
from pathlib import Path

from toolchain import golang, maven, nodejs, store
from toolchain.report import Step, run

FOLDER = Path(__file__).parent
PYTHON, NODE, GO, JAVA = (FOLDER / name for name in ("python", "node", "go", "java"))
JAVA_PINS = JAVA / "maven.txt"
SPRING = (
    "org.springframework.boot:spring-boot-starter-web:3.5.6",
    "org.springframework.boot:spring-boot-starter-actuator:3.5.6",
    "io.micrometer:micrometer-registry-prometheus:1.15.4",
)
AGENT = "io.opentelemetry.javaagent:opentelemetry-javaagent:2.33.1"


def python() -> Path:
    """The folder `bin` of a virtual environment."""
    pins = PYTHON / "requirements.txt"

    def build(folder: Path) -> None:
        with Step("strangers: packages from PyPI"):
            uv = [sys.executable, "-m", "uv"]
            run(
                [*uv, "venv", "--allow-existing", "--relocatable", "--python", sys.executable, folder],
                log="strangers-venv",
            )
            run(
                [*uv, "pip", "install", "--python", folder, "--require-hashes", "--no-deps", "-r", pins],
                log="strangers-python",
            )  # fmt: skip

    return store.product("strangers-python", store.content_key(pins, sys.version, platform.machine()), build) / "bin"


def node() -> Path:
    """A folder with `node_modules`."""

    def build(folder: Path) -> None:
        with Step("strangers: modules from npm"):
            nodejs.install_modules(NODE, folder)

    pins = (NODE / "package.json", NODE / "package-lock.json", nodejs.PINNED)
    return store.product("strangers-node", store.content_key(*pins, platform.machine()), build)


def go() -> Path:
    """A folder with a binary for each program."""
    toolchain = golang.toolchain()

    def build(folder: Path) -> None:
        with Step("strangers: building from Go modules"):
            toolchain.build(GO, ["./..."], tags="netgo", ldflags="-s -w", into=folder, log="strangers-go")

    return store.product("strangers-go", store.content_key(GO, toolchain.version, platform.machine()), build)


def java() -> Path:
    """A folder with `plain.jar`, the folder `spring` of jars and settings, and `agent.jar`."""

    def build(folder: Path) -> None:
        with Step("strangers: jars from Maven Central"):
            maven.ensure()
            maven.copy(SPRING, folder / "spring", pins=JAVA_PINS)
            maven.copy([AGENT], folder, pins=JAVA_PINS)
            [agent] = folder.glob("*.jar")
            agent.rename(folder / "agent.jar")
            for name in ("spring", "plain"):
                jar = folder / name / "program.jar"
                maven.jar(jar, sorted((JAVA / name).glob("*.java")), libraries=[folder / "spring"])
            shutil.copy(JAVA / "spring" / "application.properties", folder / "spring")

    return store.product("strangers-java", store.content_key(JAVA, *SPRING, AGENT), build)


def make() -> None:
    """All of them, so that no test waits for a registry."""
    for product in (python, node, go, java):
        product()
