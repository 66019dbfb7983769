"""The choice of the backend: never silently another one than the user's."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.docker_cli import VARIABLES
from operate import backend
from operate.managed_stack import Stack
from operate.program import Program
from toolchain import paths, pulumi_cli
from toolchain.pulumi_cli import Pulumi
from toolchain.report import ToolchainError

OFFICIAL = Pulumi(Path("/official"), official=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without Pulumi."""
    for name in ("PULUMI_HOME", "PULUMI_CREDENTIALS_PATH", "PULUMI_ACCESS_TOKEN", "PULUMI_API", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def url() -> str | None:
    return backend.environment(OFFICIAL).get("PULUMI_BACKEND_URL")


def write_login(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "credentials.json").write_text(text)


LOGIN = json.dumps({"current": "https://api.pulumi.com", "accessTokens": {"https://api.pulumi.com": "pul-x"}})


def test_without_any_it_is_a_folder_of_this_machine(home: Path) -> None:
    assert url() == (home / "state" / "nervous-system" / "backend").as_uri()


@pytest.mark.parametrize(
    "environment",
    [{"PULUMI_ACCESS_TOKEN": "pul-x"}, {"PULUMI_API": "https://pulumi.example"}, {"PULUMI_BACKEND_URL": "s3://b"}],
    ids=lambda environment: next(iter(environment)),
)
def test_what_the_environment_says_of_a_backend_is_left_to_the_cli(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert url() == environment.get("PULUMI_BACKEND_URL")


@pytest.mark.parametrize("name", ["PULUMI_ACCESS_TOKEN", "PULUMI_BACKEND_URL", "PULUMI_API"])
def test_an_empty_variable_says_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a workflow hands over a secret that is not set."""
    monkeypatch.setenv(name, "")
    assert str(url()).startswith("file://")


@pytest.mark.parametrize("where", [None, "PULUMI_HOME", "PULUMI_CREDENTIALS_PATH"])
def test_a_login_is_found_where_the_cli_keeps_it(
    where: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / (where or ".pulumi")
    if where:
        monkeypatch.setenv(where, str(folder))
    write_login(folder, LOGIN)
    assert url() is None


@pytest.mark.parametrize("text", ["", "{}", '{"accessTokens": {}}'])
def test_who_has_logged_out_is_not_logged_in(text: str, home: Path) -> None:
    write_login(home / ".pulumi", text)
    assert str(url()).startswith("file://")


@pytest.mark.parametrize("text", ["{half", "[]"])
def test_a_broken_login_is_for_the_cli_to_tell_and_no_reason_for_another_backend(text: str, home: Path) -> None:
    write_login(home / ".pulumi", text)
    assert url() is None


def test_a_backend_of_the_project_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: nervous-system\nbackend: {url: 's3://b'}\n")
    assert url() is None


def test_a_build_uses_the_login_of_the_users_own_pulumi(home: Path) -> None:
    built = Pulumi(Path("/built/bin"), official=False, home=Path("/built/home"))
    assert "PULUMI_CREDENTIALS_PATH" not in built.environment({"PATH": ""})
    write_login(home / ".pulumi", LOGIN)
    assert built.environment({"PATH": ""})["PULUMI_CREDENTIALS_PATH"] == str(home / ".pulumi")


def test_no_process_of_pulumi_gets_what_would_lead_its_provider_to_another_engine() -> None:
    base = {"PATH": "/bin", "DOCKER_CONFIG": "/logins", **dict.fromkeys(VARIABLES, "elsewhere")}
    environment = OFFICIAL.environment(base)
    assert {name for name in environment if name.startswith("DOCKER")} == {"DOCKER_CONFIG"}


@pytest.mark.parametrize(
    ("names", "there"),
    [
        ([], False),
        (["dev"], True),
        (["organization/nervous-system/dev"], True),
        (["staging", "organization/shop/dev-2"], False),
        (["dev", "acme/dev"], True),
    ],
)
def test_a_stack_is_known_by_its_whole_name(names: list[str], there: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    program = _program("dev", names, monkeypatch)
    assert program.exists() == there


def test_a_stack_of_another_organisation_is_not_taken_for_one_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program("dev", ["acme/dev"], monkeypatch)
    with pytest.raises(ToolchainError, match="belongs to acme") as caught:
        program.exists()
    assert "org set-default acme" in caught.value.fix


def _program(name: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr(pulumi_cli, "ensure", lambda: OFFICIAL)
    program = Program(name, Path())
    answer = json.dumps([{"name": listed} for listed in names])
    monkeypatch.setattr(program, "ask", lambda *_: answer)
    return program


@pytest.mark.parametrize(("ci", "refused"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_no_password_is_made_up_in_ci_where_nobody_could_read_it(
    ci: str,
    refused: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", ci)
    stack = _stack("", tmp_path, monkeypatch)
    if not refused:
        stack.must_keep_password()
        return
    with pytest.raises(ToolchainError, match="lost with its checkout") as caught:
        stack.must_keep_password()
    assert "config set --secret -s prod grafana_password" in caught.value.fix


@pytest.mark.parametrize(
    "config",
    ["nervous-system:grafana_password: {secure: 'v1:x'}", "nervous-system:grafana: {enabled: false}"],
)
def test_a_password_that_is_kept_or_not_needed_is_no_question(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    _stack(f"config:\n  {config}\n", tmp_path, monkeypatch).must_keep_password()


def _stack(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(paths, "REPOSITORY", folder)
    monkeypatch.setattr(pulumi_cli, "ensure", SimpleNamespace)
    (folder / "Pulumi.prod.yaml").write_text(text)
    return Stack("prod")


def test_the_passphrase_is_made_once_and_is_the_owners_alone() -> None:
    first, second = (backend.environment(OFFICIAL)["PULUMI_CONFIG_PASSPHRASE_FILE"] for _ in range(2))
    assert first == second
    assert Path(first).stat().st_mode & 0o777 == 0o600
    assert len(Path(first).read_text()) >= 32
    assert [path.name for path in Path(first).parent.glob("*passphrase*")] == ["passphrase"]


def test_a_full_disk_leaves_no_half_of_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ToolchainError, match=r"passphrase.*cannot be written.*No space left"):
        backend.environment(OFFICIAL)
    assert list(paths.state_dir().glob("*passphrase*")) == []


def test_an_empty_passphrase_is_refused() -> None:
    paths.passphrase_file().write_text("\n")
    with pytest.raises(ToolchainError, match="is empty"):
        backend.environment(OFFICIAL)
