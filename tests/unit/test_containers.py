"""What holds for every service, before any resource of it exists."""

import re
import unicodedata
from functools import cache
from pathlib import PurePosixPath

import pytest

from config.catalogue import ROWS
from config.container import DIRECTORY, ConfigFiles, Container
from config.metrics_pages import METRICS_PAGES
from config.ports import METRICS
from config.services.logs import shipper
from config.settings.secret_keys import SECRETS
from tests.support.program import EVERYTHING, SECRET_TEXT, described, settings_of

SERVICES = tuple(ROWS)
"""All that can be described, whatever a stack selects."""
SETTINGS = settings_of(EVERYTHING, secrets=SECRETS)
WITHOUT_SECRETS = settings_of(EVERYTHING)


@cache
def container_of(service: str) -> Container:
    """What every secret and every exporter makes of `service`."""
    return described(service, SETTINGS)


def listens(service: str) -> str:
    address = SETTINGS.listens(service)
    everywhere = address == "0.0.0.0"  # noqa: S104 - compared
    return "127.0.0.1" if everywhere and service != "elasticsearch_exporter" else address


def files_of(service: str) -> ConfigFiles:
    config = container_of(service).config
    assert config is not None
    return config


CONFIGURED = [service for service in SERVICES if container_of(service).config]
TOLD_BY_SIGNAL = [service for service in CONFIGURED if files_of(service).reload == "SIGHUP"]
LOGS_OF_HOST = {mount.host for mount in shipper.mounts(SETTINGS)}
SCRATCH = {"nginx_exporter", "mongodb_exporter"}
"""Images without a shell: nothing inside could check the health, nor load a file, which busybox does instead."""
WITHOUT_METRICS = {
    "elasticsearch": 9200,
    "opensearch": 9200,
    "jaeger_es_index_cleaner": None,
    "engine_door": None,
    "rollback_door": None,
}
"""Service → where it serves."""
OTHERS = sorted(
    {service for service in SERVICES if container_of(service).tools} - SCRATCH - {*WITHOUT_METRICS, "jaeger"}
)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_called_as_its_module_and_serves_on_its_port(service: str) -> None:
    container = container_of(service)
    assert container.service == service
    assert container.port == METRICS.get(service, WITHOUT_METRICS.get(service))


@pytest.mark.parametrize("service", SERVICES)
def test_user_and_group_are_numbers_as_the_file_permissions_need(service: str) -> None:
    assert re.fullmatch(r"\d+:\d+", container_of(service).user)


def test_only_who_needs_the_hosts_kernel_or_socket_is_root() -> None:
    roots = {service for service in SERVICES if container_of(service).user.startswith("0:")}
    assert roots == {"cadvisor", "socket_proxy", "engine_door", "rollback_door", "promtail"}
    assert not container_of("promtail").capabilities  # root, but only of its own volume, which the image gives to root


@pytest.mark.parametrize("service", OTHERS)
def test_health_is_asked_inside_on_the_own_port(service: str) -> None:
    health = container_of(service).health
    assert health is not None
    assert health[0] == "wget"
    address = listens(service)
    assert health[-1].startswith(f"http://{address}:{METRICS[service]}/")
    assert "/dev/null" in health  # without it, wget would write into a read-only root


@pytest.mark.parametrize(
    ("service", "tool", "url"),
    [
        ("jaeger", "wget", "http://127.0.0.1:13133/status"),
        ("elasticsearch", "curl", "http://127.0.0.1:9200/_cluster/health?wait_for_status=yellow&timeout=5s"),
        ("opensearch", "curl", "http://127.0.0.1:9200/_cluster/health?wait_for_status=yellow&timeout=5s"),
    ],
)
def test_health_of_what_serves_elsewhere(service: str, tool: str, url: str) -> None:
    health = container_of(service).health
    assert health is not None
    assert (health[0], health[-1]) == (tool, url)
    assert "/dev/null" in health


@pytest.mark.parametrize("service", sorted(SCRATCH))
def test_an_image_without_a_shell_has_no_health_check_and_loads_no_files(service: str) -> None:
    container = container_of(service)
    assert container.health is None
    assert container.config is None or not container.tools


@pytest.mark.parametrize("service", SERVICES)
def test_rendering_twice_makes_the_same_bytes(service: str) -> None:
    one, other = container_of(service), described(service, settings_of(EVERYTHING, secrets=SECRETS))
    assert (one.command, one.environment, one.mounts) == (other.command, other.environment, other.mounts)
    if one.config and other.config:
        assert dict(one.config.files) == dict(other.config.files)
        assert list(one.config.files) == list(other.config.files)
        assert dict(one.config.expect) == dict(other.config.expect)


@pytest.mark.parametrize("service", CONFIGURED)
def test_files_are_spelled_as_they_arrive(service: str) -> None:
    """The provider makes one spelling (NFC) of each text on its way to the engine: another one has another digest there."""
    files = files_of(service).files
    assert [name for name, text in files.items() if not unicodedata.is_normalized("NFC", text)] == []


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
    """Alertmanager reads its secrets at every notification, by absolute names; no validator looks into them. Grafana has
    no validator."""
    for text in files_of(service).files.values():
        named = set(re.findall(rf"{DIRECTORY}[^\s'\"]*", text))
        assert all(name.startswith(f"{DIRECTORY}/secrets/") for name in named) or service == "grafana"
        assert not named or service in {"alertmanager", "grafana"}


@pytest.mark.parametrize("service", CONFIGURED)
def test_every_file_that_command_environment_or_files_name_is_delivered(service: str) -> None:
    container, config = container_of(service), files_of(service)
    texts = [*container.command, *container.environment.values(), *config.files.values()]
    named = {name for text in texts for name in re.findall(rf"{DIRECTORY}/([^\s'\"}}]+)", text)}
    assert named
    delivered = {*config.files, *(f"secrets/{path}" for path in config.secrets)}
    folders = {str(folder) for path in delivered for folder in PurePosixPath(path).parents}
    assert named <= delivered | folders


@pytest.mark.parametrize("service", sorted({*CONFIGURED} - {"grafana"}))  # which has none
def test_the_validator_names_the_file_relatively(service: str) -> None:
    config = files_of(service)
    if config.files:
        assert config.validate
        assert DIRECTORY not in config.validate
        assert any(name in config.validate for name in config.files)


@pytest.mark.parametrize("service", TOLD_BY_SIGNAL)
def test_who_is_told_by_a_signal_says_which_files_it_runs(service: str) -> None:
    config = files_of(service)
    assert all(url.startswith(f"http://{listens(service)}:{METRICS[service]}/") for url in config.expect)
    # The collector has no such metric, and no need of one: it ends when it cannot take its new files. Alloy tells by a
    # page.
    reload_metric = any(text.endswith("config_last_reload_successful 1") for text in config.expect.values())
    assert reload_metric or service in {"otel_collector", "alloy"}
    if service not in {"alloy", "edge_door", "incidents", "healer"}:  # which hash their files themselves
        [marker] = {digest for text in config.expect.values() for digest in re.findall(r"[0-9a-f]{12}", text)}
        assert sum(marker in text for text in config.files.values()) == 1


def test_who_says_nothing_of_its_files_is_restarted() -> None:
    silent = {service for service in CONFIGURED if not files_of(service).expect}
    assert silent <= {service for service in CONFIGURED if files_of(service).reload == "restart"}


# Secrets.

READ_ELSEWHERE = {"traces_password", "centre_password"}
"""Only for a cluster that is there already: tests/unit/test_jaeger.py; and on an edge: tests/unit/test_edges.py."""


def test_every_secret_reaches_the_service_that_needs_it_and_no_other() -> None:
    readers = {secret.key: service for service in CONFIGURED for secret in files_of(service).secrets.values()}
    assert readers == {
        "slack_webhook": "alertmanager",
        "pagerduty_key": "alertmanager",
        "deadman_url": "alertmanager",
        **{f"{row.watches}_{row.credential}": row.name for row in ROWS.values() if row.login},
        **{f"{page.key}_password": "prometheus" for page in METRICS_PAGES},
        "s3_credentials": "loki",
        "grafana_password": "grafana",
        "grafana_secret_key": "grafana",
    }
    assert readers.keys() == SECRETS.keys() - READ_ELSEWHERE


@pytest.mark.parametrize("service", sorted({*SERVICES} - {"grafana"}))  # which its secret turns on
def test_without_secrets_there_are_no_secret_files_and_nobody_looks_for_them(service: str) -> None:
    container = described(service, WITHOUT_SECRETS)
    files = container.config.files if container.config else {}
    assert not (container.config and container.config.secrets)
    assert not any(
        "/secrets" in text for text in [*container.command, *container.environment.values(), *files.values()]
    )


@pytest.mark.parametrize("key", sorted(SECRETS.keys() - READ_ELSEWHERE))
def test_a_secret_is_in_its_file_as_the_service_reads_it(key: str) -> None:
    [secret] = [s for service in CONFIGURED for s in files_of(service).secrets.values() if s.key == key]
    rendered = secret.render(SECRET_TEXT)
    assert all(part in rendered for part in SECRET_TEXT.split(":"))  # of some, the parts stand on lines of their own


@pytest.mark.parametrize("service", SERVICES)
def test_the_host_is_seen_through_few_windows(service: str) -> None:
    container = container_of(service)
    windows = {mount.host for mount in container.mounts} | set(container.devices)
    allowed = {
        "node_exporter": {"/", "/proc/1/net"},
        "cadvisor": {"/", "/sys", "/var/lib/docker", "/dev/kmsg"},
        "socket_proxy": {"/var/run/docker.sock"},
        "engine_door": {"/var/run/docker.sock"},
        "rollback_door": {"/var/run/docker.sock"},
        "alloy": LOGS_OF_HOST,
        "promtail": LOGS_OF_HOST,
    }
    assert windows <= allowed.get(service, set())
