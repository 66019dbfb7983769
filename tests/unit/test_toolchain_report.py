"""What a failure looks like: one readable message, the end of the output, and exit code 1."""

from pathlib import Path

import pytest

from toolchain import debian, golang, paths, report
from toolchain.report import CommandError, ToolchainError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_command_that_fails_shows_its_last_lines_and_its_log() -> None:
    script = "seq 1 100; echo broken >&2; exit 3"
    with pytest.raises(CommandError) as caught:
        report.run(["sh", "-c", script], log="step", fix="fix it")
    message = str(caught.value)
    assert "exit code 3 from: sh -c" in message
    assert "broken" in message
    assert "\n    50\n" not in message
    assert str(paths.log_file("step")) in message
    assert paths.log_file("step").read_text().startswith("1\n2\n")
    assert caught.value.fix == "fix it"


def test_a_program_that_is_missing() -> None:
    with pytest.raises(ToolchainError, match="not found: no-such-program"):
        report.run(["no-such-program"], log="step")


def test_a_foreseen_failure_ends_with_code_1_and_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, report.readable_errors():
        raise ToolchainError("it [did] not work", fix="do this")
    assert caught.value.code == 1
    printed = capsys.readouterr().out
    assert "✗ it [did] not work" in printed
    assert "What to do: do this" in printed
    assert "Traceback" not in printed


def test_a_step_tells_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    with report.Step("thing") as step:
        step.result = "done"
    assert "✓ thing: done" in capsys.readouterr().out


def test_state_is_for_the_owner_only() -> None:
    assert paths.state_dir().stat().st_mode & 0o777 == 0o700


def test_relative_xdg_folders_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.cache_dir() == tmp_path / ".cache" / "nervous-system"


def test_root_by_sudo_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert debian.as_root("apt-get", "update") == ["sudo", "apt-get", "update"]
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ToolchainError, match="root is needed"):
        debian.as_root("apt-get", "update")


def test_no_apt_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ToolchainError, match=r"missing on this machine: docker\.io"):
        debian.install("docker.io")


@pytest.mark.parametrize(
    ("version", "enough"),
    [("go1.26.6", True), ("go1.27rc1", True), ("go1.26.5", False), ("go1.26", False), ("?", False)],
)
def test_which_go_is_new_enough(version: str, *, enough: bool) -> None:
    assert (golang._numbers(version) >= golang.OLDEST) is enough
