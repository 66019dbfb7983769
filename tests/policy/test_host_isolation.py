"""The policy on what a container may see and change of its host."""

from typing import Any

import pytest

from tests.policy.pack_host import UNKNOWN, of_one


def bind(source: Any, **more: Any) -> dict[str, Any]:
    return {"mounts": [{"type": "bind", "source": source, "target": "/x", **more}]}


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"networkMode": "bridge", "ipcMode": "private", "privileged": False}, None, id="isolated"),
        pytest.param(
            {"capabilities": {"drops": ["ALL"], "adds": ["CAP_NET_BIND_SERVICE"]}}, None, id="a weak capability"
        ),
        pytest.param({"securityOpts": ["no-new-privileges:true"]}, None, id="an option that protects"),
        pytest.param(bind("/etc/ssl/certs", readOnly=True), None, id="a system folder without keys, read-only"),
        pytest.param(bind("/srv/data"), None, id="another folder"),
        pytest.param(bind("/var/lib/app/data"), None, id="data below /var"),
        pytest.param({"privileged": True}, "it is privileged", id="privileged"),
        pytest.param({"networkMode": "host"}, "networkMode is host", id="network"),
        pytest.param({"pidMode": "host"}, "pidMode is host", id="processes"),
        pytest.param({"ipcMode": "host"}, "ipcMode is host", id="memory"),
        pytest.param({"usernsMode": "host"}, "usernsMode is host", id="users"),
        pytest.param({"capabilities": {"adds": ["CAP_SYS_ADMIN"]}}, "CAP_SYS_ADMIN", id="a strong capability"),
        pytest.param({"capabilities": {"adds": ["net_admin"]}}, "CAP_NET_ADMIN", id="in another spelling"),
        pytest.param({"capabilities": {"adds": ["ALL"]}}, "CAP_ALL may let", id="all capabilities"),
        pytest.param({"securityOpts": ["seccomp=unconfined"]}, "seccomp=unconfined removes a protection", id="seccomp"),
        pytest.param({"securityOpts": ["apparmor:unconfined"]}, "removes a protection", id="AppArmor"),
        pytest.param({"securityOpts": ["label:disable"]}, "removes a protection", id="SELinux"),
        pytest.param(bind("/etc"), "it may write to /etc of the host", id="a system folder"),
        pytest.param(bind("/etc/cron.d"), "it may write to /etc/cron.d", id="one below it"),
        pytest.param(bind("/"), "it may write to / of the host", id="everything"),
        pytest.param({"privileged": UNKNOWN}, "privileged is not known", id="may be privileged"),
        pytest.param({"networkMode": UNKNOWN}, "networkMode is not known", id="an unknown network"),
        pytest.param({"capabilities": {"adds": UNKNOWN}}, "capabilities.adds is not known", id="unknown capabilities"),
        pytest.param(bind("/etc", readOnly=UNKNOWN), "mounts.0.readOnly is not known", id="may be read-only"),
    ],
)
def test_apart_from_the_host(props: dict[str, Any], says: str | None) -> None:
    messages = of_one("apart-from-the-host", props)
    assert len(messages) == (says is not None), messages
    assert says is None or says in messages[0]


@pytest.mark.parametrize(
    ("props", "key"),
    [
        ({"privileged": True}, "app:privileged"),
        ({"networkMode": "host"}, "app:network"),
        ({"pidMode": "host"}, "app:pid"),
        ({"capabilities": {"adds": ["CAP_SYS_ADMIN"]}}, "app:CAP_SYS_ADMIN"),
        ({"securityOpts": ["seccomp=unconfined"]}, "app:seccomp=unconfined"),
        (bind("/etc"), "app:/etc"),
    ],
)
def test_it_is_allowed_by_its_container_and_name(props: dict[str, Any], key: str) -> None:
    assert of_one("apart-from-the-host", props, config={"allowed": {key: "because"}}) == []
    assert len(of_one("apart-from-the-host", props, name="other", config={"allowed": {key: "because"}})) == 1
