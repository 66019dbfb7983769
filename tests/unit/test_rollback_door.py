"""The service `rollback_door`: its description, what it answers, and what it takes over from a container, without any engine."""

import copy
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from config.services.correlation import rollback_door
from config.services.correlation.incidents.program import rollback
from config.services.correlation.incidents.program import rollback_door as program
from config.services.correlation.incidents.program.engine import EngineError
from config.services.correlation.incidents.program.recreation import REPLACED, STACK_LABEL, creation, digest, unsuitable
from config.services.correlation.incidents.program.rollback import DeniedError, FailedError, Rollbacks
from config.services.correlation.incidents.program.rules import RulesError
from tests.support.program import config_of, settings_of

BACK: dict[str, Any] = {
    "alert": "ApplicationErrorsHigh",
    "roll_back": "shop-orders-1",
    "service": "orders",
    "at_most": "1 per 1h",
}
LIVE = {**BACK, "dry_run": False}
OLD, NEW = "sha256:" + "7" * 64, "sha256:" + "8" * 64


def settings(*actions: dict[str, Any]) -> Any:
    return settings_of({"notifications": {"incidents": {}}, "actions": [*actions]})


def rollbacks(*actions: dict[str, Any]) -> Any:
    return json.loads(config_of("rollback_door", settings(*actions)).files[rollback_door.FILE])["rollbacks"]


# What is declared.


def test_only_an_action_that_rolls_back_needs_it() -> None:
    restart = {"alert": "ApplicationDown", "restart": "shop-orders-1", "at_most": "1 per 1h"}
    assert "rollback_door" not in settings(restart).services
    assert {"healer", "rollback_door"} <= {*settings(BACK).services}
    assert "engine_door" not in settings(BACK).services


def test_a_container_may_be_rolled_back_if_one_of_its_actions_acts() -> None:
    assert rollbacks(BACK) == [{"container": "shop-orders-1", "dry_run": True}]
    assert rollbacks(BACK, {**LIVE, "alert": "ApplicationSlow"}) == [{"container": "shop-orders-1", "dry_run": False}]


def test_it_judges_its_list_as_it_arrives(tmp_path: Path) -> None:
    config = config_of("rollback_door", settings(LIVE))
    for name, text in config.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "program", "--check-rollbacks", rollback_door.FILE]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / rollback_door.FILE).write_text('{"rollbacks": [{"container": "a"}]}')
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.stderr == "rollbacks.json: rollbacks.0: does not say which container\n"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"rollbacks": {}}', '{"rollbacks": [1]}', '{"rollbacks": [{"container": 1, "dry_run": true}]}',
             '{"rollbacks": [{"container": "a", "dry_run": 0}]}', '{"rollbacks": [{"container": "", "dry_run": true}]}'],
)  # fmt: skip
def test_a_list_that_says_nonsense_is_refused(text: str) -> None:
    with pytest.raises(RulesError):
        program.read(text)


# What it answers.


class Back:
    """Stands for `Rollbacks`."""

    def __init__(self, _: object) -> None:
        self.steps: list[str] = []
        self.raises: Exception | None = None

    def finish(self, names: list[str]) -> list[str]:
        return [f"finished {name}" for name in names]

    def watch(self, name: str) -> None:
        self.steps.append(f"watch {name}")

    def plan(self, name: str) -> Any:
        return self._answer(f"plan {name}")

    def carry_out(self, name: str) -> Any:
        return self._answer(f"carry out {name}")

    def _answer(self, step: str) -> Any:
        self.steps.append(step)
        if self.raises:
            raise self.raises
        container = {"Config": {"Image": "shop/orders:1.8", "Env": ["PASSWORD=hunter2"]}}
        return SimpleNamespace(called="shop/orders:1.7", container=container, since=1.5)


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> program.RollbackDoor:
    monkeypatch.setattr(program, "Rollbacks", Back)
    file = tmp_path / "rollbacks.json"
    listed = [{"container": "shop-orders-1", "dry_run": False}, {"container": "shop-users-1", "dry_run": True}]
    file.write_text(json.dumps({"rollbacks": listed}))
    return program.RollbackDoor(file, SimpleNamespace())  # type: ignore[arg-type]


@pytest.fixture
def served(door: program.RollbackDoor) -> Iterator[tuple[Back, str]]:
    """What it asks to act, and its address."""
    server = door.serve(0)
    yield door._rollbacks, f"http://127.0.0.1:{server.server_port}"  # type: ignore[misc]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("request_line", "body", "status", "steps"),
    [
        pytest.param("GET /rollback/shop-orders-1", "", 200, ["plan shop-orders-1"], id="whether"),
        pytest.param("POST /rollback/shop-orders-1", "", 200, ["carry out shop-orders-1"], id="do"),
        pytest.param("GET /rollback/shop-users-1", "", 200, ["plan shop-users-1"], id="whether in a dry run"),
        pytest.param("POST /rollback/shop-users-1", "", 403, [], id="do in a dry run"),
        pytest.param("POST /rollback/shop-db-1", "", 403, [], id="another container"),
        pytest.param("POST /rollback/", "", 403, [], id="no container"),
        pytest.param("POST /rollback/shop-orders-1?image=evil", "", 403, [], id="a query"),
        pytest.param("POST /rollback/shop-orders-1", '{"Image": "evil"}', 403, [], id="a body"),
        pytest.param("POST /rollback/shop%2Dorders-1", "", 403, [], id="an escape"),
        pytest.param("POST /rollback//shop-orders-1", "", 403, [], id="two slashes"),
        pytest.param("POST /containers/create", "{}", 403, [], id="the engine's own API"),
        pytest.param("GET /containers/shop-orders-1/json", "", 403, [], id="an environment"),
        pytest.param("DELETE /rollback/shop-orders-1", "", 501, [], id="another method"),
        pytest.param("GET /-/healthy", "", 200, [], id="its health"),
    ],
)  # fmt: skip
def test_it_takes_two_requests_for_each_container_of_its_list_and_no_other(
    served: tuple[Back, str], request_line: str, body: str, status: int, steps: list[str]
) -> None:
    (back, url), (method, path) = served, request_line.split()
    with requests.Session() as session:
        request = requests.Request(method, url, data=body).prepare()
        request.url = url + path  # as it is written
        answer = session.send(request, timeout=10)
    assert answer.status_code == status
    assert back.steps == steps
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DeniedError("no"), 409, "no"),
        (FailedError("it ends; what ran runs again"), 500, "it ends; what ran runs again"),
        (EngineError("the engine did not answer"), 502, "the engine did not answer"),
        (KeyError("Config"), 502, "the engine answered what is not understood"),
    ],
)
def test_who_asks_is_told_why_not(door: program.RollbackDoor, error: Exception, status: int, message: str) -> None:
    door._rollbacks.raises = error  # type: ignore[attr-defined]
    assert door.answer("GET", "/rollback/shop-orders-1", has_a_body=False) == (status, {"message": message})


def test_at_its_start_it_ends_what_it_may_do_and_then_watches_everything(
    door: program.RollbackDoor, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        door.look()
    lines = [json.loads(line)["message"] for line in capfd.readouterr().out.splitlines()]
    assert lines == ["finished shop-orders-1"]
    assert door._rollbacks.steps == ["watch shop-orders-1", "watch shop-users-1"] * 2  # type: ignore[attr-defined]


# What is taken over from a container. tests/e2e/test_rollback.py has real ones.

IMAGE: dict[str, Any] = {
    "Id": NEW,
    "Config": {
        "Env": ["PATH=/bin", "VERSION=1.8"], "Cmd": ["serve"], "Entrypoint": ["/start"], "Labels": {"version": "1.8"},
        "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}}, "Volumes": {"/cache": {}}, "WorkingDir": "/srv", "User": "1000",
    },
}  # fmt: skip
COMPOSED = {"com.docker.compose.project": "shop", "com.docker.compose.service": "orders"}
CONTAINER: dict[str, Any] = {
    "Id": "c" * 64,
    "Image": NEW,
    "Name": "/shop-orders-1",
    "Created": "2026-11-24T12:00:00.123456789Z",
    "RestartCount": 0,
    "State": {"Running": True, "ExitCode": 0},
    "Config": {
        **IMAGE["Config"], "Image": "shop/orders:1.8", "Hostname": "c" * 12, "Domainname": "",
        "Env": ["PASSWORD=hunter2", *IMAGE["Config"]["Env"]],
        "Labels": {**IMAGE["Config"]["Labels"], **COMPOSED, "com.docker.compose.config-hash": "x"},
    },
    "HostConfig": {"NetworkMode": "shop_default", "Binds": ["data:/data:rw"], "PortBindings": {"8080/tcp": [{"HostPort": "80"}]}},
    "Mounts": [
        {"Type": "volume", "Name": "data", "Destination": "/data", "RW": True},
        {"Type": "volume", "Name": "f" * 64, "Destination": "/cache", "RW": False},
        {"Type": "bind", "Source": "/etc/shop", "Destination": "/conf", "RW": False},
    ],
    "NetworkSettings": {
        "Networks": {
            "shop_default": {"Aliases": ["orders", "c" * 12], "IPAMConfig": {}, "IPAddress": "172.18.0.2", "MacAddress": "02:42"},
            "back": {"Aliases": None, "IPAMConfig": {"IPv4Address": "10.0.0.9"}},
        }
    },
}  # fmt: skip


def changed(description: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    result = copy.deepcopy(description)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return result


def test_what_the_image_said_does_not_go_along_to_another_one() -> None:
    body, networks = creation(CONTAINER, IMAGE, "shop/orders:1.7", OLD)
    assert body["Image"] == "shop/orders:1.7"
    assert body["Env"] == ["PASSWORD=hunter2"]
    assert body["ExposedPorts"] == {"8080/tcp": {}}  # which is published
    assert not {"Cmd", "Entrypoint", "WorkingDir", "User", "Hostname", "Domainname"} & body.keys()
    assert body["Labels"] == {
        **COMPOSED, "com.docker.compose.config-hash": "x", "com.docker.compose.image": OLD, REPLACED: "c" * 64,
    }  # fmt: skip
    assert body["HostConfig"]["Binds"] == ["data:/data:rw", f"{'f' * 64}:/cache:ro"]
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "shop_default": {"Aliases": ["orders"], "IPAMConfig": None, "DriverOpts": None}
    }
    assert networks == {"back": {"Aliases": [], "IPAMConfig": {"IPv4Address": "10.0.0.9"}, "DriverOpts": None}}


def test_a_command_of_the_users_own_goes_along() -> None:
    body, _ = creation(changed(CONTAINER, "Config", "Cmd", to=["work"]), IMAGE, "shop/orders:1.7", OLD)
    assert (body["Cmd"], "Entrypoint" in body) == (["work"], False)
    # Beside an entrypoint of the user's own, the image's command does not count: the same words are the user's.
    body, _ = creation(changed(CONTAINER, "Config", "Entrypoint", to=["/own"]), IMAGE, "shop/orders:1.7", OLD)
    assert (body["Entrypoint"], body["Cmd"]) == (["/own"], ["serve"])


OTHER_IMAGE = changed(IMAGE, "Config", "Env", to=["PATH=/bin", "VERSION=1.7"])


@pytest.mark.parametrize(
    ("path", "to", "same"),
    [
        pytest.param(("Config", "Image"), "shop/orders:1.7", True, id="the image's name"),
        pytest.param(("Config", "Env"), ["VERSION=1.7", "PATH=/bin", "PASSWORD=hunter2"], True, id="what the image says"),
        pytest.param(("Config", "Labels", "com.docker.compose.config-hash"), "y", True, id="Compose's own note"),
        pytest.param(("NetworkSettings", "Networks", "shop_default", "IPAddress"), "172.18.0.9", True, id="an address that was given"),
        pytest.param(("Config", "Env"), ["VERSION=1.7", "PATH=/bin", "PASSWORD=other"], False, id="the environment"),
        pytest.param(("Config", "Labels", "shop"), "yes", False, id="a label"),
        pytest.param(("HostConfig", "Privileged"), True, False, id="rights"),
        pytest.param(("Mounts",), CONTAINER["Mounts"][:2], False, id="a mount"),
        pytest.param(("Mounts",), CONTAINER["Mounts"][::-1], True, id="the order of mounts"),
        pytest.param(("NetworkSettings", "Networks", "shop_default", "Aliases"), ["db"], False, id="a name"),
    ],
)  # fmt: skip
def test_two_deployments_differ_in_what_was_asked_for(path: tuple[str, ...], to: Any, *, same: bool) -> None:
    before = changed(CONTAINER, "Config", "Env", to=["PASSWORD=hunter2", *OTHER_IMAGE["Config"]["Env"]])
    assert (digest(changed(before, *path, to=to), OTHER_IMAGE) == digest(CONTAINER, IMAGE)) is same


@pytest.mark.parametrize(
    ("path", "to", "why"),
    [
        (("Config", "Labels"), {**COMPOSED, STACK_LABEL: "nervous-prod"}, "a container of the stack nervous-prod"),
        (("Config", "Labels"), {}, "Docker Compose has not made it"),
        (("Config", "Labels"), {**COMPOSED, "com.docker.compose.oneoff": "True"}, "one run of a command"),
        (("Config", "StopTimeout"), 300, "longer than 60 s to stop"),
        (("HostConfig", "AutoRemove"), True, "removes it when it stops"),
        (("HostConfig", "Links"), ["/db:/orders/db"], "links or volumes of another container"),
        (("HostConfig", "NetworkMode"), "container:abc", "the network of another container"),
        (("HostConfig", "NetworkMode"), "4f" * 32, "named by an id"),
    ],
)
def test_what_cannot_be_made_anew_by_its_description_is_left_alone(path: tuple[str, ...], to: Any, why: str) -> None:
    assert not [*unsuitable(CONTAINER)]
    [reason] = unsuitable(changed(CONTAINER, *path, to=to))
    assert why in reason


class Api:
    """Stands for the engine."""

    def __init__(self, container: dict[str, Any], now: list[float]) -> None:
        self.container, self.images, self.now = container, {NEW: IMAGE, OLD: OTHER_IMAGE}, now
        self.more: list[dict[str, Any]] = []

    def get(self, path: str, **_: str) -> Any:
        if path == "/containers/json":
            own = {
                "Id": self.container["Id"],
                "Names": [self.container["Name"]],
                "Labels": self.container["Config"]["Labels"],
            }
            return [own, *self.more]
        name = path.removeprefix("/images/").removesuffix("/json")
        if path.startswith("/images/"):
            if name not in self.images:
                raise EngineError("the engine answered 404: no such image")
            return self.images[name]
        return self.container


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """1.7 has run for a day, and 1.8 for ten minutes."""
    now = [1_795_521_600.0]  # when the container was made
    monkeypatch.setattr(rollback, "time", SimpleNamespace(time=lambda: now[0], strptime=time.strptime))
    before = changed(CONTAINER, "Config", "Env", to=["PASSWORD=hunter2", *OTHER_IMAGE["Config"]["Env"]])
    for path, value in (
        (("Config", "Image"), "shop/orders:1.7"),
        (("Config", "Hostname"), "a" * 12),
        (("NetworkSettings", "Networks", "shop_default", "Aliases"), ["orders", "a" * 12]),
        (("Id",), "a" * 64),
        (("Image",), OLD),
    ):
        before = changed(before, *path, to=value)
    return Api(before, now)


def deployed(api: Api) -> Rollbacks:
    service = Rollbacks(api)  # type: ignore[arg-type]
    api.now[0] += 86400
    service.watch("shop-orders-1")
    api.now[0] -= 86400 - 600
    api.container = CONTAINER
    service.watch("shop-orders-1")
    return service


def test_what_has_run_for_half_an_hour_is_gone_back_to(api: Api) -> None:
    service = deployed(api)
    plan = service.plan("shop-orders-1")
    assert (plan.called, plan.since) == (OLD, 1_795_521_600.0)  # the name is of no image here
    api.images["shop/orders:1.7"] = OTHER_IMAGE | {"Id": OLD}
    assert service.plan("shop-orders-1").called == "shop/orders:1.7"
    api.images["shop/orders:1.7"] = IMAGE  # the name was given to another image
    assert service.plan("shop-orders-1").called == OLD


def unhealthy(api: Api) -> None:
    api.container = changed(api.container, "State", to={"Running": True, "Health": {"Status": "unhealthy"}})


def several(api: Api) -> None:
    api.more = [{"Id": "d" * 64, "Names": ["/shop-orders-2"]}]


@pytest.mark.parametrize(
    ("differs", "why"),
    [
        (lambda api: setattr(api, "container", {**CONTAINER, "Name": "/other"}), "there is no container shop-orders-1"),
        (lambda api: setattr(api, "container", {**CONTAINER, "Image": OLD}), "has not replaced its image"),
        (lambda api: api.now.__setitem__(0, api.now[0] + 1800), "no deployment of the last half hour"),
        (lambda api: api.images.pop(OLD), "the image shop/orders:1.7 that ran before is no longer on this host"),
        (several, "its service has several containers"),
        (
            lambda api: setattr(api, "container", changed(CONTAINER, "Config", "Labels", to={**COMPOSED, REPLACED: "x"})),
            "what runs is rolled back already",
        ),
        (
            lambda api: setattr(api, "container", changed(CONTAINER, "Config", "Env", to=["A=b"])),
            "the last deployment has changed more than its image",
        ),
    ],
    ids=["none of that name", "the same image", "too late", "no image", "several", "rolled back", "more than the image"],
)  # fmt: skip
def test_what_is_not_simply_the_image_before_is_left_to_people(api: Api, differs: Any, why: str) -> None:
    service = deployed(api)
    differs(api)
    with pytest.raises(DeniedError, match=re.escape(why)):
        service.plan("shop-orders-1")


@pytest.mark.parametrize("at", [0, 1799])
def test_what_has_not_run_for_long_or_is_not_well_is_not_gone_back_to(api: Api, at: int) -> None:
    service = Rollbacks(api)  # type: ignore[arg-type]
    api.now[0] += at
    service.watch("shop-orders-1")
    unhealthy(api)
    api.now[0] += 86400
    service.watch("shop-orders-1")
    api.now[0], api.container = api.now[0] - 86400 - at + 600, CONTAINER
    with pytest.raises(DeniedError, match="what ran before is not known"):
        service.plan("shop-orders-1")
