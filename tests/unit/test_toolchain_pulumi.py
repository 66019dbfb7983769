"""Which Pulumi is used, and that a wrong build is detected."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pulumi_docker
import pytest
import yaml

from toolchain import paths, provider_schema, pulumi_cli, reach
from toolchain.pulumi_cli import Pulumi
from toolchain.report import ToolchainError

OFFICIAL = Pulumi(Path("/official"), official=True)
BUILT = Pulumi(Path("/built/bin"), official=False, home=Path("/built/home"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pulumi]:
    """What `ensure` decides on a machine that has, or can reach, this and that."""

    def ensure(*, has: bool = False, plugins: bool = False, internet: bool = False) -> Pulumi:
        monkeypatch.setattr(pulumi_cli, "_on_path", lambda: OFFICIAL if has else None)
        monkeypatch.setattr(pulumi_cli, "_downloaded", lambda: None)
        monkeypatch.setattr(pulumi_cli, "_missing_plugins", lambda: [] if plugins else ["docker"])
        monkeypatch.setattr(pulumi_cli, "_complete", lambda official: official or OFFICIAL)
        monkeypatch.setattr(pulumi_cli, "_built", lambda: BUILT)
        monkeypatch.setattr(reach, "silent", lambda probes: set() if internet else set(probes))
        return pulumi_cli.ensure.__wrapped__()

    return ensure


def test_an_official_set_needs_no_network(machine: Callable[..., Pulumi]) -> None:
    assert machine(has=True, plugins=True) is OFFICIAL


def test_the_official_set_is_completed_where_it_can_be(machine: Callable[..., Pulumi]) -> None:
    assert machine(has=True, internet=True) is OFFICIAL
    assert machine(internet=True) is OFFICIAL


def test_without_downloads_all_of_it_is_built(
    machine: Callable[..., Pulumi], capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine() is BUILT
    assert machine(has=True) is BUILT  # never half official, half built
    assert "not the official ones" in capsys.readouterr().out


class Server(ThreadingHTTPServer):
    """Downloads as GitHub serves them: the address is signed for GET, and HEAD is refused."""

    status = 200

    class Handler(BaseHTTPRequestHandler):
        server: "Server"

        def do_GET(self) -> None:
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(1 << 40))  # a client that reads all of it reads for ever
            self.end_headers()

        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Server(("127.0.0.1", 0), Server.Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def _asked(server: Server) -> list[str]:
    return [f"http://127.0.0.1:{server.server_port}/{name}" for name in ("checksums", "archive")]


def test_what_can_be_fetched_is_reached_though_it_refuses_head(server: Server) -> None:
    assert pulumi_cli._unreachable(_asked(server)) == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_place_that_cannot_serve_now_is_no_reason_to_build_for_minutes(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(ToolchainError, match=f"answers with {status}") as caught:
        pulumi_cli._unreachable(_asked(server))
    assert "run again" in caught.value.fix


@pytest.mark.parametrize("status", [403, 404, 407])
def test_a_place_that_refuses_for_good_is_named_before_the_build(server: Server, status: int) -> None:
    server.status = status
    assert f"answers with {status}" in pulumi_cli._unreachable(_asked(server))


def test_a_place_that_nobody_serves_is_named_before_the_build(server: Server) -> None:
    closed = "http://127.0.0.1:1/archive"
    assert pulumi_cli._unreachable([*_asked(server), closed]) == f"{closed} cannot be reached"


def test_all_that_would_be_fetched_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setattr(pulumi_cli, "platform", SimpleNamespace(machine=lambda: "aarch64", system=lambda: "Darwin"))
    downloads = pulumi_cli._downloads(None)
    cli, *plugins = downloads.values()
    assert cli == f"{pulumi_cli.RELEASES}/pulumi-v{pulumi_cli.VERSION}-darwin-arm64.tar.gz"
    assert plugins[0].endswith("/releases/plugins/pulumi-resource-docker-v5.2.0-darwin-arm64.tar.gz")
    assert list(pulumi_cli._downloads(OFFICIAL).values()) == plugins


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "Python 3.11.2"])
def test_the_archive_is_unpacked_by_every_python(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    filters: bool,  # noqa: FBT001
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        cli = tarfile.TarInfo("pulumi/pulumi")
        cli.mode, cli.size = 0o755, 3
        tar.addfile(cli, io.BytesIO(b"cli"))
    knows(monkeypatch, {pulumi_cli._archive(): content.getvalue()})
    monkeypatch.setattr(pulumi_cli, "_get", lambda _: content.getvalue())
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)

        def extractall(self: tarfile.TarFile, path: Path) -> None:  # as it is there: without the keyword
            for member in self.getmembers():
                self.extract(member, path)

        monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    pulumi_cli._download(tmp_path)
    assert (tmp_path / "pulumi" / "pulumi").read_bytes() == b"cli"
    assert os.access(tmp_path / "pulumi" / "pulumi", os.X_OK)
    assert [path.name for path in tmp_path.iterdir()] == ["pulumi"]


def test_builds_are_kept_away_from_the_users_own_pulumi() -> None:
    environment = BUILT.environment({"PATH": "/bin"})
    assert environment["PATH"] == "/built/bin:/bin"
    assert environment["PULUMI_HOME"] == "/built/home"
    assert environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert "PULUMI_HOME" not in OFFICIAL.environment({"PATH": "/bin"})


def knows(monkeypatch: pytest.MonkeyPatch, archives: Mapping[str, bytes]) -> None:
    """This repository has the hashes of these archives, and of no other."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in archives.items()}
    monkeypatch.setattr(pulumi_cli, "pinned", lambda: hashes)


PLATFORMS = [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")]
"""Which docs/toolchain.md says are meant."""


@pytest.mark.parametrize(("system", "processor"), PLATFORMS)
def test_every_archive_has_a_hash_in_this_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, processor: str
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setattr(pulumi_cli, "platform", SimpleNamespace(machine=lambda: processor, system=lambda: system))
    archives = pulumi_cli._downloads(None)
    assert len(archives) == 1 + len(pulumi_cli.PROVIDERS)
    assert pulumi_cli._unpinned(archives) == ""
    assert all(re.fullmatch("[0-9a-f]{64}", pulumi_cli.pinned()[archive]) for archive in archives)


def test_what_has_no_hash_is_built_and_never_downloaded(
    machine: Callable[..., Pulumi], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    knows(monkeypatch, {})
    assert machine(internet=True) is BUILT
    assert "pulumi.txt has no hash of pulumi-" in capsys.readouterr().out
    with pytest.raises(ToolchainError, match=r"pulumi\.txt has no hash of x"):
        pulumi_cli._fetched("x", "http://127.0.0.1:1", Path())


@pytest.mark.parametrize("part", ["cli", "plugin"])
def test_a_changed_download_is_refused_before_any_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    knows(monkeypatch, {pulumi_cli._archive(): b"right", pulumi_cli._plugin_archive("docker"): b"right"})
    monkeypatch.setattr(pulumi_cli, "_get", lambda _: b"wrong")
    monkeypatch.setattr(pulumi_cli, "_missing_plugins", lambda: ["docker"])
    monkeypatch.setattr(pulumi_cli, "run", pytest.fail)
    with pytest.raises(ToolchainError, match=r"is not the one that pulumi\.txt knows"):
        pulumi_cli._download(tmp_path) if part == "cli" else pulumi_cli._complete(OFFICIAL)
    assert not list(tmp_path.iterdir())


def test_a_plugin_is_installed_from_the_file_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, {pulumi_cli._plugin_archive("docker"): b"right"})
    monkeypatch.setattr(pulumi_cli, "_get", lambda _: b"right")
    monkeypatch.setattr(pulumi_cli, "_missing_plugins", lambda: ["docker"])
    contents: list[bytes] = []
    monkeypatch.setattr(pulumi_cli, "run", lambda words, **_: contents.append(Path(words[-1]).read_bytes()))
    assert pulumi_cli._complete(OFFICIAL) is OFFICIAL
    assert contents == [b"right"]


@pytest.mark.parametrize("pulumi", [OFFICIAL, BUILT], ids=["official", "built"])
def test_the_cli_fetches_nothing_by_itself(pulumi: Pulumi) -> None:
    assert pulumi.environment({"PATH": "/bin"})["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_versions_are_those_of_the_python_packages() -> None:
    requirements = (Path(__file__).parents[2] / "requirements.txt").read_text()
    for package, version in {"pulumi": pulumi_cli.VERSION, **_provider_packages()}.items():
        assert f"\n{package}=={version} " in requirements


def _provider_packages() -> dict[str, str]:
    return {f"pulumi-{name}": version for name, version in pulumi_cli.PROVIDERS.items()}


@pytest.fixture
def volume_only() -> ModuleType:
    """The docker package, cut down to one resource, so that a schema for it fits here."""
    package = ModuleType("pulumi_docker")
    package.Volume, package.VolumeArgs = pulumi_docker.Volume, pulumi_docker.VolumeArgs  # type: ignore[attr-defined]
    return package


def _volume_schema(**changes: Any) -> dict[str, Any]:
    label = {"properties": {"label": {"type": "string"}, "value": {"type": "string"}}}
    inputs = {
        "driver": {"type": "string"},
        "driverOpts": {"type": "object", "additionalProperties": {"type": "string"}},
        "labels": {"type": "array", "items": {"$ref": "#/types/label"}},
        "name": {"type": "string"},
        **changes,
    }
    volume = {"inputProperties": inputs, "properties": {**inputs, "mountpoint": {"type": "string"}}}
    return {"resources": {"docker:index/volume:Volume": volume}, "types": {"label": label}, "provider": {}}


def test_a_provider_that_agrees_with_the_package(volume_only: ModuleType) -> None:
    assert provider_schema.differences(_volume_schema(), volume_only, {"cluster"}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"driver": {"type": "integer"}}, "inputs.driver: integer, in the package string"),
        ({"drivers": {"type": "string"}}, "inputs: drivers is not in the package"),
        ({"labels": {"$ref": "#/types/label"}}, "inputs.labels"),
    ],
)
def test_a_provider_that_differs_from_its_package_is_found(
    volume_only: ModuleType, changes: dict[str, Any], expected: str
) -> None:
    differences = provider_schema.differences(_volume_schema(**changes), volume_only, set())
    assert any(expected in line for line in differences)


def test_a_missing_resource_is_told(volume_only: ModuleType) -> None:
    schema = {**_volume_schema(), "resources": {}}
    assert provider_schema.differences(schema, volume_only, set()) == ["docker:index/volume:Volume: missing"]
    assert provider_schema.differences(schema, volume_only, {"docker:index/volume:Volume"}) == []


def test_every_program_says_that_its_packages_are_of_pip() -> None:
    """The official language host takes uv or poetry where their lock file lies in any folder above a checkout."""
    files = subprocess.run(
        ["git", "ls-files", "*Pulumi.yaml", "*PulumiPolicy.yaml"],
        cwd=paths.REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {"Pulumi.yaml", "policies/PulumiPolicy.yaml"} <= set(files)
    for file in files:
        document = yaml.safe_load((paths.REPOSITORY / file).read_text())
        assert document["runtime"]["options"]["toolchain"] == "pip", file


def test_the_environment_has_the_pip_that_the_language_host_asks() -> None:
    """`uv venv` puts none there: it is one of the pinned packages."""
    command = [sys.executable, "-m", "pip", "list", "--format", "json"]
    names = {package["name"] for package in json.loads(subprocess.check_output(command))}
    assert {"pip", "pulumi-docker", "pulumi-command"} <= {name.replace("_", "-") for name in names}
