"""What every ssh client is told that speaks to an engine."""

from typing import Any

import pytest

from config.settings.docker import Docker


def options(**ssh: Any) -> list[str]:
    return Docker.model_validate({"host": "ssh://deploy@vps.example", "ssh": ssh or None}).ssh_options


@pytest.mark.parametrize("host", ["ssh://deploy@vps.example:2222", "ssh://deploy@vps.example:2222/"])
def test_the_provider_is_told_the_socket_of_an_ssh_host(host: str) -> None:
    address = Docker.model_validate({"host": host}).provider_host
    assert address == "ssh://deploy@vps.example:2222/var/run/docker.sock"


@pytest.mark.parametrize(
    ("host", "socket"),
    [
        ("unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("unix:///var//run/../run/docker.sock", "/var/run/docker.sock"),
        ("ssh://deploy@vps.example/run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("ssh://deploy@vps.example/", "/var/run/docker.sock"),
        ("tcp://127.0.0.1:2375", "/var/run/docker.sock"),
    ],
)
def test_the_socket_of_the_engine_is_where_the_host_says(host: str, socket: str) -> None:
    docker = Docker.model_validate({"host": host})
    assert docker.socket == socket
    assert host.startswith(("unix:", "tcp:")) or docker.provider_host == f"ssh://deploy@vps.example{socket}"


@pytest.mark.parametrize("host", ["unix:///run/user/1000/docker.sock", "tcp://127.0.0.1:2375"])
def test_the_provider_is_told_other_hosts_as_they_are(host: str) -> None:
    assert Docker.model_validate({"host": host}).provider_host == host


def test_other_hosts_need_none() -> None:
    assert Docker().ssh_options == []


def test_a_host_is_never_believed_nor_anybody_asked() -> None:
    assert {"-oStrictHostKeyChecking=yes", "-oBatchMode=yes"} <= set(options())
    assert not [option for option in options() if "KnownHosts" in option]  # those that the user's ssh knows


def test_a_file_of_host_keys_is_the_only_one_that_is_believed() -> None:
    flags = options(known_hosts="hosts/known", key="~/.ssh/deploy")
    assert {"-oUserKnownHostsFile=hosts/known", "-oGlobalKnownHostsFile=/dev/null"} <= set(flags)
    assert {"-oIdentityFile=~/.ssh/deploy", "-oIdentitiesOnly=yes"} <= set(flags)


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        ("bastion.example", "-p 22 bastion.example"),
        ("me@bastion.example", "-l me -p 22 bastion.example"),
        ("me@bastion.example:2222", "-l me -p 2222 bastion.example"),
    ],
)
def test_a_jump_host_is_held_to_the_same(jump: str, words: str) -> None:
    [command] = [option for option in options(jump=jump, known_hosts="known") if "ProxyCommand" in option]
    assert command.endswith(f"-W '[%h]:%p' {words}")
    assert " -oStrictHostKeyChecking=yes " in command
    assert " -oUserKnownHostsFile=known " in command


def test_all_share_one_login_and_none_of_them_at_the_jump_host() -> None:
    flags = options(jump="bastion.example")
    assert "-oControlMaster=auto" in flags
    assert "Control" not in flags[-1]
