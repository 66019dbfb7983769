"""Which Pulumi is used, and whether what is built here would be noticed to be wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
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


def test_builds_are_kept_away_from_the_users_own_pulumi() -> None:
    environment = BUILT.environment({"PATH": "/bin"})
    assert environment["PATH"] == "/built/bin:/bin"
    assert environment["PULUMI_HOME"] == "/built/home"
    assert environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert "PULUMI_HOME" not in OFFICIAL.environment({"PATH": "/bin"})


def test_checksum_of_the_wanted_file() -> None:
    published = "aaaa  pulumi-v1-linux-arm64.tar.gz\nbbbb  pulumi-v1-linux-x64.tar.gz\n"
    assert pulumi_cli.checksum_of("pulumi-v1-linux-x64.tar.gz", published) == "bbbb"
    with pytest.raises(ToolchainError, match="do not name"):
        pulumi_cli.checksum_of("pulumi-v2-linux-x64.tar.gz", published)


def test_a_changed_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = f"pulumi-v{pulumi_cli.VERSION}-linux-x64.tar.gz"
    monkeypatch.setattr(pulumi_cli, "platform", SimpleNamespace(machine=lambda: "x86_64", system=lambda: "Linux"))
    monkeypatch.setattr(pulumi_cli, "_get", lambda url: f"{'0' * 64}  {archive}".encode())
    with pytest.raises(ToolchainError, match="is not what the release says"):
        pulumi_cli._download(tmp_path)
    assert not list(tmp_path.iterdir())


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
def test_a_provider_that_does_not(volume_only: ModuleType, changes: dict[str, Any], expected: str) -> None:
    found = provider_schema.differences(_volume_schema(**changes), volume_only, set())
    assert any(expected in line for line in found)


def test_a_missing_resource_is_told(volume_only: ModuleType) -> None:
    schema = {**_volume_schema(), "resources": {}}
    assert provider_schema.differences(schema, volume_only, set()) == ["docker:index/volume:Volume: missing"]
    assert provider_schema.differences(schema, volume_only, {"docker:index/volume:Volume"}) == []


def test_every_program_says_that_its_packages_are_of_pip() -> None:
    """The official language host takes uv or poetry where their lock file lies in any folder above a checkout."""
    found = subprocess.run(
        ["git", "ls-files", "*Pulumi.yaml", "*PulumiPolicy.yaml"],
        cwd=paths.REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {"Pulumi.yaml", "policies/PulumiPolicy.yaml"} <= set(found)
    for file in found:
        document = yaml.safe_load((paths.REPOSITORY / file).read_text())
        assert document["runtime"]["options"]["toolchain"] == "pip", file


def test_the_environment_has_the_pip_that_the_language_host_asks() -> None:
    """`uv venv` puts none there: it is one of the pinned packages."""
    asked = [sys.executable, "-m", "pip", "list", "--format", "json"]
    names = {package["name"] for package in json.loads(subprocess.check_output(asked))}
    assert {"pip", "pulumi-docker", "pulumi-command"} <= {name.replace("_", "-") for name in names}
