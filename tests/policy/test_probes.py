"""Each probe is refused by the policy that is for it, and nothing harmless is."""

from typing import Any

import pytest

from tests.policy.engine import Resource, ask, of_one, policies
from tests.policy.probes import ALLOWED, CLEAR, COMMANDS, ESCAPES, HARMLESS, HOST, KINDS, OTHERS, PINNED, SHOWN, SOCKET

GUARDS = (SOCKET, HOST, CLEAR, KINDS, COMMANDS)


@pytest.mark.parametrize(("policy", "props"), ESCAPES.values(), ids=ESCAPES.keys())
def test_a_way_out_of_the_container_is_refused(policy: str, props: dict[str, Any]) -> None:
    assert of_one(policy, props)


@pytest.mark.parametrize("props", SHOWN.values(), ids=SHOWN.keys())
def test_a_secret_in_clear_is_refused_and_not_repeated(props: dict[str, Any]) -> None:
    found = of_one(CLEAR, props)
    assert found
    assert not [word for word in ("hunter2", "pepper", "abc123") if word in " ".join(found)], found


@pytest.mark.parametrize(("policy", "resource"), OTHERS.values(), ids=OTHERS.keys())
def test_another_resource_that_reaches_the_host_is_refused(policy: str, resource: Resource) -> None:
    assert ask(policy, [resource])


@pytest.mark.parametrize("props", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_harmless_container_is_let_through(props: dict[str, Any]) -> None:
    assert {policy: said for policy in GUARDS if (said := of_one(policy, props))} == {}


@pytest.mark.parametrize("resource", ALLOWED.values(), ids=ALLOWED.keys())
def test_another_resource_that_is_harmless_is_let_through(resource: Resource) -> None:
    assert {
        policy: said for policy in (*GUARDS, PINNED) if policy in policies() and (said := ask(policy, [resource]))
    } == {}


def test_what_is_allowed_by_a_config_is_let_through() -> None:
    device = {"devices": [{"hostPath": "/dev/fuse"}]}
    assert of_one(HOST, device, config={"allowed": {"app:/dev/fuse rwm": "it mounts"}}) == []
    share = {"mounts": [{"type": "bind", "source": "/etc/ssl/private", "target": "/x", "readOnly": True}]}
    assert of_one(HOST, share, config={"allowed": {"app:read /etc/ssl": "it ends TLS"}}) == []
    assert of_one(HOST, share, config={"allowed": {"app:read /etc/ss": "another folder"}})
    share["mounts"][0]["readOnly"] = False
    assert of_one(HOST, share, config={"allowed": {"app:read /etc/ssl": "it ends TLS"}})
    redis = {"mounts": [{"type": "bind", "source": "/run/redis/redis.sock", "target": "/x", "readOnly": True}]}
    assert of_one(SOCKET, redis, config={"allowed": {"app:/run/redis/redis.sock": "it asks Redis"}}) == []
    vault = {"volumes": [{"fromContainer": "another"}]}
    assert of_one(HOST, vault, name="grafana-loader") == []
