"""The policy on the engine that a program reaches. Single providers are in `attacks.py`."""

import pytest

from config.settings.docker import Docker
from policies.readers.declared_resources import PROVIDER
from tests.policy.pack_host import Resource, ask

POLICY = "one-engine"


def provider(name: str, **props: object) -> Resource:
    return Resource(dict(props), name, PROVIDER)


def test_a_second_engine_is_refused_and_a_second_provider_of_the_same_passes() -> None:
    here, same = provider("engine", host="unix:///run/docker.sock"), provider("again", host="unix:///run/docker.sock")
    other, default = provider("other", host="ssh://ops@elsewhere"), provider("default_5_2_0")
    assert ask(POLICY, [here, same]) == []
    assert ask(POLICY, [default]) == []
    [refused] = ask(POLICY, [here, other])
    assert "provider other: it leads to another engine than engine" in refused
    assert len(ask(POLICY, [here, default])) == 1
    assert ask(POLICY, [here, other], config={"allowed": {"other:host": "it has stacks of its own"}}) == []


@pytest.mark.parametrize(
    "ssh",
    [
        None,
        {"key": "~/.ssh/id_ed25519", "known_hosts": "keys/known_hosts"},
        {"key": "id", "known_hosts": "known", "jump": "ops@jump.example.com:2222"},
        {"jump": "jump.example.com"},
    ],
)
def test_the_options_that_the_settings_give_to_ssh_pass(ssh: dict[str, str] | None) -> None:
    docker = Docker.model_validate({"host": "ssh://ops@vps.example.com"} | ({"ssh": ssh} if ssh else {}))
    assert docker.ssh_options
    assert ask(POLICY, [provider("engine", host=docker.provider_host, sshOpts=docker.ssh_options)]) == []


def test_an_option_of_ssh_is_allowed_by_its_provider_and_text() -> None:
    odd = provider("engine", host="ssh://h", sshOpts=["-oKexAlgorithms=x"])
    assert len(ask(POLICY, [odd])) == 1
    assert ask(POLICY, [odd], config={"allowed": {"engine:-oKexAlgorithms=x": "an old host"}}) == []
