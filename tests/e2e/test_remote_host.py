"""A host that is reached by ssh, then by tcp with TLS: deployed, changed, checked and taken down over that way alone.

It has 4 GB, and the stack is sized for it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import check
from config.sizes import MIB
from engine.docker_api import connect
from tests.e2e import backups
from tests.support.deployment import Deployment
from tests.support.ports import publish
from tests.support.remote import Sshd, TlsFront, dumped
from tests.support.wait import until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("host") / "sshd") as running:
        yield running


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("another") / "sshd") as running:
        yield running


@pytest.fixture(scope="module")
def deployment(host: Sshd, deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """Not up yet. The host is known by a file of the project, as in the stack files of this repository."""
    ports = publish("prometheus", "alertmanager", "loki")
    more = {"memory": {"host": "4GiB"}, "publish": ports, "grafana": {"enabled": False}}
    with deploy("remote", docker=over_ssh(host), **more) as stack:
        (stack.folder / "known_hosts").write_text(host.known_hosts.read_text())
        with contextlib.chdir(stack.folder):
            yield stack


def over_ssh(host: Sshd) -> dict[str, Any]:
    """The setting `docker`."""
    return host.docker(known_hosts="known_hosts")


def changed_by_up(stack: Deployment, *arguments: str) -> set[str]:
    """Names of the containers that `up` has made or started anew."""
    before = {name: (identifier, _started(stack, name)) for name, identifier in stack.containers().items()}
    stack.up(*arguments)
    after = {name: (identifier, _started(stack, name)) for name, identifier in stack.containers().items()}
    return {name.removeprefix(f"{stack.prefix}-") for name in after if after[name] != before.get(name)}


def _started(stack: Deployment, name: str) -> str:
    return str(stack.client.containers.get(name).attrs["State"]["StartedAt"])


# Who is let in


def test_a_host_with_another_key_than_the_known_one_is_refused_in_one_line(
    deployment: Deployment, another: Sshd
) -> None:
    deployment.config["docker"] = another.docker(known_hosts=str(another.wrong_known_hosts))
    printed = deployment.up(fails=True)
    assert (
        f"docker.host: the engine at ssh://{another.address} does not answer: its host key is not the one that is known"
        in printed
    )
    assert "Traceback" not in printed
    assert another.logins == 0
    assert deployment.containers() == {}


@pytest.mark.parametrize(
    ("source", "refusal"),
    [("wrong_known_hosts", "is not the one that is known"), (None, "its host key is not known")],
    ids=["a jump host with another key", "a jump host that is not known"],
)
def test_a_jump_host_has_to_prove_itself_too(
    source: str | None, refusal: str, host: Sshd, another: Sshd, tmp_path: Path
) -> None:
    both = tmp_path / "known_hosts"
    both.write_text(host.known_hosts.read_text() + (Path(getattr(another, source)).read_text() if source else ""))
    with pytest.raises(ConnectionError, match=refusal):
        connect(dumped(host.docker(known_hosts=str(both), jump=another.address)))
    assert another.logins == 0


def test_a_host_is_reached_over_a_jump_host(host: Sshd, another: Sshd, tmp_path: Path) -> None:
    both = tmp_path / "known_hosts"
    both.write_text(host.known_hosts.read_text() + another.known_hosts.read_text())
    (another.folder / "user.pub").write_bytes((host.folder / "user.pub").read_bytes())
    client = connect(dumped(host.docker(known_hosts=str(both), jump=another.address)))
    assert client.ping()
    assert (host.logins, another.logins) == (1, 1)


# Over ssh


def test_up_over_ssh_puts_everything_on_the_host_and_does_not_log_in_for_each_request(
    deployment: Deployment, host: Sshd
) -> None:
    deployment.config["docker"] = over_ssh(host)
    before = host.logins
    assert "prometheus" in changed_by_up(deployment)
    assert 0 < host.logins - before < len(deployment.resources()) / 2
    services = deployment.settings.services
    limits = [deployment.container(service).attrs["HostConfig"]["Memory"] for service in services]
    assert sum(limits) <= 3 * 1024 * MIB


def test_a_second_up_and_a_refresh_over_ssh_find_nothing_to_do(deployment: Deployment) -> None:
    assert changed_by_up(deployment, "--refresh", "--expect-no-changes") == set()


def test_a_changed_rule_is_live_over_ssh_without_a_restart(deployment: Deployment) -> None:
    deployment.config["alerts"] = {"thresholds": {"cpu": 87}}
    assert changed_by_up(deployment) == {"prometheus-loader"}
    assert any("87" in rule["query"] for rule in deployment.rules().values())


def test_every_promise_is_kept_over_ssh(deployment: Deployment) -> None:
    assert not [finding for finding in check.run(deployment.settings) if not finding.kept]


# Over tcp with TLS


def test_the_same_stack_goes_on_over_tcp_with_tls(deployment: Deployment, tmp_path: Path) -> None:
    with TlsFront(tmp_path / "tls") as front:
        deployment.config["docker"] = front.docker()
        deployment.config["alerts"] = {"thresholds": {"cpu": 88}}
        assert changed_by_up(deployment, "--refresh") == {"prometheus-loader"}
        assert front.connections
        assert any("88" in rule["query"] for rule in deployment.rules().values())
        broken = [finding for finding in check.run(deployment.settings) if not finding.kept]
        assert not broken


def test_an_engine_is_believed_by_the_authority_of_the_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TlsFront(tmp_path / "tls") as front, TlsFront(tmp_path / "other") as other:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.folder / "ca.pem"))
        assert connect(dumped(front.docker()), timeout=10).ping()
        where = {**front.docker(), "certificates": str(other.folder)}
        with pytest.raises(Exception, match="certificate verify failed"):
            connect(dumped(where), timeout=10).ping()


# The last ones: they take the stack down.


def test_a_backup_comes_here_over_ssh_and_goes_back_to_a_host_whose_state_is_lost(
    deployment: Deployment, host: Sshd, tmp_path: Path
) -> None:
    deployment.config["docker"] = over_ssh(host)
    deployment.up()
    backups.silence(deployment, "before")
    until(lambda: deployment.query("up == 1"))
    then = f"{time.time() - 10:.3f}"
    series, logins = backups.series(deployment, then), host.logins
    assert series
    address = backups.take(deployment, tmp_path)
    assert 0 < host.logins - logins < len(backups.manifest(address).files)
    backups.silence(deployment, "since")

    state = deployment.folder / "state"
    state.rename(tmp_path / "lost")
    state.mkdir()
    printed = deployment.operate("restore", "--from", str(address), "--replace")
    print(printed)
    assert "all kept" in printed  # the check after it
    assert backups.series(deployment, then) == series
    assert backups.silences(deployment) == ["before"]


def test_down_over_ssh_leaves_nothing_that_runs(deployment: Deployment, host: Sshd) -> None:
    deployment.config["docker"] = over_ssh(host)
    if not deployment.containers():
        deployment.up()
    deployment.pulumi("destroy", "--yes", "--skip-preview")
    assert deployment.containers() == {}


def test_without_the_host_nothing_is_done_elsewhere(deployment: Deployment, host: Sshd) -> None:
    host.stop()
    printed = deployment.up(fails=True)
    assert f"the engine at ssh://{host.address} does not answer" in printed
    assert deployment.containers() == {}
