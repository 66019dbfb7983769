"""Scrape configs of the user's own: what is taken, through the proxy and under the stack's limits, and what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import own_jobs
from config.own_jobs import OwnJob
from config.ports import SCRAPES
from config.services.metrics import own_scrapes, scrape_proxy
from config.settings.loading import SettingsError
from tests.support.program import refusal, settings_of
from tests.unit.relabel import relabelled

KEY = "Pulumi.test.yaml: nervous-system:metrics.scrape_files"
STATIC = [{"targets": ["shop:8000"]}]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def read(root: Path, *jobs: Any, secrets: tuple[str, ...] = (), **settings: Any) -> tuple[OwnJob, ...]:
    """The jobs of a file `jobs.yml` with these scrape configs."""
    (root / "jobs.yml").write_text(yaml.safe_dump({"scrape_configs": [*jobs]}))
    stack_settings = settings_of({"metrics": {"scrape_files": ["jobs.yml"], **settings}}, secrets=secrets)
    return own_jobs.read(stack_settings, root, stack_key=KEY)


def job(**more: Any) -> dict[str, Any]:
    return {"job_name": "shop", "static_configs": STATIC, **more}


def config_of(jobs: tuple[OwnJob, ...], secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The first of `jobs` as Prometheus gets it."""
    return own_scrapes.jobs(settings_of(secrets=secrets), jobs)[0]


def target(config: Mapping[str, Any], address: str = "shop:8000", **labels: str) -> Mapping[str, str] | None:
    """Labels of a target after relabelling."""
    before = {
        "__address__": address,
        "__scheme__": config.get("scheme", "http"),
        "__metrics_path__": config.get("metrics_path", "/metrics"),
        "job": config["job_name"],
        **labels,
    }
    return relabelled(before, config["relabel_configs"])


def test_a_job_is_scraped_through_the_proxy_under_its_own_name_and_the_limits_of_the_stack(tmp_path: Path) -> None:
    config = config_of(read(tmp_path, job(metrics_path="/stats", follow_redirects=True)))
    labels = target(config)
    assert labels is not None
    assert labels["__address__"] == f"{settings_of().host('scrape_proxy')}:{SCRAPES}"
    assert labels["__metrics_path__"] == "/http/shop:8000/stats"
    assert {name: labels[name] for name in ("job", "instance", "service")} == {
        "job": "shop",
        "instance": "shop:8000",
        "service": "shop",
    }
    assert config["follow_redirects"] is False
    assert (config["sample_limit"], config["target_limit"]) == (20_000, 200)


@pytest.mark.parametrize(
    ("labels", "job_", "service"),
    [({"job": "mysql"}, "mysql", "mysql"), ({"service": "orders"}, "shop", "orders")],
)
def test_labels_of_a_target_stay(tmp_path: Path, labels: dict[str, str], job_: str, service: str) -> None:
    labels_ = target(config_of(read(tmp_path, job())), **labels)
    assert labels_ is not None
    assert (labels_["job"], labels_["service"]) == (job_, service)


@pytest.mark.parametrize("name", ["prometheus", "application", "application-x", "node_exporter", "otlp"])
def test_no_target_becomes_one_of_a_job_that_alerts_trust(tmp_path: Path, name: str) -> None:
    config = config_of(read(tmp_path, job(relabel_configs=[{"source_labels": ["from"], "target_label": "job"}])))
    assert target(config, **{"from": name}) is None
    assert target(config, **{"from": "mine"}) is not None
    assert relabelled({"__name__": "x", "job": name}, config["metric_relabel_configs"]) is None
    renamed = relabelled({"__name__": "up", "job": "shop"}, config["metric_relabel_configs"])
    assert renamed is not None
    assert renamed["__name__"] == "application_up"


@pytest.mark.parametrize(
    ("login", "entries"),
    [
        (
            {"basic_auth": {"username": "me", "password_file": "scrape_shop"}},
            {"basic_auth": {"username": "me", "password_file": "secrets/scrape_shop"}},
        ),
        (
            {"authorization": {"credentials_file": "scrape_shop"}},
            {"authorization": {"credentials_file": "secrets/scrape_shop"}},
        ),
        ({"bearer_token_file": "scrape_shop"}, {"authorization": {"credentials_file": "secrets/scrape_shop"}}),
    ],
)
def test_a_login_has_its_secret_by_name(tmp_path: Path, login: dict[str, Any], entries: dict[str, Any]) -> None:
    jobs = read(tmp_path, job(**login), secrets=("scrape_shop",))
    config = config_of(jobs, ("scrape_shop",))
    assert {key: config[key] for key in entries} == entries
    assert jobs[0].secrets == {"scrape_shop"}
    assert "bearer_token_file" not in config


def test_targets_in_files_of_the_project_are_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "a.json").write_text(json.dumps([{"targets": ["a:1"], "labels": {"team": "x"}}]))
    (tmp_path / "targets" / "b.yml").write_text("- targets: [b:1]\n")
    jobs = read(tmp_path, {"job_name": "files", "file_sd_configs": [{"files": ["targets/*.json", "targets/b.yml"]}]})
    assert config_of(jobs)["static_configs"] == [{"targets": ["a:1"], "labels": {"team": "x"}}, {"targets": ["b:1"]}]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://inventory/targets?team=x", "/http/inventory:80/targets?team=x"),
        ("https://inventory:8443", "/https/inventory:8443/"),
    ],
)
def test_a_page_of_targets_is_got_by_the_proxy_too(tmp_path: Path, url: str, path: str) -> None:
    jobs = read(tmp_path, {"job_name": "found", "http_sd_configs": [{"url": url, "refresh_interval": "30s"}]})
    [discovery] = config_of(jobs)["http_sd_configs"]
    assert "scrape_proxy" in discovery["url"]
    assert discovery["url"].endswith(path)
    assert discovery["follow_redirects"] is False


def test_a_job_with_an_authority_of_its_own_has_a_way_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    tls = {"ca_file": "ca.pem", "server_name": "shop.internal"}
    jobs = read(tmp_path, {**job(), "job_name": "plain"}, job(scheme="https", tls_config=tls))
    [plain, encrypted] = own_scrapes.jobs(settings_of(), jobs)
    for config, path in ((plain, "/http/shop:8000/metrics"), (encrypted, "/https-1/shop:8000/metrics")):
        labels = target(config)
        assert labels is not None
        assert labels["__metrics_path__"] == path
    files = scrape_proxy.container(settings_of(), jobs).config.files  # type: ignore[union-attr]
    assert files["authorities/1.pem"] == CERTIFICATE
    assert "ca-file authorities/1.pem sni str(shop.internal)" in files["haproxy.cfg"]
    assert "use_backend encrypted-1 if { var(txn.scheme) -m str https-1 }" in files["haproxy.cfg"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"job_name": "prometheus"}, "job_name: is a job of the stack"),
        ({"job_name": "application-mine"}, "job_name: is a job of the stack"),
        ({"honor_labels": True}, "honor_labels: would let a page choose its own job"),
        ({"oauth2": {"client_id": "x"}}, "oauth2: its token would be asked by Prometheus itself"),
        ({"proxy_url": "http://p:1"}, "proxy_url: the stack has a proxy of its own"),
        (
            {"bearer_token": "hunter2"},
            "bearer_token: stands in clear in the file: pulumi config set --secret scrape_shop",
        ),
        ({"basic_auth": {"username": "a", "password": "hunter2"}}, "basic_auth.password: stands in clear in the file"),
        ({"authorization": {"credentials": "hunter2"}}, "and write  credentials_file: scrape_shop  instead"),
        ({"basic_auth": {"username": "a", "password_file": "/etc/hunter2"}}, "password_file: is the name of a secret"),
        (
            {"basic_auth": {"username": "a", "password_file": "scrape_x"}},
            "is not set: pulumi config set --secret scrape_x",
        ),
        ({"scrape_interval": "5m"}, "scrape_interval: 1m is the most"),
        ({"scrape_interval": "10ms"}, "scrape_interval: the least is 1s"),
        ({"scrape_interval": "often"}, "scrape_interval: is not a time span"),
        ({"sample_limit": 50_000}, "sample_limit: is above metrics.limits.samples, which is 20000"),
        ({"body_size_limit": "1GB"}, "body_size_limit: is set for all jobs: metrics.limits.body_size"),
        ({"tls_config": {"insecure_skip_verify": True}}, "name the certificate instead:  ca_file"),
        ({"tls_config": {"cert_file": "a", "key_file": "b"}}, "has no client certificate to show"),
        ({"tls_config": {"ca_file": "/etc/ca.pem"}}, "tls_config.ca_file: is not inside the project"),
        ({"tls_config": {"ca_file": "none.pem"}}, "tls_config.ca_file: No such file"),
        ({"tls_config": {"ca_file": "jobs.yml"}}, "must contain certificates"),
        ({"tls_config": {"server_name": "a) }"}}, "server_name: is not a host name"),
        ({"kubernetes_sd_configs": [{"role": "pod"}]}, "kubernetes_sd_configs: would be asked by Prometheus itself"),
        ({"static_configs": None}, "static_configs: are missing"),
        ({"static_configs": [{"targets": ["shop"]}]}, "targets: shop is not host:port"),
        ({"static_configs": [{"targets": ["169.254.169.254:80"]}]}, "credentials"),
        ({"static_configs": [{"targets": ["a:1"], "labels": {"job": "loki"}}]}, "loki is a job of the stack"),
        ({"static_configs": [{"targets": ["a:1"], "labels": {"on": True}}]}, "on: write its value in quotes"),
        ({"static_configs": [{"targets": ["[fd00::1]:80"]}]}, "has an IPv6 address, which scrape_proxy cannot ask"),
        ({"http_sd_configs": [{"url": "http://[fd00::1]/x"}]}, "has an IPv6 address, which scrape_proxy cannot ask"),
        ({"metrics_path": "metrics"}, "metrics_path: is not a path like /metrics"),
        ({"metrics_path": "/metrics?format=x"}, "belongs into params"),
        ({"static_configs": "shop:8000"}, "is not a scrape config"),
        ({"relabel_configs": [{"target_label": "job", "replacement": "loki"}]}, "loki is a job of the stack"),
        ({"relabel_configs": [{"target_label": "__scrape_interval__"}]}, "say it for the job"),
        ({"file_sd_configs": [{"files": ["/etc/targets/*.json"]}]}, "is not inside the project"),
        ({"file_sd_configs": [{"files": ["none/*.json"]}]}, "holds no file that ends with .json"),
        ({"http_sd_configs": [{"url": "http://127.0.0.1/x"}]}, "its url leads to the stack's own container"),
        ({"http_sd_configs": [{"url": "http://a/", "tls_config": {}}]}, "tls_config is not known here"),
        ({"scrape_intervall": "10s"}, "scrape_intervall: is not a key that is known here"),
    ],
)
def test_what_the_stack_does_not_allow_is_refused_with_the_way_out(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, job(**more))
    assert str(caught.value).startswith(f"{KEY}: jobs.yml: ")
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("global: {}\nscrape_configs: []\nrule_files: []\n", "has global, rule_files, which the stack sets itself"),
        ("scrape_configs: []", "holds no `scrape_configs:`"),
        ("jobs", "holds no `scrape_configs:`"),
        ("scrape_configs: [{static_configs: []}]", "has an item without a job_name"),
        ("scrape_configs: [", "is not YAML"),
        ("- {job_name: a, static_configs: [{targets: ['a:1']}]}\n" * 2, "there is another job called a too"),
    ],
)
def test_a_file_that_is_no_list_of_jobs_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "jobs.yml").write_text(text)
    settings = settings_of({"metrics": {"scrape_files": ["jobs.yml"]}})
    with pytest.raises(SettingsError, match=r"^.*jobs\.yml: ") as caught:
        own_jobs.read(settings, tmp_path, stack_key=KEY)
    assert words in str(caught.value)


def test_a_secret_of_a_job_is_a_secret() -> None:
    assert settings_of(secrets=["scrape_shop"]).secrets == {"scrape_shop"}
    message = refusal({"scrape_shop": "hunter2"})
    assert "scrape_shop: is a secret: store it with  pulumi config set --secret scrape_shop" in message
    assert "hunter2" not in message
