"""What holds for every service, before any resource of it exists."""

import re
from functools import cache
from pathlib import PurePosixPath

import pytest

from config.container import DIRECTORY, ConfigFiles, Container
from config.ports import METRICS
from config.settings import SECRETS, SERVICES
from tests.unit.conftest import EVERYTHING, SECRET_TEXT, described, settings_of

SETTINGS = settings_of(EVERYTHING, secrets=SECRETS)
WITHOUT_SECRETS = settings_of(EVERYTHING)


@cache
def made(service: str) -> Container:
    """What every secret and every exporter makes of `service`."""
    return described(service, SETTINGS)


def files_of(service: str) -> ConfigFiles:
    config = made(service).config
    assert config is not None
    return config


CONFIGURED = [service for service in SERVICES if made(service).config]
TOLD_BY_SIGNAL = [service for service in CONFIGURED if files_of(service).reload == "SIGHUP"]
SCRATCH = {"nginx_exporter", "mongodb_exporter"}
"""Images without a shell: nothing inside could check the health, nor load a file."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_called_as_its_module_and_serves_on_its_port(service: str) -> None:
    container = made(service)
    assert (container.service, container.port) == (service, METRICS[service])


@pytest.mark.parametrize("service", SERVICES)
def test_user_and_group_are_numbers_as_the_file_permissions_need(service: str) -> None:
    assert re.fullmatch(r"\d+:\d+", made(service).user)


def test_only_who_needs_the_hosts_kernel_or_socket_is_root() -> None:
    roots = {service for service in SERVICES if made(service).user.startswith("0:")}
    assert roots == {"cadvisor", "socket_proxy"}


@pytest.mark.parametrize("service", sorted(set(SERVICES) - SCRATCH))
def test_health_is_asked_inside_on_the_own_port(service: str) -> None:
    health = made(service).health
    assert health is not None
    assert health[0] == "wget"
    assert health[-1].startswith(f"http://127.0.0.1:{METRICS[service]}/")
    assert "/dev/null" in health  # without it, wget would write into a read-only root


@pytest.mark.parametrize("service", sorted(SCRATCH))
def test_an_image_without_a_shell_has_neither_health_check_nor_files(service: str) -> None:
    container = made(service)
    assert container.health is None
    assert container.config is None


@pytest.mark.parametrize("service", SERVICES)
def test_rendering_twice_makes_the_same_bytes(service: str) -> None:
    one, other = made(service), described(service, settings_of(EVERYTHING, secrets=SECRETS))
    assert (one.command, one.environment, one.mounts) == (other.command, other.environment, other.mounts)
    if one.config and other.config:
        assert dict(one.config.files) == dict(other.config.files)
        assert list(one.config.files) == list(other.config.files)
        assert dict(one.config.expect) == dict(other.config.expect)


@pytest.mark.parametrize("service", CONFIGURED)
def test_files_have_plain_relative_names(service: str) -> None:
    config = files_of(service)
    for name in [*config.files, *config.secrets]:
        path = PurePosixPath(name)
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert path.parts[0] not in {"secrets", ".keep"}  # where the loader puts its own


@pytest.mark.parametrize("service", CONFIGURED)
def test_files_name_each_other_relatively_or_the_validator_would_judge_the_live_ones(service: str) -> None:
    """Alertmanager reads its secrets at every notification, by absolute names; no validator looks into them."""
    for text in files_of(service).files.values():
        named = set(re.findall(rf"{DIRECTORY}[^\s'\"]*", text))
        assert all(name.startswith(f"{DIRECTORY}/secrets/") for name in named)
        assert not named or service == "alertmanager"


@pytest.mark.parametrize("service", CONFIGURED)
def test_every_file_that_command_environment_or_files_name_is_delivered(service: str) -> None:
    container, config = made(service), files_of(service)
    texts = [*container.command, *container.environment.values(), *config.files.values()]
    named = {name for text in texts for name in re.findall(rf"{DIRECTORY}/([^\s'\"]+)", text)}
    assert named
    assert named <= {*config.files, *(f"secrets/{path}" for path in config.secrets)}


@pytest.mark.parametrize("service", CONFIGURED)
def test_the_validator_names_the_file_relatively(service: str) -> None:
    config = files_of(service)
    assert DIRECTORY not in config.validate
    if config.files:
        assert any(name in config.validate for name in config.files)


@pytest.mark.parametrize("service", TOLD_BY_SIGNAL)
def test_who_is_told_by_a_signal_says_which_files_it_runs(service: str) -> None:
    config = files_of(service)
    assert all(url.startswith(f"http://127.0.0.1:{METRICS[service]}/") for url in config.expect)
    assert any(text.endswith("config_last_reload_successful 1") for text in config.expect.values())
    [marker] = {found for text in config.expect.values() for found in re.findall(r"[0-9a-f]{12}", text)}
    assert sum(marker in text for text in config.files.values()) == 1


def test_who_says_nothing_of_its_files_is_restarted() -> None:
    silent = {service for service in CONFIGURED if not files_of(service).expect}
    assert silent == set(CONFIGURED) - set(TOLD_BY_SIGNAL)


# Secrets.


def test_every_secret_reaches_the_service_that_needs_it_and_no_other() -> None:
    readers = {secret.key: service for service in CONFIGURED for secret in files_of(service).secrets.values()}
    assert readers == {
        "slack_webhook": "alertmanager",
        "pagerduty_key": "alertmanager",
        "deadman_url": "alertmanager",
        "postgres_password": "postgres_exporter",
        "redis_password": "redis_exporter",
        "elasticsearch_password": "elasticsearch_exporter",
    }
    assert readers.keys() == SECRETS.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_without_secrets_there_are_no_secret_files_and_nobody_looks_for_them(service: str) -> None:
    container = described(service, WITHOUT_SECRETS)
    files = container.config.files if container.config else {}
    assert not (container.config and container.config.secrets)
    assert not any(
        "/secrets" in text for text in [*container.command, *container.environment.values(), *files.values()]
    )


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_in_its_file_as_the_service_reads_it(key: str) -> None:
    [secret] = [s for service in CONFIGURED for s in files_of(service).secrets.values() if s.key == key]
    assert SECRET_TEXT in secret.render(SECRET_TEXT)


@pytest.mark.parametrize("service", SERVICES)
def test_the_host_is_seen_through_few_windows(service: str) -> None:
    container = made(service)
    windows = {mount.host for mount in container.mounts} | set(container.devices)
    allowed = {
        "node_exporter": {"/"},
        "cadvisor": {"/", "/var/run", "/sys", "/var/lib/docker", "/dev/kmsg"},
        "socket_proxy": {"/var/run/docker.sock"},
    }
    assert windows <= allowed.get(service, set())
