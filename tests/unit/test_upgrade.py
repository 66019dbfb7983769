"""Decisions of an upgrade: which images change, which steps are refused, and what a rollback restores."""

import io
import tarfile
import time
from collections.abc import Collection, Mapping
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from docker.errors import NotFound

from config.container import DIRECTORY
from config.services.logs import loki
from engine import docker_api
from operate import backup, commands, recovery, upgrade
from operate.backup.manifest import log_schema
from tests.support.program import EVERYTHING, settings_of
from toolchain import engine_setup as engines
from toolchain.report import ToolchainError

TODAY = date(2026, 6, 15)


class Container:
    """One on an engine, as far as it is looked at."""

    def __init__(
        self, image: str, status: str = "running", restarts: int = 0, health: str = "healthy", *, answers: bool = False
    ) -> None:
        self.answers = answers
        state = {
            "Status": status,
            "Restarting": status == "restarting",
            **({"Health": {"Status": health, "FailingStreak": 2}} if health else {}),
        }
        config = {"Image": image, "Healthcheck": {"Test": ["CMD", "answers"]}}
        self.attrs = {"Config": config, "State": state, "RestartCount": restarts}
        self.files: dict[str, str] = {}

    def get_archive(self, path: str) -> tuple[list[bytes], None]:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in self.files.items():
                entry = tarfile.TarInfo(name.replace(path.removesuffix("."), "./"))
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        return [packed.getvalue()], None


def engine(**containers: Container) -> Any:
    """With these services of `nervous-test`."""

    def get(name: str) -> Container:
        try:
            return containers[name.removeprefix("nervous-test-")]
        except KeyError:
            raise NotFound(name) from None

    return SimpleNamespace(containers=SimpleNamespace(get=get))


def resource(kind: str, called: str, /, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "urn": f"urn:pulumi:test::nervous-system::x${kind}::{called}", "inputs": inputs}


STATE = {
    "resources": [
        {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:test::nervous-system::pulumi:pulumi:Stack::it"},
        resource(recovery.CONTAINER, "prometheus", name="nervous-test-prometheus", image="prometheus:v3.1.0"),
        resource(recovery.CONTAINER, "loki", name="nervous-test-loki", image="loki:3.7.0"),
        resource(recovery.CONTAINER, "loki-loader", name="nervous-test-loki-loader", image="busybox:1.36"),
        resource(upgrade.IMAGE, "loki-busybox", name="busybox:1.36"),
        resource(upgrade.FILES, "loki", files={loki.MAIN: "schema_config: {configs: [{from: '2024-01-01'}]}"}),
    ]
}


def test_what_runs_is_told_by_the_engine_and_by_the_state_where_a_container_is_gone() -> None:
    images = upgrade.running(engine(prometheus=Container("prometheus:v3.2.0")), settings_of(), STATE)
    assert images == {"prometheus": "prometheus:v3.2.0", "loki": "loki:3.7.0", "busybox": "busybox:1.36"}
    assert upgrade.running(engine(), settings_of(), {}) == {}


def test_only_what_runs_and_is_to_be_another_image_changes() -> None:
    settings = settings_of({"images": {"prometheus": "prometheus:v3.2.0", "loki": "loki:3.8.0"}})
    before = {"prometheus": "prometheus:v3.2.0", "loki": "loki:3.7.0", "busybox": settings.image("busybox")}
    assert upgrade.changed(settings, before) == {"loki": ("loki:3.7.0", "loki:3.8.0")}


def test_the_periods_are_those_of_the_running_loki_and_of_the_state_where_it_is_gone() -> None:
    running = Container("loki:3.7.0")
    running.files[f"{DIRECTORY}/{loki.MAIN}"] = "schema_config: {configs: [{from: '2025-01-01'}]}"
    assert upgrade.periods(engine(loki=running), settings_of(), STATE) == [{"from": "2025-01-01"}]
    assert upgrade.periods(engine(), settings_of(), STATE) == [{"from": "2024-01-01"}]
    assert upgrade.periods(engine(), settings_of(), {}) == []


@pytest.mark.parametrize(
    ("config", "changes", "complaints"),
    [
        ({}, {}, []),
        ({}, {"prometheus": ("p:v3.1.0", "p:v3.2.0"), "node_exporter": ("n:v1.9.0", "n:v1.8.0")}, []),
        ({}, {"prometheus": ("p:v3.2.0", "p:v3.1.0"), "loki": ("l:3.7.8", "l:3.7.7")}, ["loki: ", "prometheus: "]),
        ({**EVERYTHING, "logs": {}}, {"elasticsearch": ("e:7.17.0", "e:9.0.0")}, ["elasticsearch: "]),
        ({"logs": {"s3": {"bucket": "logs", "since": "2026-06-15"}}}, {}, ["logs.s3: "]),
        ({"logs": {"s3": {"bucket": "logs", "since": "2026-06-16"}}}, {}, []),
    ],
    ids=[
        "nothing",
        "newer, and older without data",
        "two that are older",
        "two major versions",
        "a period that has begun",
        "a period to come",
    ],
)
def test_each_unsafe_change_is_told_in_one_line(
    config: Mapping[str, Any], changes: upgrade.Changes, complaints: list[str]
) -> None:
    problems = upgrade.problems(settings_of(config), changes, log_schema(settings_of()), TODAY)
    assert [text.startswith(start) for text, start in zip(problems, complaints, strict=True)] == [True] * len(problems)


def test_without_a_loki_before_no_period_has_begun() -> None:
    assert upgrade.problems(settings_of({"logs": {"s3": {"bucket": "logs"}}}), {}, [], TODAY) == []


@pytest.mark.parametrize(
    ("container", "ill"),
    [
        (Container("old"), False),
        (Container("old", restarts=2), False),  # it needed them
        (Container("old", health="starting"), True),
        (Container("old", health="starting", answers=True), False),
        (Container("old", health="unhealthy"), True),
        (Container("old", status="restarting"), True),
        (Container("old", status="exited"), True),
        (Container("old", health=""), False),  # nothing looks after it
        (Container("old", restarts=2, health=""), True),
        (Container("new", status="exited"), False),  # not its turn yet
    ],
)
def test_a_service_is_unwell_when_the_image_of_before_does_not_run_on(
    monkeypatch: pytest.MonkeyPatch, container: Container, *, ill: bool
) -> None:
    monkeypatch.setattr(docker_api, "run_inside", lambda one, _: (int(not one.answers), b""))
    services = upgrade.unwell(engine(loki=container), "nervous-test", {"loki": "old", "prometheus": "old"}, patience=0)
    assert services == ({"loki"} if ill else set())


def test_a_service_that_crashes_on_and_on_is_not_waited_for() -> None:
    """The fakes' time does not pass: with a wait, this test would not end."""
    looping = Container("old", status="restarting", restarts=3)
    assert upgrade.unwell(engine(loki=looping), "nervous-test", {"loki": "old"}, patience=10**9) == {"loki"}


def test_a_service_that_has_crashed_before_and_starts_now_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    recovering = Container("old", health="starting", restarts=3)
    monkeypatch.setattr(docker_api, "run_inside", lambda one, _: (int(not one.answers), b""))
    monkeypatch.setattr(time, "sleep", lambda _: setattr(recovering, "answers", True))
    assert upgrade.unwell(engine(loki=recovering), "nervous-test", {"loki": "old"}, patience=60) == set()


class Host:
    """The stack, which remembers what it was asked."""

    name = "test"
    command_lines: list[str]
    settings = settings_of()

    def __init__(self, name: str) -> None:
        assert name == self.name

    def ask(self, *words: str) -> str:
        self.command_lines.append(" ".join(words))
        return ""


NEW = {"prometheus": ("p:v3.1.0", "p:v3.2.0"), "node_exporter": ("n:v1.8.0", "n:v1.9.0")}
MAJOR = {"loki": ("l:3.7.8", "l:4.0.0"), "prometheus": ("p:v3.1.0", "p:v3.2.0")}


@pytest.mark.parametrize(
    ("changes", "rounds", "given_back", "words"),
    [
        (NEW, [set()], [], ["passes the check", "no data was given up"]),
        (NEW, [{"prometheus"}, set()], [{"prometheus"}], ["passes the check", "prometheus: its data is from the"]),
        (NEW, [{"prometheus"}, None], [{"prometheus"}], ["does not pass", "prometheus: its data is from the"]),
        (NEW, [None], [], ["does not pass", "no data was given up", "make restore"]),
        (MAJOR, [set()], [{"loki"}], ["passes the check", "loki: its data is from the backup"]),
    ],
    ids=["the images do", "one needs its data", "and still fails", "something else fails", "another major version"],
)
def test_data_comes_back_only_where_nothing_else_helps(
    changes: upgrade.Changes,
    rounds: list[set[str] | None],
    given_back: list[set[str]],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of `rounds` is an update: none is ill after one that goes well; None is for one that fails with all well."""
    Host.command_lines, restores, updates = [], [], list(rounds)
    round_: list[set[str] | None] = []

    def deployed(_: Any) -> bool:
        round_[:] = [updates.pop(0)]
        return round_[0] == set()

    def put_back(_: str, wanted: Collection[str], place: Any) -> None:
        assert place.address.endswith("/first")
        restores.append(set(wanted))

    monkeypatch.setattr(upgrade, "Stack", Host)
    monkeypatch.setattr(upgrade, "_deployed", deployed)
    monkeypatch.setattr(upgrade, "unwell", lambda _client, _prefix, images: (round_[0] or set()) & images.keys())
    monkeypatch.setattr(engines, "connect", lambda _: None)
    monkeypatch.setattr(backup, "take", lambda *_: "/backups/second")
    monkeypatch.setattr(backup, "put_back", put_back)
    monkeypatch.setattr(upgrade, "stack_file", lambda name: SimpleNamespace(name=f"Pulumi.{name}.yaml"))
    with pytest.raises(ToolchainError) as caught:
        upgrade.roll_back("test", changes, "/backups/first", "/backups")
    assert updates == []
    assert restores == given_back
    message = f"{caught.value} {caught.value.fix}"
    assert [word for word in [*words, "/backups/first"] if word not in message] == []
    assert ("/backups/second" in message) == bool(given_back)
    assert Host.command_lines == [
        f"config set --path images.{name} {old} --stack test" for name, (old, _) in changes.items()
    ]


@pytest.mark.parametrize(("broken", "where"), [("take", "still in the stack"), ("put_back", "in /backups/second")])
def test_when_data_cannot_come_back_the_message_says_where_both_are(
    broken: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> str:
        raise ToolchainError("/backups is full", fix="make room")

    Host.command_lines = []
    monkeypatch.setattr(upgrade, "Stack", Host)
    monkeypatch.setattr(backup, "take", lambda *_: "/backups/second")
    monkeypatch.setattr(backup, broken, fails)
    monkeypatch.setattr(upgrade, "_deployed", lambda _: pytest.fail("deployed on data of another format"))
    with pytest.raises(ToolchainError) as caught:
        upgrade.roll_back("test", MAJOR, "/backups/first", "/backups")
    message = f"{caught.value} {caught.value.fix}"
    words = [
        "loki cannot be restored: /backups is full",
        f"in /backups/first, the current data {where}",
        "make room; then make",
    ]
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("failure", [typer.Exit(1), ToolchainError("no")])
def test_a_failed_update_is_rolled_back_and_one_that_is_refused_leaves_the_stack_file(
    failure: Exception, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, steps = tmp_path / "Pulumi.test.yaml", []
    file.write_text("before")

    def up(_: str, *, planned: bool) -> None:
        assert planned  # the preview has run already
        steps.append("up")
        raise failure

    def judge(_: str) -> upgrade.Changes:
        file.write_text("with images that were built here")
        if "refused" in steps:
            raise ToolchainError("unsafe")
        return NEW

    monkeypatch.setattr(upgrade, "stack_file", lambda _: file)
    monkeypatch.setattr(upgrade, "judge", judge)
    monkeypatch.setattr(upgrade, "Stack", lambda _: SimpleNamespace(passes=lambda *_: steps.append("preview")))
    monkeypatch.setattr(backup, "take", lambda *_: steps.append("backup"))
    monkeypatch.setattr(commands, "deploy", up)
    monkeypatch.setattr(upgrade, "roll_back", lambda *_: steps.append("rolled back"))
    monkeypatch.setattr(upgrade, "must_have_budget", lambda _: steps.append("budget"))
    upgrade.upgrade("test", str(tmp_path))
    assert steps == ["budget", "preview", "backup", "up", "rolled back"]
    steps.clear()
    upgrade.upgrade("test", str(tmp_path), despite_budget=True)
    assert steps == ["preview", "backup", "up", "rolled back"]

    steps[:] = ["refused"]
    file.write_text("before")
    with pytest.raises(ToolchainError, match="unsafe"):
        upgrade.upgrade("test", str(tmp_path))
    assert steps == ["refused"]
    assert file.read_text() == "before"
