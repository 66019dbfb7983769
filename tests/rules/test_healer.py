"""The service `healer` between the real Alertmanager and an engine, through the real door: an alert fires, and what is done and
told is judged. The engine alone stands in: a restart of it is a number that grows."""

import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from config.container import STACK_LABEL
from config.ports import DOCKER_API
from config.services.correlation import healer
from config.services.correlation.incidents.program import rollback_door as rollback_program
from config.services.correlation.incidents.program.engine import Engine
from config.settings import Settings
from tests.rules.test_incidents import Place, start_alertmanager, start_incidents
from tests.support.engine_stand_in import EXEC, EngineStandIn, StandInContainer
from tests.support.outside import Outside
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from tests.support.wait import until
from toolchain import images
from toolchain.images.recipes import RECIPES

HUNG = "ApplicationDown"
COMMAND = ["sh", "-c", 'echo "a  b" # ü']
ACTIONS: list[dict[str, Any]] = [
    {"alert": HUNG, "restart": "shop-orders", "service": "orders", "at_most": "1 per 1h", "dry_run": False},
    {
        "alert": "ApplicationSlow",
        "diagnose": {"container": "shop-db", "command": COMMAND},
        "service": "orders",
        "at_most": "1 per 1h",
        "dry_run": False,
    },
    {"alert": "ApplicationGone", "restart": "shop-cache", "service": "cache", "at_most": "1 per 1h"},
    {
        "alert": "ProbeFailing",
        "silence": {"alert": "ApplicationErrorsHigh", "service": "orders", "lasts": "5m"},
        "at_most": "1 per 1h",
        "dry_run": False,
    },
]


def settings(*actions: dict[str, Any]) -> Settings:
    timing = {"group_wait": "1s", "group_interval": "1s"}
    config = {"notifications": {"incidents": {}, **timing}, "actions": [*actions]}
    return settings_of(config, secrets=["slack_webhook"])


SETTINGS = settings(*ACTIONS)


def containers() -> dict[str, StandInContainer]:
    return {
        "shop-orders": StandInContainer("a" * 64),
        "shop-db": StandInContainer("b" * 64),
        "shop-cache": StandInContainer("c" * 64),
        "nervous-test-loki": StandInContainer("d" * 64, {STACK_LABEL: "nervous-test"}),
    }


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineStandIn]:
    with EngineStandIn(containers(), tmp_path / "engine.sock") as stand_in:
        yield stand_in


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Outside("127.0.0.1") as outside, closing(Place(tmp_path, outside)) as new_place:
        yield new_place


def start_door(place: Place, of: Settings = SETTINGS) -> None:
    """As in its container, but for its addresses."""
    folder, port, health = place.folder / "door", free_port(), free_port()
    folder.mkdir(exist_ok=True)
    for name, text in config_of("engine_door", of).files.items():
        moved = text.replace("/var/run/docker.sock", str(place.folder / "engine.sock"))
        moved = moved.replace(f"bind :{DOCKER_API}\n", f"bind 127.0.0.1:{port}\n")
        moved = moved.replace("bind 127.0.0.1:8408\n", f"bind 127.0.0.1:{health}\n")
        (folder / name).write_text(moved.replace("default-path config", f"default-path origin {folder}"))
    product = images.product("engine_door", RECIPES["engine_door"])
    [libraries] = (product / "usr/lib").glob("*-linux-gnu")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    command: list[str | Path] = [product / "usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg"]
    place.start("door", command, health, "/_ping", env=environment)
    place.urls["door"] = f"http://127.0.0.1:{port}"


def start_healer(place: Place, of: Settings = SETTINGS) -> None:
    """As in its container: from the files that are delivered, by the command of the container."""
    port, folder = free_port(), place.folder / "healer"
    for name, text in config_of("healer", of).files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    rules = json.loads(healer.file(of))
    addresses = {**place.urls, "silences": place.urls["alertmanager"]}
    rules["apis"] = {name: addresses[name] for name in rules["apis"]}
    (folder / healer.FILE).write_text(json.dumps(rules))
    command = [sys.executable, "-B", "-u", "-m", "program", "heal", healer.FILE, str(place.folder), str(port)]
    place.start("healer", command, port, "/-/healthy", cwd=folder)


def lines(place: Place) -> list[dict[str, Any]]:
    """What the healer has said, but for what it may do."""
    entries = [json.loads(line) for line in (place.folder / "healer.log").read_text().splitlines()]
    return [line for line in entries if line["event"] != "may"]


def looks(place: Place) -> None:
    """Has it look at the alerts, twice."""
    for _ in range(2):
        place.running["healer"].send_signal(signal.SIGHUP)
        time.sleep(1)


def ends(place: Place, name: str, service: str) -> None:
    """An alert is over, as Prometheus says it."""
    labels = {"alertname": name, "service": service, "severity": "critical"}
    over = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    requests.post(f"{place.urls['alertmanager']}/api/v2/alerts", json=[{"labels": labels, "endsAt": over}], timeout=10)
    until(lambda: not requests.get(f"{place.urls['alertmanager']}/api/v2/alerts", timeout=10).json())


def test_a_hung_container_is_restarted_once_and_not_for_ever(place: Place, engine: EngineStandIn) -> None:
    start_alertmanager(place)
    start_door(place)
    start_healer(place)
    container = engine.containers["shop-orders"]
    place.fires("orders", name=HUNG)
    until(lambda: lines(place))
    looks(place)
    place.stop("healer")
    start_healer(place)
    looks(place)  # it fires all the time
    assert container.restarts == 1
    [line] = lines(place)
    assert re.fullmatch(r"done: restart shop-orders, which took \d+ ms", line["message"])
    assert (line["event"], line["incident"], line["alert"], line["level"]) == ("acted", "orders", HUNG, "info")

    ends(place, HUNG, "orders")
    start_incidents(place, SETTINGS)
    time.sleep(1)  # times of alerts are in whole seconds
    place.fires("orders", name=HUNG)
    until(lambda: requests.get(f"{place.urls['alertmanager']}/api/v2/alerts", timeout=10).json())
    looks(place)  # before the incident is told: otherwise a later message would say so
    until(lambda: len(lines(place)) > 1)
    [_, denied] = lines(place)
    assert denied["message"] == "denied: restart shop-orders: the bound of 1 per 1h is used up"
    assert (denied["event"], denied["level"]) == ("denied", "warn")
    assert container.restarts == 1
    assert (
        'healer_decisions_total{event="denied"} 1' in requests.get(f"{place.urls['healer']}/metrics", timeout=10).text
    )

    # The message of the incident says so, below its first line.
    text = place.incident()["text"]
    assert f"Self-healing: {denied['message']} (" in text


def test_what_is_asked_for_is_found_out_logged_and_tried(place: Place, engine: EngineStandIn) -> None:
    start_alertmanager(place)
    start_door(place)
    start_healer(place)
    place.fires("orders", name="ApplicationSlow")
    place.fires("cache", name="ApplicationGone")
    place.fires("home", name="ProbeFailing")
    until(lambda: len(lines(place)) == 3)
    by_alert = {line["alert"]: line for line in lines(place)}
    assert by_alert["ApplicationSlow"]["message"].endswith(" in shop-db, exit code 3")
    assert (
        by_alert["ApplicationSlow"]["output"] == "1 row\nDB_PASSWORD=hunter2"
    )  # masked where all lines are (docs/logs.md)
    assert by_alert["ApplicationGone"]["message"] == "dry run: would restart shop-cache"
    assert engine.containers["shop-cache"].restarts == 0
    assert [json.loads(call.split(" ", 2)[2])["Cmd"] for call in engine.requests if "/exec " in call] == [COMMAND]
    [silence] = requests.get(f"{place.urls['alertmanager']}/api/v2/silences", timeout=10).json()
    assert silence["createdBy"] == "healer"
    place.fires("orders", "users", name="ApplicationErrorsHigh")
    until(lambda: [one["title"] for one in place.messages_about("ApplicationErrorsHigh")])
    time.sleep(3)  # several group intervals
    assert [one["title"].split(" · ")[2] for one in place.messages_about("ApplicationErrorsHigh")] == ["users"]


def test_without_its_door_it_denies_and_tries_again(place: Place, engine: EngineStandIn) -> None:
    start_alertmanager(place)
    place.urls["door"] = "http://127.0.0.1:1"
    start_healer(place)
    place.fires("orders", name=HUNG)
    until(lambda: lines(place))
    looks(place)
    assert [line["event"] for line in lines(place)] == ["denied"]
    start_door(place)
    place.stop("healer")
    start_healer(place)
    until(lambda: engine.containers["shop-orders"].restarts)


# A roll back. What it does to a container: tests/e2e/test_rollback.py.


class Back:
    """Stands for what asks the engine: a deployment was at `since`."""

    since = 0.0

    def __init__(self, *_: object) -> None:
        self.rollbacks: list[str] = []

    def plan(self, name: str) -> SimpleNamespace:
        container = {"Config": {"Image": "shop/orders:1.8"}}
        return SimpleNamespace(called="shop/orders:1.7", container=container, since=Back.since, name=name)

    def carry_out(self, name: str) -> SimpleNamespace:
        self.rollbacks.append(name)
        return self.plan(name)


def start_prometheus(place: Place) -> None:
    """With an alert whose condition holds at once, and which fires after two seconds."""
    port, folder = free_port(), place.folder
    labels = {"severity": "critical", "service": "orders"}
    rule = {"alert": "ApplicationErrorsHigh", "expr": "vector(1)", "for": "2s", "labels": labels}
    (folder / "errors.yml").write_text(json.dumps({"groups": [{"name": "errors", "rules": [rule]}]}))
    manager = {"static_configs": [{"targets": [place.urls["alertmanager"].removeprefix("http://")]}]}
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": ["errors.yml"]}
    (folder / "prometheus.yml").write_text(json.dumps({**config, "alerting": {"alertmanagers": [manager]}}))
    command: list[str | Path] = [images.binary("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    place.start("prometheus", command, port, "/-/ready")


@pytest.mark.parametrize(
    ("before", "says", "rollbacks"),
    [
        pytest.param(60, r"done: roll shop-orders back, to shop/orders:1\.7, which took \d+ ms", ["shop-orders"], id="before"),
        pytest.param(-1, "denied: .*: what the alert is about began before the deployment", [], id="while it waits"),
    ],
)  # fmt: skip
def test_a_deployment_is_rolled_back_if_it_came_before_what_the_alert_is_about(
    place: Place, monkeypatch: pytest.MonkeyPatch, before: int, says: str, rollbacks: list[str]
) -> None:
    action = {"alert": "ApplicationErrorsHigh", "service": "orders", "roll_back": "shop-orders"}
    of = settings({**action, "at_most": "1 per 1h", "dry_run": False})
    monkeypatch.setattr(rollback_program, "Rollbacks", Back)
    listed = place.folder / "rollbacks.json"
    listed.write_text(config_of("rollback_door", of).files["rollbacks.json"])
    door = rollback_program.RollbackDoor(listed, Engine(str(place.folder / "none.sock")))
    start_alertmanager(place)
    with door.serve(0) as server:
        place.urls["rollbacks"] = f"http://127.0.0.1:{server.server_port}"
        start_prometheus(place)
        # Its condition holds from the first evaluation on, within a second.
        monkeypatch.setattr(Back, "since", time.time() - before if before > 0 else time.time() + 1.5)
        start_healer(place, of)
        until(lambda: lines(place))
        looks(place)
        server.shutdown()
    [line] = lines(place)
    assert re.fullmatch(says, line["message"])
    assert door._rollbacks.rollbacks == rollbacks  # type: ignore[attr-defined]


# The door.


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, EngineStandIn]]:
    folder = tmp_path_factory.mktemp("door")
    engine = EngineStandIn(containers(), folder / "engine.sock")
    with engine as behind, Outside("127.0.0.1") as outside, closing(Place(folder, outside)) as new_place:
        start_door(new_place)
        yield new_place.urls["door"], behind


RUN = json.dumps({"AttachStderr": True, "AttachStdout": True, "Cmd": COMMAND}, separators=(",", ":"))
START = '{"Detach":false,"Tty":false}'


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        pytest.param("POST /containers/shop-orders/restart", "", 204, id="the named restart"),
        pytest.param("POST /containers/shop-db/exec", RUN, 201, id="the named command"),
        pytest.param(f"POST /exec/{EXEC}/start", START, 200, id="its start"),
        pytest.param(f"GET /exec/{EXEC}/json", "", 200, id="its end"),
        pytest.param("POST /containers/shop-db/restart", "", 403, id="a restart of what only runs a command"),
        pytest.param("POST /containers/shop-cache/restart", "", 403, id="a restart in a dry run"),
        pytest.param("POST /containers/nervous-test-loki/restart", "", 403, id="a restart of the stack's own"),
        pytest.param("POST /containers/a/restart", "", 403, id="a restart by an id"),
        pytest.param("POST /containers/shop-orders/restart?t=0", "", 403, id="a restart with a query"),
        pytest.param("POST /containers/shop-orders/restart", "{}", 403, id="a restart with a body"),
        pytest.param("POST /v1.41/containers/shop-orders/restart", "", 403, id="a restart by a version"),
        pytest.param("POST //containers/shop-orders/restart", "", 403, id="a restart with two slashes"),
        pytest.param("POST /containers/shop-db/../shop-cache/restart", "", 403, id="a detour"),
        pytest.param("POST /containers/shop%2Dorders/restart", "", 403, id="an escape"),
        pytest.param("POST /containers/shop-orders/restart []", "", 400, id="what looks like the list"),
        pytest.param("POST /containers/shop-orders/stop", "", 403, id="a stop"),
        pytest.param("POST /containers/shop-orders/kill", "", 403, id="a kill"),
        pytest.param("DELETE /containers/shop-orders", "", 403, id="a removal"),
        pytest.param("PUT /containers/shop-orders/archive?path=/", "x", 403, id="a file"),
        pytest.param("POST /containers/create", "{}", 403, id="a new container"),
        pytest.param("POST /containers/shop-orders/exec", RUN, 403, id="the command elsewhere"),
        pytest.param("POST /containers/shop-db/exec", RUN.replace("echo", "wget"), 403, id="another command"),
        pytest.param("POST /containers/shop-db/exec", RUN[:-1] + ',"Privileged":true}', 403, id="with more rights"),
        pytest.param("POST /containers/shop-db/exec", RUN + " " * 20_000, 403, id="a body without end"),
        pytest.param(f"POST /exec/{EXEC}/start", START[:-1] + ',"Tty":true}', 403, id="another start"),
        pytest.param("POST /exec/eeee/start", START, 403, id="the beginning of an id"),
        pytest.param(f"POST /exec/{EXEC}/resize", "", 403, id="something else of a command"),
        pytest.param("GET /containers/json", "", 403, id="all containers"),
        pytest.param("GET /containers/shop-orders/json", "", 403, id="an environment"),
        pytest.param("GET /containers/shop-orders/logs?stdout=1", "", 403, id="a log"),
        pytest.param("GET /_ping", "", 403, id="a ping"),
        pytest.param("GET /images/json", "", 403, id="images"),
    ],
)  # fmt: skip
def test_the_door_lets_through_what_the_settings_name_and_nothing_else(
    door: tuple[str, EngineStandIn], request_line: str, body: str, status: int
) -> None:
    url, behind = door
    behind.requests.clear()
    assert answered(url, request_line, body) == status
    assert bool(behind.requests) == (status < 400)


def test_the_door_takes_no_upgrade(door: tuple[str, EngineStandIn]) -> None:
    url, behind = door
    behind.requests.clear()
    assert answered(url, f"GET /exec/{EXEC}/json", "", "Connection: Upgrade\r\nUpgrade: tcp\r\n") == 403
    assert behind.requests == []


def test_the_door_to_a_service_that_only_silences_is_not_there() -> None:
    assert "engine_door" not in settings(ACTIONS[3]).services


def answered(url: str, request_line: str, body: str, more: str = "") -> int:
    """The status, of a request that is sent as it is written."""
    data = body.encode()
    head = f"{request_line} HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=10) as connection:
        connection.sendall(head.encode() + data)
        return int(connection.recv(100).split()[1])
