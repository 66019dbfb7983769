"""Kinds of servers that serve their own metrics: what each of them consists of."""

import subprocess
from pathlib import Path

import pytest

from config.alerts import EVERYTHING as EVERY_JOB
from config.alerts import Alert, Job, groups, render
from config.metrics_pages import METRICS_PAGES, MetricsPage
from config.services.metrics import prometheus, scrape, scrape_proxy
from tests.support.program import SECRET_TEXT, config_of, refusal, settings_of
from tests.unit.relabel import targets

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate, as a stack file has it."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out {file} -subj /CN=authority"
    subprocess.run(command.split(), check=True, capture_output=True)
    return " ".join(file.read_text().split("\n"))


@pytest.mark.parametrize("page", METRICS_PAGES, ids=lambda page: page.key)
def test_a_row_is_enough_for_setting_jobs_and_alerts(page: MetricsPage) -> None:
    settings = settings_of({"exporters": {page.key: {"targets": [page.example]}}})
    watched = scrape.watched(settings)
    assert {*page.jobs} <= watched & {*Job}
    assert not {*page.jobs} & scrape.watched(settings_of())
    assert f"rules/{page.key}.yml" in render(settings, watched)
    assert settings.services == settings_of().services


@pytest.mark.parametrize("page", METRICS_PAGES, ids=lambda page: page.key)
def test_each_of_its_alerts_has_a_runbook_and_the_kind_has_cases(page: MetricsPage) -> None:
    [group] = [group for group in groups(settings_of(), EVERY_JOB) if group.name == page.key]
    alerts = [rule.name for rule in group.rules if isinstance(rule, Alert)]
    assert alerts
    assert [name for name in alerts if not (ROOT / f"docs/runbooks/{name}.md").is_file()] == []
    assert (ROOT / f"tests/rules/{page.key}.test.yml").is_file()


def test_its_authority_goes_to_the_proxy_and_its_password_to_prometheus_as_a_file(authority: str) -> None:
    server = {"name": "jobs", "targets": ["mq:15692"], "tls": {"ca": authority}}
    settings = settings_of({"exporters": {"rabbitmq": server}}, secrets=["rabbitmq_password_jobs"])
    proxy = scrape_proxy.container(settings).config
    assert proxy
    assert "BEGIN CERTIFICATE" in proxy.files["authorities/rabbitmq-jobs.pem"]
    assert "ca-file authorities/rabbitmq-jobs.pem sni var(txn.host)" in proxy.files["haproxy.cfg"]
    config = config_of("prometheus", settings)
    assert config.secrets["rabbitmq_password_jobs"].render(SECRET_TEXT) == SECRET_TEXT
    assert "password_file: secrets/rabbitmq_password_jobs" in config.files["prometheus.yml"]


def test_it_has_tls_and_a_password_of_its_own(authority: str) -> None:
    first = {"targets": ["proxy:8082"], "user": "me", "tls": {"ca": authority}}
    config = {"exporters": {"traefik": [first, {"name": "edge", "targets": ["edge:8082"], "tls": {}}]}}
    scrape_jobs = scrape.jobs(settings_of(config, secrets=["traefik_password", "traefik_password_edge"]))
    one, other = (job for job in scrape_jobs if job["job_name"] in {"traefik_page", "traefik_page-edge"})
    assert targets(other) == [
        {"job": "traefik_page", "instance": "edge:8082", "service": "edge", "url": "https://edge:8082/metrics"}
    ]
    assert [target and target["url"] for target in targets(one)] == ["https-traefik://proxy:8082/metrics"]
    assert one["basic_auth"] == {"username": "me", "password_file": "secrets/traefik_password"}
    assert other["basic_auth"] == {"username": "prometheus", "password_file": "secrets/traefik_password_edge"}


def test_more_than_four_of_a_kind_may_be_named_and_no_name_twice() -> None:
    servers = [{"name": f"pool-{number}", "targets": ["blog:80"]} for number in range(9)]
    assert len(settings_of({"exporters": {"php_fpm": servers}}).exporters.php_fpm) == 9
    assert "two are called pool-0" in refusal({"exporters": {"php_fpm": [*servers, servers[0]]}})


def test_prometheus_has_no_password_of_a_page_that_is_not_watched() -> None:
    config = prometheus.container(settings_of(secrets=["caddy_password"])).config
    assert config
    assert config.secrets == {}
