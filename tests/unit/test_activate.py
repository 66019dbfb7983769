"""How a running service takes new files: the engine and its clock are faked, the volume and its scripts are real."""

import datetime
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, DockerException, NotFound
from requests import ReadTimeout

from engine import activate as module
from engine import docker_api
from engine.activate import Order, RefusedError, activate
from engine.docker_api import LIMITED

OLD, NEW = "a" * 12, "b" * 12
LOADER = NEW + "0" * 52
"""A revision is the loader's id, of which the volume shows the short form."""

VERSION_URL, METRICS_URL = "http://127.0.0.1/version", "http://127.0.0.1/metrics"
EXPECT = {VERSION_URL: f"version {NEW}", METRICS_URL: "reload_successful 1"}
HANG_UP = ["kill", "-s", "HUP", "1"]
TAKE = ["sh", "take"]
"""A service's own command for new files."""
HEALTH = ("wget", "-q", "-O", "/dev/null", "http://127.0.0.1/ready")


@pytest.fixture(autouse=True)
def _fakes_run_commands_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api, "run_inside", lambda service, command: service.exec_run(command))


class Clock:
    """Runs only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.strptime, self.strftime = time.strptime, time.strftime

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Service:
    """A container that serves what `current` points to, as of its last reload or start."""

    clock: Clock
    volume: Path
    refuses: frozenset[str] = frozenset()
    """Revisions with which it will not run."""
    tools: bool = True
    """Whether its image has any, such as `timeout`."""
    deaf: bool = False
    """Whether it overhears signals."""
    well_after: float = 0
    answers_after: float = 0
    """Seconds from its start; before that it has no page, and a signal ends it."""
    running: bool = True
    crashing: bool = False
    restart_count: int = 0
    next_start: float = 0
    """In a crash loop, the engine waits longer each time."""
    reload_successful: bool = True
    seconds_per_request: float = 0.0
    """Between what happens in the engine and its answer."""
    id: str = "f" * 64
    name: str = "nervous-test-example"
    actions: list[str] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.clock.now - 3600
        self.loaded = self.started_with = self._link()

    def _link(self) -> str | None:
        link = self.volume / "current"
        return str(link.readlink()) if link.is_symlink() else None

    @property
    def status(self) -> str:
        return "restarting" if self.crashing else "running" if self.running else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        started = datetime.datetime.fromtimestamp(self.started, datetime.UTC)
        state = {
            "Status": self.status,
            "Running": self.running or self.crashing,  # as the engine has it
            "Restarting": self.crashing,
            "StartedAt": f"{started:%Y-%m-%dT%H:%M:%S}.123456789Z",
        }
        return {"State": state, "RestartCount": self.restart_count, "Config": {"User": "10001:0"}}

    def reload(self) -> None:
        """The SDK's word for looking again."""
        if self.crashing and self.clock.now >= self.next_start:
            self.restart_count += 1
            self._read()
            self.crashing = not self.reload_successful
            self.running = not self.crashing
            if self.crashing:
                self.log.append((self.clock.now, f"cannot run with {self._link()}"))

    def _hang_up(self) -> tuple[int, bytes]:
        self.actions.append("SIGHUP")
        if self._starting():
            self.started, self.restart_count = self.clock.now, self.restart_count + 1
            self._read()
            self.started_with = self._link()
        elif not self.deaf and not self.crashing:
            self._read()
            if not self.reload_successful:
                self.log.append((self.clock.now, f"refusing {self._link()}"))
        self.clock.sleep(self.seconds_per_request)
        return 0, b""

    def _starting(self) -> bool:
        return self.clock.now - self.started < self.answers_after

    def restart(self, timeout: int) -> None:
        self.actions.append(f"restart within {timeout}")
        self.started, self.restart_count = self.clock.now, 0
        self._read()
        self.started_with = self._link()
        self.crashing = not self.reload_successful
        self.running = not self.crashing

    def _read(self) -> None:
        self.reload_successful = self._link() not in self.refuses
        if self.reload_successful:
            self.loaded = self._link()

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        if not self.running:
            raise APIError("Container is not running")
        if command == HANG_UP:
            return self._hang_up()
        if command == TAKE:
            return self._take()
        if command == [*(LIMITED if self.tools else ()), *HEALTH]:  # one that hangs would hold the deployment
            return (0 if self.clock.now - self.started >= self.well_after else 1), b""
        if self._starting():
            return 1, b""
        pages = {
            VERSION_URL: f"version {self.loaded}",
            METRICS_URL: f"reload_successful {int(self.reload_successful)}",
            STARTED_URL: f"started with {self.started_with}",
        }
        return 0, pages[command[-1]].encode()

    def _take(self) -> tuple[int, bytes]:
        self.actions.append("take")
        assert self.clock.now - self.started >= self.well_after, "asked before it is well"
        self._read()
        return (0, b"") if self.reload_successful else (1, f"will not take {self._link()}".encode())

    def logs(self, tail: int, since: float | None = None) -> bytes:
        return "\n".join(text for when, text in self.log if when >= (since or 0)).encode()


@dataclass
class Engine:
    """`docker.DockerClient`, as far as it is used."""

    service: Service
    volume: Path
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def containers(self) -> "Engine":
        return self

    def get(self, container: str) -> Any:
        if container == self.service.id:
            return self.service
        if container != LOADER:
            raise NotFound(container)
        return SimpleNamespace(
            id=LOADER,
            name="ns-prometheus-loader",
            get_archive=self._archive,
            attrs={
                "Image": "sha256:abc",
                "Config": {"User": "0:65534"},
                "Mounts": [{"Destination": str(self.volume), "Name": "ns-prometheus-config"}],
            },
        )

    def _archive(self, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        if not Path(path).is_symlink():
            raise NotFound(path)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(path, "current")
        return iter([packed.getvalue()]), {}

    def run(self, image: str, *, entrypoint: list[str], command: list[str], **options: Any) -> Any:
        run = {"image": image, **options}
        self.runs.append(run)
        if "pid_mode" in options:
            assert options["pid_mode"] == f"container:{self.service.id}"
            code, out = self.service.exec_run(command[0].split())
        elif options["network_mode"] == "none":
            result = subprocess.run([*entrypoint, *command], check=False, stdout=subprocess.PIPE)
            code, out = result.returncode, result.stdout
        else:
            assert options["network_mode"] == f"container:{self.service.id}"
            code, out = self._asked(*command), b""
        return SimpleNamespace(
            wait=lambda: {"StatusCode": code},
            logs=lambda tail: out,
            remove=lambda v, force: run.update(removed={"v": v, "force": force}),
        )

    def _asked(self, script: str, seconds: str, *questions: str) -> int:
        """The real script, whose wget shows the service's pages as they are in the end."""
        self.service.clock.sleep(int(seconds))
        urls = questions[::2]
        pages = "".join(f"'{url}') printf '%s' '{self.service.exec_run([url])[1].decode()}';; " for url in urls)
        wget = f'timeout() {{ shift 5; case "$1" in {pages} esac; }}\n'
        return subprocess.run(["/bin/sh", "-c", wget + script, "0", *questions], check=False).returncode


@dataclass
class Host:
    """One service, with a volume that holds an old and a new set of files, of which the old one is live."""

    service: Service
    engine: Engine
    clock: Clock
    volume: Path

    def order(self, **differences: Any) -> Order:
        usual: dict[str, Any] = {
            "docker": {"host": "unix:///var/run/docker.sock"},
            "container": self.service.id,
            "health": HEALTH,
            "revision": LOADER,
            "expect": EXPECT,
        }
        order = Order(**(usual | differences))
        self.service.tools = order.tools
        return order

    @property
    def current(self) -> str:
        return str((self.volume / "current").readlink())

    @property
    def link(self) -> str:
        return os.readlink(self.volume / "current")  # noqa: PTH115 - a path would lose its ./

    def entries(self) -> set[str]:
        return {entry.name for entry in self.volume.iterdir()}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    for revision in (OLD, NEW):
        (tmp_path / revision).mkdir()
        (tmp_path / revision / "main.yml").write_text(revision)
    (tmp_path / "current").symlink_to(OLD)
    clock = Clock()
    service = Service(clock, tmp_path)
    engine = Engine(service, tmp_path)
    monkeypatch.setattr(module, "MOUNT", str(tmp_path))
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "connect", lambda _: engine)
    return Host(service, engine, clock, tmp_path)


# New files.


def test_new_files_go_live_by_a_signal_and_without_a_restart(host: Host) -> None:
    assert activate(host.order()).startswith("live after")
    assert host.service.actions == ["SIGHUP"]
    assert host.current == NEW
    assert host.service.loaded == NEW


def test_what_the_service_must_be_restarted_for_restarts_it_with_its_time_to_stop(host: Host) -> None:
    activate(host.order(reload="restart", grace_seconds=20, expect={}))
    assert host.service.actions == ["restart within 20"]
    assert host.service.loaded == NEW


def test_files_that_are_live_already_cause_no_reload(host: Host) -> None:
    activate(host.order())
    host.service.actions.clear()
    activate(host.order())
    assert host.service.actions == []


def test_a_service_that_has_overheard_its_last_reload_is_told_again(host: Host) -> None:
    (host.volume / "current").unlink()
    (host.volume / "current").symlink_to(NEW)
    activate(host.order())
    assert host.service.actions == ["SIGHUP"]
    assert host.service.loaded == NEW


@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize(("link", "signals"), [(NEW, []), (OLD, ["SIGHUP"])])
def test_a_service_that_is_starting_is_not_ended_by_a_signal(
    host: Host, link: str, signals: list[str], *, tools: bool
) -> None:
    """It may have started with the files, or just before they came."""
    (host.volume / "current").unlink()
    (host.volume / "current").symlink_to(link)
    host.service.loaded = host.service.started_with = link
    host.service.started, host.service.answers_after = host.clock.now, 7
    activate(host.order(tools=tools, health=HEALTH if tools else ()))
    assert host.service.actions == signals
    assert (host.service.restart_count, host.service.loaded) == (0, NEW)


def test_a_service_that_stays_silent_is_told_after_a_while(host: Host) -> None:
    host.service.started, host.service.answers_after = host.clock.now, 40
    activate(host.order(health=(), expect={VERSION_URL: EXPECT[VERSION_URL]}))
    assert host.service.actions == ["SIGHUP"]
    assert host.service.loaded == NEW


def test_files_that_are_no_longer_live_are_removed_once_the_new_ones_are(host: Host) -> None:
    (host.volume / ("c" * 12)).mkdir()
    activate(host.order())
    assert host.entries() == {"current", NEW}


def test_the_first_files_of_a_volume_go_live(host: Host) -> None:
    (host.volume / "current").unlink()
    activate(host.order())
    assert host.current == NEW


@pytest.mark.parametrize(("tools", "asks"), [(True, 0), (False, 1)])
def test_the_only_files_that_there_ever_were_are_live_without_a_change_of_the_volume(
    host: Host, asks: int, *, tools: bool
) -> None:
    """The link is the loader's own."""
    (host.volume / OLD / "main.yml").unlink()
    (host.volume / OLD).rmdir()
    (host.volume / "current").unlink()
    (host.volume / "current").symlink_to(f"./{NEW}")
    host.service.loaded = host.service.started_with = NEW
    activate(host.order(tools=tools))
    assert host.service.actions == []
    assert [run["name"] for run in host.engine.runs] == ["ns-prometheus-loader-ask"] * asks
    assert host.link == f"./{NEW}"


def test_the_only_files_that_there_ever_were_are_no_older_ones_to_go_back_to(host: Host) -> None:
    (host.volume / "current").unlink()
    (host.volume / "current").symlink_to(f"./{NEW}")
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError, match=f"does not say .*version {NEW}"):
        activate(host.order(), patience=20)
    assert host.engine.runs == []


def test_the_first_files_are_those_to_go_back_to_from_the_second(host: Host) -> None:
    (host.volume / "current").unlink()
    (host.volume / "current").symlink_to(f"./{OLD}")
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError):
        activate(host.order())
    assert host.link == f"./{OLD}"
    assert (host.volume / "current" / "main.yml").read_text() == OLD


@pytest.mark.parametrize(("after", "code"), [(1, 0), (9, 1)])
def test_a_container_asks_a_silent_service_again_for_some_seconds(after: int, code: int, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    wget = f"timeout() {{ [ ! -e {answers} ] || echo up; }}\n(sleep {after}; touch {answers}) & "
    result = subprocess.run(
        ["/bin/sh", "-c", wget + module.ASK, str(module.ASKING_SECONDS), "http://page", "up"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    assert result.returncode == code


def test_the_volume_is_changed_by_a_container_that_can_do_nothing_else(host: Host) -> None:
    activate(host.order())
    assert host.engine.runs
    for run in host.engine.runs:
        assert run["image"] == "sha256:abc"
        assert run["user"] == "0:65534"
        assert list(run["volumes"]) == ["ns-prometheus-config"]
        assert run["network_mode"] == "none"
        assert run["cap_drop"] == ["ALL"]
        assert run["security_opt"] == ["no-new-privileges:true"]
        assert run["mem_limit"] == run["memswap_limit"]
        assert run["removed"] == {"v": True, "force": True}


# Refused files.


def test_refused_files_leave_the_old_ones_live_and_the_service_untouched(host: Host) -> None:
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError):
        activate(host.order())
    assert host.service.actions == ["SIGHUP", "SIGHUP"]
    assert host.current == OLD
    assert (host.service.loaded, host.service.reload_successful) == (OLD, True)
    assert OLD in host.entries()


def test_a_refusal_is_told_within_seconds_and_says_what_is_missing(host: Host) -> None:
    host.service.refuses = frozenset({NEW})
    before = host.clock.now
    with pytest.raises(RefusedError, match="reload_successful 1"):
        activate(host.order())
    assert host.clock.now - before < 15


@pytest.mark.parametrize("seconds_per_request", [0.0, 0.2], ids=["on a local engine", "on a distant engine"])
def test_a_refusal_is_told_in_the_words_of_the_service(host: Host, seconds_per_request: float) -> None:
    host.service.refuses = frozenset({NEW})
    host.service.seconds_per_request = seconds_per_request
    with pytest.raises(RefusedError, match=f"refusing {NEW}"):
        activate(host.order())


def test_a_service_that_never_shows_the_new_files_is_given_up_after_a_while(host: Host) -> None:
    host.service.deaf = True
    before = host.clock.now
    with pytest.raises(RefusedError, match=f"does not say .*version {NEW}"):
        activate(host.order(), patience=60)
    assert 60 <= host.clock.now - before < 70
    assert host.current == OLD


def test_the_first_files_of_a_service_have_none_to_go_back_to(host: Host) -> None:
    (host.volume / "current").unlink()
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError):
        activate(host.order())
    assert host.current == NEW


def test_nothing_is_removed_while_the_new_files_are_not_live(host: Host) -> None:
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError):
        activate(host.order())
    assert {OLD, NEW} <= host.entries()


def test_a_service_that_cannot_start_with_its_new_files_gets_the_old_ones_back(host: Host) -> None:
    host.service.refuses = frozenset({NEW})
    before = host.clock.now
    with pytest.raises(RefusedError, match=rf"keeps restarting; its log:\n.*cannot run with {NEW}"):
        activate(host.order(reload="restart", expect={}))
    assert host.clock.now - before < 30
    assert host.service.actions == ["restart within 10"] * 2
    assert host.current == OLD
    assert (host.service.loaded, host.service.running) == (OLD, True)


def test_a_service_that_crashes_with_its_files_is_healed_by_new_ones(host: Host) -> None:
    service = host.service
    service.refuses = frozenset({OLD})
    service.running, service.crashing, service.restart_count = False, True, 8
    service.next_start = host.clock.now + 50
    activate(host.order())
    assert (service.loaded, service.running) == (NEW, True)


def test_a_service_that_was_stopped_starts_with_its_new_files(host: Host) -> None:
    host.service.running = False
    activate(host.order())
    assert (host.service.loaded, host.service.running) == (NEW, True)


# Files that a command in the container makes it take.


def test_a_command_takes_new_files_and_the_first_ones_too(host: Host) -> None:
    activate(host.order(reload=TAKE))
    assert (host.service.actions, host.service.loaded) == (["take"], NEW)
    host.service.loaded = NEW
    activate(host.order(reload=TAKE))  # live already: as after a first start
    assert host.service.actions == ["take", "take"]


def test_a_command_waits_until_the_service_is_well(host: Host) -> None:
    host.service.started, host.service.well_after = host.clock.now, 5
    activate(host.order(reload=TAKE))
    assert host.service.loaded == NEW


def test_files_that_a_command_refuses_are_told_in_its_words_and_the_old_ones_taken_again(host: Host) -> None:
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError, match=f"does not take its new files:\nwill not take {NEW}"):
        activate(host.order(reload=TAKE))
    assert (host.current, host.service.loaded) == (OLD, OLD)
    assert host.service.actions == ["take", "take"]


# Files that a service looks after by itself, but for what only its start reads.


@pytest.fixture
def polling(host: Host) -> dict[str, Any]:
    """An order for a service that needs no signal."""

    def looks_after_its_files(seconds: float) -> None:
        host.clock.now += seconds
        host.service._read()

    host.clock.sleep = looks_after_its_files  # type: ignore[method-assign]
    return {"reload": "poll", "expect": {VERSION_URL: f"version {NEW}"}}


STARTED_URL = "http://127.0.0.1/started"


def test_files_that_the_service_polls_go_live_without_any_action(host: Host, polling: dict[str, Any]) -> None:
    activate(host.order(**polling, since_start={STARTED_URL: f"started with {OLD}"}))
    assert host.service.actions == []
    assert host.service.loaded == NEW


def test_what_only_a_start_reads_restarts_a_service_that_polls(host: Host, polling: dict[str, Any]) -> None:
    activate(host.order(**polling, since_start={STARTED_URL: f"started with {NEW}"}))
    assert host.service.actions == ["restart within 10"]
    assert host.service.loaded == NEW


def test_a_refused_start_is_followed_by_one_with_the_old_files(host: Host, polling: dict[str, Any]) -> None:
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError):
        activate(host.order(**polling, since_start={STARTED_URL: f"started with {NEW}"}), patience=20)
    assert host.service.actions == ["restart within 10"] * 2
    assert host.current == OLD
    assert host.service.loaded == OLD


# Services whose image has no shell.


def test_a_service_without_tools_is_asked_by_a_container_beside_it(host: Host) -> None:
    activate(host.order(tools=False))
    assert host.service.actions == ["SIGHUP"]
    questions = [run for run in host.engine.runs if run["network_mode"] != "none"]
    assert len(questions) == 2  # whether it answers, and one for all pages
    for run in questions:
        assert run["name"] == "ns-prometheus-loader-ask"
        assert not run.get("volumes")
        assert run["removed"] == {"v": True, "force": True}


def test_a_service_without_tools_is_signalled_by_a_container_beside_it_as_its_own_user(host: Host) -> None:
    activate(host.order(tools=False))
    [signalled] = [run for run in host.engine.runs if "pid_mode" in run]
    assert signalled["name"] == "ns-prometheus-loader-signal"
    assert signalled["user"] == "10001:0"
    assert signalled["cap_drop"] == ["ALL"]
    assert signalled["network_mode"] == "none"
    assert not signalled.get("volumes")


@pytest.mark.parametrize("tools", [True, False])
def test_a_service_that_no_signal_reaches_is_restarted(
    host: Host, monkeypatch: pytest.MonkeyPatch, *, tools: bool
) -> None:
    monkeypatch.setattr(host.service, "_hang_up", lambda: (1, b"kill: not permitted"))
    activate(host.order(tools=tools))
    assert host.service.actions == ["restart within 10"]
    assert host.service.loaded == NEW


def test_what_a_service_without_tools_does_not_say_is_a_refusal(host: Host) -> None:
    host.service.refuses = frozenset({NEW})
    with pytest.raises(RefusedError, match="reload_successful 1"):
        activate(host.order(tools=False))
    assert host.current == OLD


# Services without files.


def test_a_service_without_files_only_has_to_be_well(host: Host) -> None:
    host.service.started, host.service.well_after = host.clock.now, 8
    assert activate(host.order(revision=None, expect={})).startswith("well after 8")
    assert host.service.actions == []
    assert host.engine.runs == []


def test_without_a_health_command_it_has_to_run_for_three_seconds(host: Host) -> None:
    host.service.started = float(int(host.clock.now))
    before = host.clock.now
    activate(host.order(revision=None, expect={}, health=()))
    assert 3 <= host.clock.now - before < 5


def test_a_service_that_is_not_well_in_time_fails_with_its_log(host: Host) -> None:
    host.service.well_after = float("inf")
    host.service.log.append((host.clock.now - 60, "no database"))
    with pytest.raises(RefusedError, match=r"nervous-test-example is running and not well; its log:\nno database"):
        activate(host.order(revision=None, expect={}), patience=20)


def test_a_service_that_is_down_fails(host: Host) -> None:
    host.service.running = False
    with pytest.raises(RefusedError, match="is exited and not well"):
        activate(host.order(revision=None, expect={}), patience=20)


def test_a_service_in_a_crash_loop_is_not_waited_for(host: Host) -> None:
    host.service.refuses = frozenset({OLD})
    host.service.running, host.service.crashing = False, True
    before = host.clock.now
    with pytest.raises(RefusedError, match="keeps restarting"):
        activate(host.order(revision=None, expect={}), patience=600)
    assert host.clock.now - before < 30


# Details.


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("text", ["2026-07-01T12:00:00.123456789Z", "2026-07-01T12:00:00Z"])
def test_the_time_of_a_start_is_understood_in_every_zone_and_season(
    monkeypatch: pytest.MonkeyPatch, zone: str, text: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        service: Any = SimpleNamespace(attrs={"State": {"StartedAt": text}})
        started = module._started(service)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert started == datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize("script", [module.FLIP, module.PRUNE], ids=["flip", "prune"])
def test_scripts_stop_at_the_first_failure(script: str, tmp_path: Path) -> None:
    text = script.format(mount=tmp_path / "gone", revision=NEW)
    result = subprocess.run(["/bin/sh", "-c", text], capture_output=True, check=False, cwd=tmp_path)
    assert result.returncode != 0
    assert not list(tmp_path.iterdir())


def _raise(error: Exception) -> Callable[[Order], str]:
    def activate(_: Order) -> str:
        raise error

    return activate


def test_as_a_command_it_reads_its_order_and_says_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    received: list[Order] = []

    def receive(order: Order) -> str:
        received.append(order)
        return "live after 0.1 s"

    monkeypatch.setattr(module, "activate", receive)
    monkeypatch.setenv("ORDER", json.dumps({"docker": {"host": "unix:///s"}, "container": "c", "health": ["true"]}))
    module.main()
    assert received == [Order(docker={"host": "unix:///s"}, container="c", health=["true"])]
    assert capsys.readouterr().out == "live after 0.1 s\n"


@pytest.mark.parametrize("error", [RefusedError("its words"), DockerException("its words")])
def test_as_a_command_it_fails_with_words_and_no_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(module, "activate", _raise(error))
    monkeypatch.setenv("ORDER", json.dumps({"docker": {}, "container": "c"}))
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == "its words"


def test_it_starts_without_pulumi_and_pydantic_which_would_take_a_second() -> None:
    check = "import sys, engine.activate; sys.exit(bool({'pulumi', 'pydantic'} & sys.modules.keys()))"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", check], check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})


def test_an_engine_that_hangs_for_a_while_leaves_the_old_files_in_place(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ReadTimeout("Read timed out.")])

    def wait(*_: object) -> None:
        for error in answers:  # only the first time
            raise error

    monkeypatch.setattr(module, "_wait_until_well", wait)
    with pytest.raises(ReadTimeout):
        activate(host.order())
    assert host.current == OLD
