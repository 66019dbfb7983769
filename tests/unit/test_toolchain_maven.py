"""What Maven and the JDK are asked for."""

import hashlib
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import pytest

from toolchain import maven
from toolchain.images import search_engines
from toolchain.report import ToolchainError


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The lines that were run, and a project file that is kept in place of its path."""
    command_lines: list[list[str]] = []

    def run(command: list[str | Path], **_: str) -> str:
        command_lines.append(
            [part.read_text() if isinstance(part, Path) and part.is_file() else str(part) for part in command]
        )
        return ""

    monkeypatch.setattr(maven, "run", run)
    return command_lines


def test_libraries_are_asked_for_with_what_they_need_and_checked(commands: list[list[str]], tmp_path: Path) -> None:
    maven.copy(["org.example:one:1", "org.example:two:2"], tmp_path)
    (line,) = commands
    assert {"--strict-checksums", "-DincludeScope=runtime", f"-DoutputDirectory={tmp_path}"} <= set(line)
    project = ElementTree.fromstring(line[line.index("--file") + 1])  # noqa: S314  # our own
    dependencies = project.iterfind(".//{*}dependency")
    assert [[part.text for part in dependency] for dependency in dependencies] == [
        ["org.example", "one", "1"],
        ["org.example", "two", "2"],
    ]


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("one-1.jar", b"right", ""),
        ("one-1.jar", b"wrong", "and should be"),
        ("two-1.jar", b"right", "and there is no line of it"),
    ],
    ids=["known", "changed", "unknown"],
)
def test_a_jar_is_the_one_whose_hash_is_in_this_repository(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    pinned = tmp_path / "pinned.txt"
    pinned.write_text(f"# hashes\n{hashlib.sha256(b'right').hexdigest()}  one-1.jar\n")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ToolchainError, match=f"{name} is not the one .* {words}") if words else nullcontext():
        maven.copy(["org.example:one:1"], tmp_path, pins=pinned)


def test_all_that_the_servers_are_made_of_is_known() -> None:
    text = maven.PINNED.read_text()
    for jar in (
        f"elasticsearch-{search_engines.ELASTICSEARCH}",
        f"x-pack-core-{search_engines.ELASTICSEARCH}",
        f"opensearch-{search_engines.OPENSEARCH}",
        f"transport-netty4-client-{search_engines.OPENSEARCH}",
    ):
        assert f"  {jar}.jar\n" in text


def test_sources_are_compiled_for_the_oldest_java(commands: list[list[str]], tmp_path: Path) -> None:
    maven.jar(tmp_path / "deep" / "a.jar", [], libraries=[Path("lib"), Path("more")], manifest="Agent-Class: A\n")
    compiler, archiver = commands
    assert compiler[compiler.index("--release") + 1] == maven.RELEASE
    assert compiler[compiler.index("--class-path") + 1] == "lib/*:more/*"
    assert archiver[archiver.index("--manifest") + 1] == "Agent-Class: A\n"
    assert (tmp_path / "deep").is_dir()


def test_maven_and_a_jdk_are_installed_where_they_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    monkeypatch.setattr("shutil.which", lambda tool: None if tool in {"mvn", "jlink"} else f"/usr/bin/{tool}")
    monkeypatch.setattr("toolchain.debian.install", installed.append)
    maven.ensure()
    assert installed == ["maven", "default-jdk-headless"]
