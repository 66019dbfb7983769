"""Java libraries from Maven Central by Maven's own client, and jars of our own sources."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from toolchain import debian
from toolchain.report import ToolchainError, run

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
PINNED = Path(__file__).with_name("maven.txt")
RELEASE = "17"
"""The oldest Java that the servers here run on."""


def ensure() -> None:
    """Maven and a JDK, from the distribution where they are missing."""
    if not shutil.which("mvn"):
        debian.install("maven")
    if not (shutil.which("javac") and shutil.which("jlink")):
        debian.install("default-jdk-headless")


def copy(artifacts: Sequence[str], folder: Path, *, pins: Path = PINNED) -> None:
    """Fill the folder with artifacts, each `group:name:version`, and with all that they need at run time. `pins` is the file
    with their hashes.

    Raises:
        ToolchainError: something else came than what is known here.
    """
    dependencies = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *map(escape, artifact.split(":"))
        )
        for artifact in artifacts
    )
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "pom.xml")
        project.write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>nervous-system</groupId><artifactId>libraries</artifactId><version>1</version>"
            f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
        )
        # Each file, Maven's own plugins too, is checked against the checksum that the repository publishes.
        options = ["--batch-mode", "--no-transfer-progress", "--strict-checksums"]
        run(
            ["mvn", *options, "--file", project, COPY, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"],
            log="maven",
            fix="where the message is about a download, name a mirror of Maven Central in ~/.m2/settings.xml",
        )
    must_be_known(folder, pins)


def must_be_known(folder: Path, pins: Path = PINNED) -> None:
    """Raises ToolchainError when a jar in the folder is not the one whose hash this repository has."""
    lines = [line.split() for line in pins.read_text().splitlines() if not line.startswith("#")]
    digests = {name: digest for digest, name in lines}
    for file in sorted(folder.glob("*.jar")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest != digests.get(file.name):
            raise ToolchainError(
                f"{file.name} is not the one that {pins.name} knows: its sha256 is {digest}, "
                + (f"and should be {digests[file.name]}" if file.name in digests else "and there is no line of it"),
                fix="remove ~/.m2/repository and run again; if it stays so, what this machine takes for Maven Central has another one",
            )


def jar(path: Path, sources: Sequence[Path], *, libraries: Sequence[Path], manifest: str = "") -> None:
    """Compile our own sources into a jar at `path`; `libraries` are folders of jars."""
    with tempfile.TemporaryDirectory() as scratch:
        classes, attributes = Path(scratch, "classes"), Path(scratch, "manifest")
        attributes.write_text(manifest)
        classpath = ":".join(f"{folder}/*" for folder in libraries)
        # No annotation processing: a library's own processor would want to see all of its sources.
        compiler = ["javac", "-proc:none", "-nowarn", "--release", RELEASE, "--class-path", classpath]
        run([*compiler, "-d", classes, *sources], log="javac")
        path.parent.mkdir(parents=True, exist_ok=True)
        run(["jar", "--create", "--file", path, "--manifest", attributes, "-C", classes, "."], log="jar")


def runtime(folder: Path) -> None:
    """A Java of this machine's kind at `folder`, which must not exist yet: with all modules, without man pages."""
    slim = ["--strip-java-debug-attributes", "--no-header-files", "--no-man-pages"]
    run(["jlink", "--add-modules", "ALL-MODULE-PATH", *slim, "--output", folder], log="jlink")
