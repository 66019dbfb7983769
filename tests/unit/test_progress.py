"""What is shown of an update, from events that the real CLI (3.256.0) has written.

`engine_events/` holds them: of a stack with all services, by `pulumi … --event-log`, without what nothing here reads
(inputs, outputs, messages for debugging, most services).
"""

import json
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from operate import program as programs
from operate.engine_events import Event, changes, followed
from operate.program import Program
from operate.progress import Progress, counts
from toolchain import paths, pulumi_cli, report
from toolchain.report import Step

EVENTS = Path(__file__).with_name("engine_events")


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file(name).read_text().splitlines()]


def file(name: str) -> Path:
    return EVENTS / f"{name}.jsonl"


class Screen:
    """What a recording looks like."""

    def __init__(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.step = Step("update")
        self.progress = Progress(self.step, set())
        self.titles: list[str] = []
        for event in recorded(name):
            self.progress.take(event)
            self.titles.append(self.step.title)
        self.lines = capsys.readouterr().out.splitlines()


def test_a_plan_of_a_first_update_names_the_new_services(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen("plan-of-a-first-one", capsys)
    assert screen.lines == []
    assert screen.progress.plan() == [
        "new: prometheus, loki, grafana",
        "also create Network edge, Network network, Network apps, Command annotation",
    ]
    assert counts(changes(file("plan-of-a-first-one")), past=False) == "102 to create"


def test_a_plan_of_a_change_says_how_each_service_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert Screen("plan-of-a-change", capsys).progress.plan() == [
        "replaced: loki (envs)",
        "changed as they run: prometheus (memory, memorySwap)",
        "new files: grafana",
        "also update Command annotation",
    ]
    assert counts(changes(file("plan-of-a-change")), past=False) == "5 to replace, 8 to update"


def test_what_is_only_read_back_from_the_engine_is_in_no_plan(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen("plan-of-what-is-gone", capsys)
    assert screen.progress.plan() == ["new: alertmanager", "also update Command annotation"]
    assert any("prometheus" in title for title in screen.titles)  # it takes a while, so it is said


def test_a_plan_of_nothing_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen("plan-of-nothing", capsys)
    assert (screen.lines, screen.progress.plan(), changes(file("plan-of-nothing"))) == ([], [], {})


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a-first-one", ["prometheus is well, 39 s", "loki is well, 41 s", "grafana is well, 44 s"]),
        (
            "a-change",
            [
                "prometheus is changed as it runs",
                "grafana is well, 33 s",
                "prometheus is well, 24 s",
                "loki is well, 119 s",
            ],
        ),
        ("a-removal", ["loki is removed", "grafana is removed", "prometheus is removed"]),
    ],
)
def test_each_service_is_a_line_when_the_update_is_done_with_it(
    name: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert Screen(name, capsys).lines == [f"  ✓ {line}" for line in lines]


def test_a_wait_says_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    titles = Screen("a-change", capsys).titles
    assert list(dict.fromkeys(titles))[:4] == [
        "update, waiting for: the policies",
        "update, waiting for: the program",
        "update, waiting for: loki",
        "update",
    ]
    assert "update, waiting for: grafana, prometheus, loki" in titles
    assert titles[-1] == "update"
    many = Screen("plan-of-what-is-gone", capsys).titles
    assert "update, waiting for: Network network, Network edge, Network apps, prometheus and 1 more" in many


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "refused-by-a-validator",
            [
                "  ✗ alertmanager: its validator refuses the new files; the running service keeps the old ones:",
                "      line 1: field globall not found in type config.plain",
                "    amtool: error: failed to validate 1 file(s)",
            ],
        ),
        (
            "refused-by-a-policy",
            [
                "  ✗ policy memory-limit (mandatory): Container prometheus: Every container that is started has a hard memory limit and no swap.",
                "    container prometheus: its limit of 288 MiB lets it use 1 MiB of swap on top: set memory_swap to 288 too",
                "  ✗ preview failed",
            ],
        ),
        ("refused-by-the-engine", ["  ✗ Container api_proxy: 1 error occurred:", "  ✗ update failed"]),
    ],
)
def test_every_word_of_an_error_is_shown(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(name, capsys)
    assert screen.progress.has_complained
    assert set(words) <= set(screen.lines)
    everything = " ".join(" ".join(screen.lines).split())
    for event in recorded(name):
        for kind in ("diagnosticEvent", "policyEvent"):
            if event.get(kind, {}).get("severity") not in {None, "debug"}:
                assert " ".join(event[kind]["message"].split()) in everything


def test_a_warning_of_the_plan_is_not_repeated_by_its_update_but_an_error_always_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    violations = [event for event in recorded("refused-by-a-policy") if "policyEvent" in event]
    advice = [{"policyEvent": {**event["policyEvent"], "enforcementLevel": "advisory"}} for event in violations]
    warnings: set[str] = set()
    for events, lines in ((advice, 6), (advice, 0), (violations, 6), (violations, 6)):
        progress = Progress(Step("update"), warnings)
        for event in events:
            progress.take(event)
        assert len(capsys.readouterr().out.splitlines()) == lines
        assert progress.has_complained == (events is violations)


def test_what_services_write_into_an_error_is_text_for_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Step("update"), set())
    progress.take({"diagnosticEvent": {"severity": "error", "message": "\x1b[2J[bold]gone[/bold]"}})
    assert capsys.readouterr().out == "  ✗  [2J[bold]gone[/bold]\n"


def test_events_are_given_while_they_are_written_and_all_of_them(tmp_path: Path) -> None:
    lines, events = file("a-change").read_bytes().splitlines(keepends=True), tmp_path / "events"
    copies: list[Event] = []
    with followed(events, copies.append):
        assert not events.exists()
        with events.open("wb", buffering=0) as log:
            log.write(b"".join(lines[:10]) + lines[10][:30])  # in the middle of a line
            deadline = time.monotonic() + 10
            while len(copies) < 10 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert copies == recorded("a-change")[:10]
            log.write(lines[10][30:] + b"".join(lines[11:]))
    assert copies == recorded("a-change")


# The whole way, by a process that writes what the CLI has written.

CLI = """#!{python}
import os, shutil, sys, time
shutil.copy({events!r}, sys.argv[sys.argv.index("--event-log") + 1])
print("all the words of the CLI: " + " ".join(sys.argv[1:]))
print({errors!r}, end="", file=sys.stderr, flush=True)
sys.stdout.flush()
{then}
sys.exit({code})
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("VERBOSE", raising=False)
    monkeypatch.delenv("CI", raising=False)


Cli = Callable[..., Program]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Makes a program whose CLI writes the events of a recording, and does as told besides."""

    def make(events: str, *, code: int = 0, errors: str = "", then: str = "") -> Program:
        script = tmp_path / "pulumi"
        script.write_text(
            CLI.format(python=sys.executable, events=str(file(events)), code=code, errors=errors, then=then)
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(pulumi_cli, "ensure", lambda: SimpleNamespace(cli=script))
        monkeypatch.setattr(programs, "environment", lambda _: {})
        return Program("dev", tmp_path)

    return make


def log(folder: Path, command: str) -> str:
    return paths.log_file(f"{folder.name}-dev-{command}").read_text()


def test_an_update_is_its_services_and_its_sum(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("a-change").update("up", "--refresh")
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert last.startswith("✓ update: 5 replaced, 8 updated ")
    output = log(tmp_path, "up")
    assert output.startswith("all the words of the CLI: up --yes --skip-preview --refresh --event-log ")
    assert output.endswith("--non-interactive --color=never --stack dev\n")


def test_a_plan_without_changes_is_one_line(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert not cli("plan-of-nothing").plan()
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("✓ plan: nothing to change ")


@pytest.mark.parametrize(
    ("events", "errors", "reason"),
    [
        ("refused-by-a-policy", "", "policy memory-limit (mandatory)"),
        ("plan-of-nothing", "error: the stack is currently locked\n", "error: the stack is currently locked"),
        ("plan-of-nothing", "", "all the words of the CLI"),
    ],
    ids=["by the engine", "before the engine starts", "without a word of why"],
)
def test_a_failure_shows_why_and_names_the_file_with_everything(
    events: str, errors: str, reason: str, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = cli(events, code=7, errors=errors)
    with pytest.raises(typer.Exit) as ended:
        failing.plan()
    assert ended.value.exit_code == 7
    printed = capsys.readouterr().out
    assert reason in printed
    assert f"Pulumi's full output: {paths.log_file(f'{failing.folder.name}-dev-preview')}\n" in printed
    assert log(failing.folder, "preview").endswith(errors)
    assert "all the words of the CLI" in log(failing.folder, "preview")


@pytest.mark.parametrize(("variable", "value"), [("VERBOSE", "1"), ("CI", "true")])
def test_everything_is_shown_if_you_ask_for_it_and_in_ci(
    variable: str, value: str, cli: Cli, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert cli("a-change", errors="and its errors").update("up")
    printed = capfd.readouterr()
    assert printed.out.startswith("all the words of the CLI: up --yes --skip-preview --event-log ")
    assert "is well" not in printed.out
    assert printed.err == "and its errors"


def test_few_lines_can_be_had_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("VERBOSE", "0")
    assert not report.verbose()


def test_ctrl_c_ends_the_update_and_keeps_what_was_said(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal tells the CLI too, so it is not this program that has to."""
    interrupted = cli("a-change", errors="^C received", then="os.kill(os.getppid(), 2); time.sleep(60)")
    before, begun = signal.signal(signal.SIGINT, signal.default_int_handler), time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted.update("up")
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begun < 10
    printed = capsys.readouterr().out
    assert "^C received" in printed
    assert "✗ update" in printed
    assert "all the words of the CLI" in log(tmp_path, "up")
