"""The policy on what a proxy of the Docker socket lets through."""

import json
from typing import Any

import pytest

from config.services.metrics import socket_proxy
from tests.policy.pack_host import UNKNOWN, Resource, ask
from tests.support.program import EVERYTHING, config_of, settings_of

POLICY = "engine-doors"
SETTINGS = settings_of(EVERYTHING, secrets=["grafana_password"])
DOOR = dict(config_of("engine_door", SETTINGS).files)
ACTIONS = config_of("healer", SETTINGS).files["actions.json"]
RESTART = "POST /containers/shop-orders/restart []"


def loader(files: dict[str, Any], name: str = "engine_door-loader") -> Resource:
    uploads = [{"file": f"/incoming/{path}", "content": text} for path, text in files.items()]
    return Resource({"name": f"nervous-test-{name}", "uploads": uploads}, name)


BACK = config_of("rollback_door", SETTINGS).files["rollbacks.json"]
HEALER = loader({"actions.json": ACTIONS}, "healer-loader")


def judged(*, cfg: tuple[str, str] = ("", ""), lst: str | None = None, actions: str = ACTIONS) -> list[str]:
    files = DOOR | {"haproxy.cfg": DOOR["haproxy.cfg"].replace(*cfg)}
    assert files != DOOR or not any(cfg)
    own = Resource({"name": "nervous-test-loki"}, "loki")
    return ask(POLICY, [own, loader(files | ({"requests.lst": lst} if lst else {})), loader({"actions.json": actions}, "healer-loader")])  # fmt: skip


def test_what_this_program_declares_passes() -> None:
    assert judged() == []
    assert ask(POLICY, [loader(dict(config_of("socket_proxy", SETTINGS).files), "socket_proxy-loader")]) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("POST /containers/nervous-test-loki/restart []", "which this program declares itself"),
        ("POST /containers/shop-users/restart []", "which no action names"),
        ("POST /containers/cafe/restart []", "which could be the beginning of any container's id"),
        ("POST /containers/shop-orders/stop []", "lets through 'POST /containers/shop-orders/stop []'"),
        ("POST /containers/shop-orders/exec []", "lets through"),
        ('POST /containers/shop-orders/exec [{"Cmd":["ls"],"Privileged":true}]', "lets through"),
        ("POST /containers/create []", "lets through"),
        ("DELETE /containers/shop-orders []", "lets through"),
        ("GET /containers/json []", "lets through"),
        ("GET /containers/shop-orders/json []", "lets through"),
        ("POST /containers/../restart []", "which no action names"),
    ],
)
def test_a_list_names_restarts_and_commands_of_containers_that_an_action_names(line: str, says: str) -> None:
    messages = judged(lst=f"{RESTART}\n{line}\n")
    assert any(says in message for message in messages), messages


@pytest.mark.parametrize(
    "cfg",
    [
        pytest.param(("    http-request deny unless asked\n", ""), id="no bound"),
        pytest.param(("deny unless asked", "deny unless asked or METH_POST"), id="another way"),
        pytest.param(("deny unless asked", "allow if METH_POST\n    http-request deny unless asked"), id="a way round"),
        pytest.param(("-m str -f", "-m beg -f"), id="beginnings"),
        pytest.param(("acl asked var(txn.request) -m str", "acl asked path -m str"), id="paths alone"),
        pytest.param(("[0-9a-f]{64}/start", ".*/start"), id="any command"),
        pytest.param(("%[pathq]", "%[path]"), id="any query"),
        pytest.param((" [%[req.body]]", " []"), id="any body"),
        pytest.param(("default_backend engine", "http-request set-path /x\n    default_backend engine"), id="another path"),
        pytest.param(("{ method GET } { path /_ping }", "{ path /_ping }"), id="any method for the health"),
        pytest.param(("frontend health", "frontend more\n    bind :1\n    default_backend engine\n\nfrontend health"), id="another front"),
        pytest.param(("backend engine\n    server", "listen more\n    bind :1\n    server engine /run/docker.sock\n\nbackend engine\n    server"), id="a front with its own server"),
    ],
)  # fmt: skip
def test_a_door_that_is_wider_than_its_list_is_refused(cfg: tuple[str, str]) -> None:
    [message, *_] = judged(cfg=cfg)
    assert "lets more through to the engine than reading" in message


def test_the_door_is_not_wider_than_the_rules_of_who_acts() -> None:
    other = json.loads(ACTIONS)
    for action in other["actions"]:
        action["container"] = "shop-users"
    [message] = judged(actions=json.dumps(other))
    assert "lets shop-orders be changed, which no action names" in message


def test_an_action_names_no_container_of_the_stack_not_even_in_a_dry_run() -> None:
    document = json.loads(ACTIONS)
    document["actions"].append({**document["actions"][0], "container": "nervous-test-loki", "dry_run": True})
    [message] = judged(actions=json.dumps(document))
    assert message.startswith("an action names nervous-test-loki, which this program declares itself")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("shop-orders", ""),
        ("nervous-test-loki", "which this program declares itself"),
        ("shop-users", "which no action names"),
        ("cafe", "could be the beginning of any container's id"),
    ],
)
def test_what_is_made_anew_is_what_an_action_names(name: str, says: str) -> None:
    own = Resource({"name": "nervous-test-loki"}, "loki")
    back = loader({"rollbacks.json": BACK.replace("shop-orders", name)}, "rollback_door-loader")
    messages = ask(POLICY, [own, HEALER, back])
    assert any(says in message for message in messages) if says else messages == []


def test_the_read_only_proxy_may_not_pass_anything_else() -> None:
    files = dict(config_of("socket_proxy", SETTINGS).files)
    for old, new in (("deny unless METH_GET or METH_HEAD", "deny if METH_DELETE"), ("    http-request deny unless METH_GET or METH_HEAD\n", "")):  # fmt: skip
        changed = files | {"haproxy.cfg": files["haproxy.cfg"].replace(old, new)}
        assert changed != files
        [message] = ask(POLICY, [loader(changed, "socket_proxy-loader")])
        assert "its front docker lets more through" in message
    assert socket_proxy.LUA.name in files


def test_a_config_that_is_not_known_yet_is_refused_only_where_it_is_a_config() -> None:
    assert ask(POLICY, [loader({"actions.json": UNKNOWN})])
    assert ask(POLICY, [Resource({"name": "app"})]) == []
