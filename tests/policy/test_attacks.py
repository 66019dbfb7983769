"""Each attack is refused by the policy meant for it; harmless containers that look alike pass."""

from typing import Any

import pytest

from tests.policy.attacks import (
    ALLOWED,
    CLEAR,
    COMMANDS,
    ENGINE,
    ESCAPES,
    HARMLESS,
    HOST,
    KINDS,
    OTHERS,
    PINNED,
    SHOWN,
    SOCKET,
)
from tests.policy.pack_host import Resource, ask, of_one, policies

GUARDS = (SOCKET, HOST, CLEAR, KINDS, COMMANDS, ENGINE)


@pytest.mark.parametrize(("policy", "props"), ESCAPES.values(), ids=ESCAPES.keys())
def test_a_way_out_of_the_container_is_refused(policy: str, props: dict[str, Any]) -> None:
    assert of_one(policy, props)


@pytest.mark.parametrize("props", SHOWN.values(), ids=SHOWN.keys())
def test_a_secret_in_clear_is_refused_and_not_repeated(props: dict[str, Any]) -> None:
    messages = of_one(CLEAR, props)
    assert messages
    assert not [word for word in ("hunter2", "pepper", "abc123") if word in " ".join(messages)], messages


@pytest.mark.parametrize(("policy", "resource"), OTHERS.values(), ids=OTHERS.keys())
def test_another_resource_that_reaches_the_host_is_refused(policy: str, resource: Resource) -> None:
    assert ask(policy, [resource])


@pytest.mark.parametrize("props", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_harmless_container_passes(props: dict[str, Any]) -> None:
    assert {policy: messages for policy in GUARDS if (messages := of_one(policy, props))} == {}


@pytest.mark.parametrize("resource", ALLOWED.values(), ids=ALLOWED.keys())
def test_another_resource_that_is_harmless_passes(resource: Resource) -> None:
    assert {
        policy: messages
        for policy in (*GUARDS, PINNED)
        if policy in policies() and (messages := ask(policy, [resource]))
    } == {}


def test_what_is_allowed_by_a_config_passes() -> None:
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
