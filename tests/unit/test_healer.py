"""The service `healer` and its door: their settings, their description, and the decisions of the program without any API."""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config import container, known_alerts
from config.services.correlation import engine_door, healer
from config.services.correlation.incidents.program import actions as program_actions
from config.services.correlation.incidents.program import healer as program
from config.services.correlation.incidents.program.door import DoorError, Earlier, _unframed
from config.services.correlation.incidents.program.healer import RECOVERY, Healer
from config.services.correlation.incidents.program.ledger import Ledger
from config.services.correlation.incidents.program.recreation import STACK_LABEL
from config.services.correlation.incidents.program.rules import RulesError
from config.settings.loading import SettingsError
from tests.support.program import config_of, refusal, settings_of

HOUR = 3600
RESTART = {"alert": "ApplicationDown", "restart": "shop-orders", "at_most": "2 per 1h"}
LIVE = {**RESTART, "dry_run": False}
RUN: dict[str, Any] = {
    "alert": "ApplicationSlow",
    "diagnose": {"container": "shop-db.1x", "command": ["psql", "-c", "select 'a b'"]},
    "at_most": "1 per 1h",
    "dry_run": False,
}
BACK: dict[str, Any] = {
    "alert": "ApplicationErrorsHigh",
    "roll_back": "shop-orders",
    "at_most": "1 per 1h",
    "dry_run": False,
}
SILENCE: dict[str, Any] = {
    "alert": "PostgresDown",
    "silence": {"alert": "ApplicationErrorsHigh", "service": "orders", "lasts": "30m"},
    "at_most": "1 per 1h",
    "dry_run": False,
}


def with_actions(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"notifications": {"incidents": {}}, "actions": list(actions), **more}


# The settings.


@pytest.mark.parametrize(
    ("actions", "services"),
    [
        ([], set()),
        ([SILENCE], {"healer"}),
        ([RESTART], {"healer", "engine_door"}),
        ([RUN], {"healer", "engine_door"}),
        ([BACK], {"healer", "rollback_door"}),
    ],
    ids=["without actions", "only silences", "a dry run", "a command", "a roll back"],
)
def test_only_what_actions_need_runs(actions: list[dict[str, Any]], services: set[str]) -> None:
    assert {"healer", "engine_door", "rollback_door"} & {*settings_of(with_actions(*actions)).services} == services


def test_the_program_knows_the_label_of_every_stack() -> None:
    assert STACK_LABEL == container.STACK_LABEL  # it cannot import what is outside its folder


def test_nothing_acts_unless_the_user_says_so() -> None:
    assert settings_of(with_actions(RESTART)).actions[0].dry_run


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in RESTART.items() if name != key}


def running(command: Any) -> dict[str, Any]:
    return {**RUN, "diagnose": {"container": "shop-db", "command": command}}


@pytest.mark.parametrize(
    ("action", "key", "what"),
    [
        pytest.param({**RESTART, "restart": "nervous-test-loki"}, "actions.0", "prefix of this stack", id="the stack's own"),
        pytest.param({**RUN, "diagnose": {"container": "nervous-test-loki", "command": ["ls"]}}, "actions.0", "prefix of this stack", id="a command in the stack's own"),
        pytest.param({**BACK, "roll_back": "nervous-test-loki"}, "actions.0", "prefix of this stack", id="a roll back of the stack's own"),
        pytest.param({**BACK, "restart": "shop-orders"}, "actions.0", "restart and roll_back", id="a restart and a roll back"),
        pytest.param({**BACK, "roll_back": "shop-*"}, "actions.0.roll_back", "exact name", id="a roll back of many"),
        pytest.param({**RESTART, "restart": "nervous-test-x"}, "actions.0", "prefix of this stack", id="any name with the prefix"),
        pytest.param({**RESTART, "restart": "shop-*"}, "actions.0.restart", "exact name", id="a pattern"),
        pytest.param({**RESTART, "restart": ".*"}, "actions.0.restart", "exact name", id="an expression"),
        pytest.param({**RESTART, "restart": "shop/../loki"}, "actions.0.restart", "exact name", id="a path"),
        pytest.param({**RESTART, "restart": "/shop"}, "actions.0.restart", "exact name", id="a name with a slash"),
        pytest.param({**RESTART, "restart": "shop orders"}, "actions.0.restart", "exact name", id="two names"),
        pytest.param({**RESTART, "restart": "shop?t=0"}, "actions.0.restart", "exact name", id="a query"),
        pytest.param({**RESTART, "restart": "cafe"}, "actions.0.restart", "beginning of another container's id", id="what may be an id"),
        pytest.param({**RESTART, "restart": ["a", "b"]}, "actions.0.restart", "string", id="a list"),
        pytest.param(without("at_most"), "actions.0.at_most", "required", id="no bound"),
        pytest.param({**RESTART, "at_most": "2"}, "actions.0.at_most", "2 per 1h", id="a bound without a time"),
        pytest.param({**RESTART, "at_most": "0 per 1h"}, "actions.0.at_most", "from 1 to 20 times per 5m to 7d", id="never"),
        pytest.param({**RESTART, "at_most": "9 per 1s"}, "actions.0.at_most", "from 1 to 20 times per 5m to 7d", id="all the time"),
        pytest.param({**RESTART, "at_most": "2 per hour"}, "actions.0.at_most", "from 1 to 20 times per 5m to 7d", id="words"),
        pytest.param(running("pg_isready -q"), "actions.0.diagnose.command", "must be a list", id="a shell's line"),
        pytest.param(running([]), "actions.0.diagnose", "command: is empty", id="no command"),
        pytest.param(running(["ü" * 400]), "actions.0.diagnose", "longer than 2000 characters", id="a long command"),
        pytest.param(running(["ls", ""]), "actions.0.diagnose", "empty item", id="an empty argument"),
        pytest.param(running(["a\nb"]), "actions.0.diagnose.command.0", "line break", id="a line break"),
        pytest.param({**RESTART, "silence": SILENCE["silence"]}, "actions.0", "restart and silence", id="two things"),
        pytest.param(without("restart"), "actions.0", "nothing that is to be done", id="nothing"),
        pytest.param({**SILENCE, "silence": {**SILENCE["silence"], "lasts": "5h"}}, "actions.0.silence", "longer than 4h", id="a silence for the day"),
        pytest.param({**SILENCE, "silence": {"alert": "ApplicationErrorsHigh"}}, "actions.0.silence.service", "required", id="a silence for all services"),
        pytest.param({**SILENCE, "alert": "ApplicationErrorsHigh"}, "actions.0", "silence the alert that starts it", id="a silence of itself"),
        pytest.param({**RESTART, "rollback": "shop"}, "actions.0.rollback", "unknown key", id="a rollback"),
    ],
)  # fmt: skip
def test_what_an_action_must_not_be_is_refused_in_one_line(action: dict[str, Any], key: str, what: str) -> None:
    message = refusal(with_actions(action))
    assert f"nervous-system:{key}: " in message
    assert what in message
    assert "\n" not in message


def test_who_acts_must_tell() -> None:
    assert "actions: needs notifications.incidents: {}" in refusal({"actions": [RESTART]})


OWN_RULES = {"shop.yml": "groups: [{name: shop, rules: [{alert: Shop hangs, expr: up == 0}, {record: a, expr: b}]}]"}


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (RESTART, ""),
        ({**RESTART, "alert": "LogErrorBurst"}, ""),
        ({**RESTART, "alert": "Shop hangs"}, ""),
        ({**RESTART, "alert": "ContainerUnhealthy"}, "actions.0.alert: no alert is called ContainerUnhealthy"),
        ({**RESTART, "alert": "Watchdog"}, "actions.0.alert: Watchdog only shows that alerting works"),
        (SILENCE, "actions.0.alert: no alert is called PostgresDown"),  # without an exporter
        ({**SILENCE, "alert": "Shop hangs"}, ""),
        ({**SILENCE, "alert": "Shop hangs", "silence": {"alert": "Watchdog", "service": "x"}}, "silence.alert: Watchdog"),
        ({**SILENCE, "alert": "Shop hangs", "silence": {"alert": "X", "service": "x"}}, "silence.alert: no alert is called X"),
    ],
)  # fmt: skip
def test_an_alert_must_exist_here_or_in_the_users_rules(action: dict[str, Any], complaint: str) -> None:
    settings = settings_of(with_actions(action))
    message = ""
    try:
        known_alerts.judge_actions(settings, OWN_RULES, stack_key="Pulumi.test.yaml: nervous-system:actions")
    except SettingsError as error:
        message = str(error)
    assert complaint in message
    assert bool(message) == bool(complaint)


# What is declared.


def listed(*actions: dict[str, Any]) -> list[str]:
    return config_of("engine_door", settings_of(with_actions(*actions))).files[engine_door.LIST].splitlines()


def test_the_door_knows_whole_requests_of_named_containers() -> None:
    looks, restarts, looks_too, runs = listed(LIVE, RUN)
    assert looks.startswith("GET /containers/json?all=1&filters=%7B%22name%22%3A%5B%22%5E%2Fshop-orders%24%22%5D%7D")
    assert "shop-db%5C%5C.1x" in looks_too
    assert restarts == "POST /containers/shop-orders/restart []"
    command = '{"AttachStderr":true,"AttachStdout":true,"Cmd":["psql","-c","select \'a b\'"]}'
    assert runs == f"POST /containers/shop-db.1x/exec [{command}]"


def test_in_a_dry_run_the_door_lets_nothing_through_but_to_look() -> None:
    assert [line.split()[0] for line in listed(RESTART, {**RUN, "dry_run": True})] == ["GET", "GET"]
    config = config_of("engine_door", settings_of(with_actions(RESTART, {**RUN, "dry_run": True})))
    assert "/exec/" not in config.files["haproxy.cfg"]


def test_who_acts_holds_no_secret_and_has_no_log_line_to_read() -> None:
    config = config_of("healer", settings_of(with_actions(LIVE), secrets=["slack_webhook", "grafana_password"]))
    assert not config.secrets
    apis = json.loads(config.files[healer.FILE])["apis"]
    assert apis.keys() == {"alertmanager", "silences", "door"}


def test_the_program_judges_the_rules_as_they_arrive(tmp_path: Path) -> None:
    config = config_of("healer", settings_of(with_actions(LIVE, RUN, SILENCE)))
    for name, text in config.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "program", "--check-actions", healer.FILE]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / healer.FILE).write_text(config.files[healer.FILE].replace('"times": 2', '"times": 200'))
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.stderr == "actions.json: actions.0.times: is not between 1 and 20\n"


@pytest.mark.parametrize(
    ("differs", "complaint"),
    [
        ({"kind": "remove"}, "actions.0: does not say what is to be done"),
        ({"container": ""}, "actions.0: does not say what is to be done"),
        ({"dry_run": 0}, "actions.0.dry_run: is not a bool"),
        ({"period": 0}, "actions.0.period: is not between"),
        ({"more": 1}, "actions.0: has other keys"),
    ],
)
def test_rules_that_say_nonsense_are_refused(differs: dict[str, Any], complaint: str) -> None:
    document = json.loads(healer.file(settings_of(with_actions(LIVE))))
    document["actions"][0] |= differs
    with pytest.raises(RulesError, match=re.escape(complaint)):
        program_actions.read(json.dumps(document))


# Which alerts an action waits for.


@pytest.mark.parametrize(
    ("action", "labels", "concerned"),
    [
        (LIVE, {"service": "shop-orders"}, True),
        (LIVE, {"service": "orders"}, False),
        (LIVE, {"service": "orders", "name": "shop-orders"}, True),
        (LIVE, {"service": "shop-orders", "name": "shop-orders-2"}, False),
        (LIVE, {}, False),
        (LIVE, {"alertname": "Other", "service": "shop-orders"}, False),
        ({**LIVE, "restart": "shop-orders-1"}, {"service": "shop-orders"}, True),
        ({**LIVE, "service": "orders"}, {"service": "orders"}, True),
        ({**LIVE, "service": "orders"}, {"service": "orders", "name": "another"}, False),
        ({**LIVE, "service": "orders"}, {"service": "shop-orders", "name": "shop-orders"}, False),
        ({**SILENCE, "alert": "ApplicationDown"}, {"service": "anything"}, True),
        ({**SILENCE, "alert": "ApplicationDown", "service": "db"}, {"service": "orders"}, False),
    ],
)
def test_an_action_waits_for_an_alert_about_its_own_container(
    action: dict[str, Any], labels: dict[str, str], *, concerned: bool
) -> None:
    [rule] = healer.actions(settings_of(with_actions(action)))
    assert rule.concerns({"alertname": "ApplicationDown", **labels}) is concerned


# What was done is remembered.


def test_what_was_done_outlives_the_service(tmp_path: Path) -> None:
    file = tmp_path / "attempts.json"
    Ledger(file, 0).note("restart a", 1000.5, ["restart a"])
    ledger = Ledger(file, 2000)
    assert (ledger.times("restart a", 1000), ledger.times("restart b", 0), ledger.last("restart a")) == (1, 0, 1000.5)
    assert not ledger.lost


def test_an_attempt_of_a_time_to_come_holds_nothing_up_for_ever(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "attempts.json", 0)
    ledger.note("restart a", 10**9, ["restart a"])
    ledger.set_right(1000)
    assert ledger.last("restart a") == 1000


def test_old_attempts_go_but_the_last_one_of_what_can_still_be_done(tmp_path: Path) -> None:
    file = tmp_path / "attempts.json"
    ledger = Ledger(file, 0)
    for at in (1, 2):
        ledger.note("restart a", at, ["restart a", "restart b"])
    ledger.note("restart gone", 3, ["restart a"])
    ledger.note("restart b", 30 * 86400, ["restart a", "restart b"])
    assert json.loads(file.read_text())["attempts"] == [["restart a", 2], ["restart b", 30 * 86400]]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"attempts": [1], "lost": 0}', '{"attempts": []}'])
def test_a_record_that_cannot_be_read_counts_as_full(tmp_path: Path, text: str) -> None:
    file = tmp_path / "attempts.json"
    file.write_text(text)
    assert Ledger(file, 1000).lost == 1000


# Decisions.


DEPLOYED = Earlier("shop/orders:1.7", 1_795_521_000.0)


@dataclass
class Engine:
    """Stands for the door."""

    labels_of: dict[str, dict[str, str]] = field(default_factory=lambda: {"shop-orders": {}, "shop-db.1x": {}})
    steps: list[str] = field(default_factory=list)
    silent: bool = False
    refuses: bool = False
    back: Earlier | str = DEPLOYED

    def labels(self, container: str) -> dict[str, str] | None:
        if self.silent:
            raise DoorError("the engine did not answer through its door")
        return self.labels_of.get(container)

    def restart(self, container: str) -> None:
        self.steps.append(f"restart {container}")
        if self.refuses:
            raise DoorError("the engine answered 500: no")

    def earlier(self, container: str) -> Earlier | str:
        if self.silent:
            raise DoorError("the engine did not answer through its door")
        return self.back

    def roll_back(self, container: str) -> Earlier:
        self.steps.append(f"roll back {container}")
        if self.refuses or isinstance(self.back, str):
            raise DoorError("the earlier image is unhealthy after 90 s; what ran runs again")
        return self.back

    def run(self, container: str, command: tuple[str, ...]) -> tuple[str, str]:
        self.steps.append(f"{container}: {' '.join(command)}")
        return "1 row\na\x1b[2Jb", "exit code 0"


class Place:
    """A healer with an engine, alerts and a clock of the test's."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capfd = folder, capfd
        self.engine, self.now = Engine(), 1_795_521_600.0
        self.alerts: list[dict[str, Any]] = []
        self.silences: list[Any] = []
        self.began = 1_795_521_500.0
        self.query = ""
        patch.setattr(program, "told", lambda *_: self.alerts)
        patch.setattr(program, "Door", lambda _: self.engine)
        patch.setattr(program, "RollbackDoor", lambda _: self.engine)
        patch.setattr(program, "time", SimpleNamespace(time=lambda: self.now, monotonic=time.monotonic))

    def start(self, *actions: dict[str, Any]) -> None:
        file = self.folder / "actions.json"
        if actions:
            file.write_text(healer.file(settings_of(with_actions(*actions))))
        self.healer = Healer(file, self.folder)
        self.healer._asker.get = self.prometheus  # type: ignore[method-assign,assignment]
        self.healer._asker.post = lambda *arguments: self.silences.append(arguments[-1])  # type: ignore[method-assign]

    def prometheus(self, *_: Any, query: str) -> Any:
        """Since when the condition of the alert holds."""
        self.query = query
        return {"data": {"result": [{"value": [0, str(self.began)]}] if self.began else []}}

    def fires(self, name: str = "ApplicationDown", service: str = "shop-orders") -> None:
        self.now += 5
        started = time.strftime("%Y-%m-%dT%H:%M:%S.123Z", time.gmtime(self.now))
        labels = {"alertname": name, "service": service}
        self.alerts = [{"labels": labels, "startsAt": started, "fingerprint": "1"}]

    def look(self, after: float = 5) -> list[str]:
        """What is said in this look."""
        self.now += after
        self.healer.look()
        lines = [json.loads(line) for line in self.capfd.readouterr().out.splitlines()]
        return [line["message"] for line in lines]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, monkeypatch, capfd)


def test_a_container_is_restarted_once_for_each_time_that_its_alert_fires_and_not_for_ever(place: Place) -> None:
    place.start(LIVE)
    place.fires()
    assert place.look()[0].startswith("done: restart shop-orders, which took ")
    assert [place.look(600) for _ in range(20)] == [[]] * 20  # it goes on firing: the restart has not helped
    place.alerts = []
    place.look(HOUR)
    for _ in range(2):
        place.fires()
        assert place.look()
        place.look(RECOVERY)
    place.fires()
    assert place.look() == ["denied: restart shop-orders: the bound of 2 per 1h is used up"]
    assert place.look() == []
    assert place.engine.steps == ["restart shop-orders"] * 3
    decisions = json.loads(place.healer.decisions())
    assert [one["event"] for one in decisions] == ["acted", "acted", "acted", "denied"]
    assert (decisions[-1]["alert"], decisions[-1]["service"]) == ("ApplicationDown", "shop-orders")
    assert 'healer_decisions_total{event="denied"} 1' in place.healer.metrics()


def test_a_denial_stands_as_long_as_its_alert_fires(place: Place) -> None:
    place.start({**LIVE, "at_most": "1 per 1h"})
    place.fires()
    place.look()
    place.fires()
    assert "denied" in place.look()[0]
    assert place.look(2 * HOUR) == []  # people have been told, and look at it
    place.start()
    assert place.look() == []
    place.fires()
    assert place.look()[0].startswith("done: restart")


def test_a_restart_of_the_service_restarts_nothing_else(place: Place) -> None:
    place.start(LIVE)
    place.fires()
    assert place.look()
    place.start()
    assert place.look() == []
    place.fires()
    assert place.look(RECOVERY)
    place.start()
    place.fires()
    assert "denied" in place.look(RECOVERY)[0]
    assert len(place.engine.steps) == 2


def test_a_container_has_time_to_recover(place: Place) -> None:
    place.start(LIVE)
    place.fires()
    place.look()
    place.fires()  # over for a moment, and there again
    assert place.look(RECOVERY / 2) == []
    assert place.look(RECOVERY / 2)[0].startswith("done: restart")


def test_two_actions_on_one_container_share_its_bound(place: Place) -> None:
    place.start({**LIVE, "at_most": "1 per 1h"}, {**LIVE, "alert": "ApplicationSlow", "at_most": "1 per 1h"})
    place.fires()
    place.look()
    place.fires("ApplicationSlow")
    assert "denied" in place.look()[0]
    assert len(place.engine.steps) == 1


def test_a_dry_run_says_what_it_would_do_and_does_nothing(place: Place) -> None:
    place.start(RESTART)
    place.fires()
    assert place.look() == ["dry run: would restart shop-orders"]
    assert place.look() == []
    assert place.engine.steps == []
    place.start(LIVE)  # the dry run has used nothing up
    assert place.look()[0].startswith("done: restart")


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({}, "there is no container shop-orders"),
        ({"shop-orders": {STACK_LABEL: "nervous-staging"}}, "shop-orders is a container of the stack nervous-staging"),
    ],
    ids=["no such container", "of another stack"],
)
def test_what_must_not_be_touched_is_denied_once(place: Place, labels: dict[str, dict[str, str]], why: str) -> None:
    place.engine.labels_of = labels
    place.start(LIVE)
    place.fires()
    assert place.look() == [f"denied: restart shop-orders: {why}"]
    place.engine.labels_of = {"shop-orders": {}}  # made anew just now
    assert place.look() == []
    assert place.engine.steps == []


def test_an_engine_that_does_not_answer_is_asked_again(place: Place) -> None:
    place.engine.silent = True
    place.start(LIVE)
    place.fires()
    assert place.look() == ["denied: restart shop-orders: the engine did not answer through its door"]
    assert place.look() == []
    place.engine.silent = False
    assert place.look()[0].startswith("done: restart")


def test_a_restart_that_fails_counts_and_is_told(place: Place) -> None:
    place.engine.refuses = True
    place.start(LIVE)
    place.fires()
    assert place.look() == ["failed: restart shop-orders: the engine answered 500: no"]
    assert place.look() == []


def test_what_cannot_be_noted_is_not_done(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    place.start(LIVE)
    monkeypatch.setattr(Ledger, "note", full)
    place.fires()
    assert place.look() == ["denied: restart shop-orders: it cannot note what it does: No space left on device"]
    assert place.engine.steps == []


def test_a_record_that_is_lost_holds_up_a_whole_period(place: Place) -> None:
    (place.folder / "attempts.json").write_text("{")
    place.start(LIVE)
    place.fires()
    assert "what was done before is unknown" in "".join(place.look())
    assert place.look(HOUR)[0].startswith("done: restart")


def test_what_a_command_says_is_in_its_line(place: Place) -> None:
    place.start(RUN)
    place.fires("ApplicationSlow", "shop-db.1x")
    place.capfd.readouterr()
    place.now += 5
    place.healer.look()
    line = json.loads(place.capfd.readouterr().out)
    assert line["message"] == """done: run psql -c 'select '"'"'a b'"'"'' in shop-db.1x, exit code 0"""
    assert line["output"] == "1 row\na [2Jb"
    assert (line["event"], line["incident"]) == ("acted", "shop-db.1x")


def test_a_consequence_is_silenced_for_its_time(place: Place) -> None:
    place.start({**SILENCE, "alert": "ApplicationDown"})
    place.fires(service="db")
    assert place.look() == ["done: silence ApplicationErrorsHigh of orders, for 30 min"]
    [silence] = place.silences
    assert [(one["name"], one["value"], one["isRegex"]) for one in silence["matchers"]] == [
        ("alertname", "ApplicationErrorsHigh", False),
        ("service", "orders", False),
    ]
    assert (silence["startsAt"], silence["endsAt"]) == ("2026-11-24T12:00:10Z", "2026-11-24T12:30:10Z")


# A roll back. What the door itself denies: test_rollback_door.py.


def test_a_deployment_is_rolled_back_once_and_not_for_ever(place: Place) -> None:
    place.start(BACK)
    place.fires("ApplicationErrorsHigh")
    [line] = place.look()
    assert re.fullmatch(r"done: roll shop-orders back, to shop/orders:1\.7, which took \d+ ms", line)
    assert place.query == 'min(ALERTS_FOR_STATE{alertname="ApplicationErrorsHigh",service="shop-orders",name=""})'
    assert [place.look(600) for _ in range(5)] == [[]] * 5
    place.fires("ApplicationErrorsHigh")
    assert place.look() == ["denied: roll shop-orders back: the bound of 1 per 1h is used up"]
    assert place.engine.steps == ["roll back shop-orders"]


@pytest.mark.parametrize(
    ("began", "back", "why"),
    [
        (1_795_520_999.0, Earlier("x", 1_795_521_000.0), "what the alert is about began before the deployment"),
        (1_795_521_500.0, "what ran before is not known", "what ran before is not known"),
    ],
    ids=["before the deployment", "the door denies"],
)
def test_what_no_deployment_has_caused_is_not_rolled_back(
    place: Place, began: float, back: Earlier | str, why: str
) -> None:
    place.began, place.engine.back = began, back
    place.start(BACK)
    place.fires("ApplicationErrorsHigh")
    assert place.look() == [f"denied: roll shop-orders back: {why}"]
    assert place.look() == []
    assert place.engine.steps == []


def test_without_a_word_of_when_it_began_nothing_is_rolled_back_yet(place: Place) -> None:
    place.began = 0
    place.start(BACK)
    place.fires("ApplicationErrorsHigh")
    assert place.look() == ["denied: roll shop-orders back: Prometheus does not tell since when it is so"]
    place.began = 1_795_521_500.0
    assert place.look()[0].startswith("done: roll shop-orders back")


def test_a_roll_back_that_has_not_helped_is_told(place: Place) -> None:
    place.engine.refuses = True
    place.start(BACK)
    place.fires("ApplicationErrorsHigh")
    why = "the earlier image is unhealthy after 90 s; what ran runs again"
    assert place.look() == [f"failed: roll shop-orders back: {why}"]
    assert place.look() == []


def test_a_roll_back_in_a_dry_run_asks_whether_it_could_be(place: Place) -> None:
    place.start({**BACK, "dry_run": True})
    place.fires("ApplicationErrorsHigh")
    assert place.look() == ["dry run: would roll shop-orders back"]
    assert place.engine.steps == []


@pytest.mark.parametrize(
    ("stream", "output"),
    [
        (b"", b""),
        (b"\1\0\0\0\0\0\0\2ok\2\0\0\0\0\0\0\3 no", b"ok no"),
        (b"\1\0\0\0\0\0\0\7cut", b"cut"),
        (b"\1\0\0", b""),
    ],
)
def test_output_is_taken_out_of_its_frames(stream: bytes, output: bytes) -> None:
    assert _unframed(stream) == output
