"""What a stack file may say, what it means when it says nothing, and how it is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.catalogue import EXPORTERS as EXPORTER_SERVICES
from config.catalogue import ROWS, SERVICES
from config.metrics_pages import METRICS_PAGES
from config.settings import Settings
from config.settings.loading import SettingsError, load
from config.settings.secret_keys import SECRETS
from tests.support.program import (
    AS_A_CENTRE,
    EVERYTHING,
    EXPORTERS,
    FRONT,
    OF_DOOR,
    PINNED,
    PINNED_STORAGE,
    PROJECT,
    SECRET_TEXT,
    refusal,
    settings_of,
)

MIB, GIB = 2**20, 2**30


def test_an_empty_stack_file_is_enough() -> None:
    settings = settings_of()
    assert (settings.environment, settings.prefix) == ("test", "nervous-test")
    assert settings.docker.host == "unix:///var/run/docker.sock"
    assert (settings.metrics.scrape_interval, settings.metrics.evaluation_interval) == ("15s", "15s")
    assert settings.metrics.retention.time == "60d"
    assert settings.secrets == frozenset()


def test_without_selected_exporters_only_what_every_host_needs_runs() -> None:
    metrics = ("prometheus", "alertmanager", "node_exporter", "cadvisor", "socket_proxy", "scrape_proxy", "api_proxy")
    assert settings_of().services == (*metrics, "loki", "alloy", "otel_collector", "jaeger")


def test_every_service_can_be_selected() -> None:
    selected = {
        *settings_of(EVERYTHING, secrets=SECRETS).services,
        *settings_of(AS_A_CENTRE, secrets=OF_DOOR).services,
    }
    assert tuple(service for service in SERVICES if service in selected) == SERVICES


@pytest.mark.parametrize(
    ("block", "service"),
    [
        ("postgres", "postgres_exporter"),
        ("redis", "redis_exporter"),
        ("nginx", "nginx_exporter"),
        ("mongodb", "mongodb_exporter"),
        ("elasticsearch", "elasticsearch_exporter"),
        ("probes", "blackbox_exporter"),
    ],
)
def test_an_exporter_runs_where_its_block_is_present(block: str, service: str) -> None:
    selected = settings_of(
        {
            **EVERYTHING,
            "traces": {},
            "actions": [],
            "notifications": {},
            "metrics": {},
            "exporters": {block: EXPORTERS[block]},
        }
    )
    assert set(selected.services) - set(settings_of().services) == {service}


@pytest.mark.parametrize("storage", ["elasticsearch", "opensearch"])
def test_a_storage_of_traces_brings_its_retention_and_its_exporter(storage: str) -> None:
    settings = settings_of({"traces": {"storage": storage}, "images": PINNED_STORAGE})
    added = set(settings.services) - set(settings_of().services)
    assert added == {storage, "jaeger_es_index_cleaner", "elasticsearch_exporter"}
    watched = settings.watched("elasticsearch_exporter")
    assert watched is not None
    assert (watched.url, watched.service) == (f"http://{storage}:9200", storage)


def test_a_storage_that_is_there_already_brings_only_the_retention() -> None:
    traces = {"storage": "elasticsearch", "cluster": {"url": "https://search.example:9200"}}
    settings = settings_of({"traces": traces, "images": PINNED_STORAGE})
    assert set(settings.services) - set(settings_of().services) == {"jaeger_es_index_cleaner"}


def test_the_exporter_watches_what_it_is_told_to_rather_than_the_storage_of_traces() -> None:
    settings = settings_of(EVERYTHING)
    assert settings.servers("elasticsearch_exporter") == settings.exporters.elasticsearch


def test_haproxy_needs_no_exporter() -> None:
    assert settings_of({"exporters": {"haproxy": EXPORTERS["haproxy"]}}).services == settings_of().services


def test_defaults_with_every_service_fit_the_host_with_room_for_its_owner() -> None:
    settings = settings_of(EVERYTHING)
    limits = {service: settings.memory_mib(service) for service in settings.services}
    assert limits["prometheus"] <= 4096
    assert sum(limit for service, limit in limits.items() if service in EXPORTER_SERVICES) <= 1024
    assert sum(limits.values()) <= 11 * 1024


def test_defaults_publish_on_loopback_only() -> None:
    listens = [listen for _, listen in settings_of().publish if listen]
    assert listens
    assert all(listen.startswith("127.0.0.1:") for listen in listens)


def test_a_stack_says_only_what_differs() -> None:
    settings = settings_of({"metrics": {"retention": {"time": "7d"}}, "memory": {"ceiling": "8GiB"}})
    assert settings.metrics.retention.time == "7d"
    assert settings.metrics.retention.size == settings_of().metrics.retention.size
    assert settings.memory.ceiling == 8 * GIB
    assert settings.memory.prometheus == settings_of().memory.prometheus


@pytest.mark.parametrize(
    ("config", "read"),
    [
        ({"metrics": {"limits": {"samples": "500"}}}, lambda s: s.metrics.limits.samples == 500),
        ({"metrics": {"exemplars": "5"}}, lambda s: s.metrics.exemplars == 5),
        ({"metrics": {"applications": {"discover": "false"}}}, lambda s: s.metrics.applications.discover is False),
        ({"alerts": {"thresholds": {"cpu": "70"}}}, lambda s: s.alerts.thresholds.cpu == 70),
        (
            {"alerts": {"thresholds": {"container_restarts": "5"}}},
            lambda s: s.alerts.thresholds.container_restarts == 5,
        ),
        ({"memory": {"prometheus": str(512 * MIB)}}, lambda s: s.memory_mib("prometheus") == 512),
        ({"memory": {"prometheus": 512 * MIB}}, lambda s: s.memory_mib("prometheus") == 512),
        ({"memory": {"prometheus": "1.5GiB"}}, lambda s: s.memory_mib("prometheus") == 1536),
        ({"metrics": '{"retention": {"time": "7d"}}'}, lambda s: s.metrics.retention.time == "7d"),
        ({"networks": '["shop"]'}, lambda s: s.networks == ("shop",)),
        ({"prefix": " obs "}, lambda s: s.prefix == "obs"),
        ({"publish": {"prometheus": None}}, lambda s: s.publish.prometheus is None),
    ],
)
def test_texts_of_pulumi_config_set_are_read_as_what_they_mean(
    config: dict[str, Any], read: Callable[[Settings], bool]
) -> None:
    assert read(settings_of(config))


def test_an_empty_text_is_how_pulumi_declares_a_key_without_setting_it() -> None:
    assert settings_of({"prefix": "", "environment": "", "metrics": "", "slack_webhook": ""}) == settings_of()


def test_pulumi_config_knows_every_key_and_its_defaults_change_nothing() -> None:
    declared = yaml.safe_load((Path(__file__).parents[2] / "Pulumi.yaml").read_text())["config"]
    own = {key.removeprefix(f"{PROJECT}:"): about for key, about in declared.items() if key.startswith(f"{PROJECT}:")}
    # Those of servers can be as many as there are servers.
    of_servers = {f"{row.watches}_{row.credential}" for row in ROWS.values() if row.login}
    of_servers |= {f"{page.key}_password" for page in METRICS_PAGES}
    assert set(own) == set(Settings.model_fields) - {"secrets"} | set(SECRETS) - of_servers
    assert all(about["description"] for about in own.values())
    assert settings_of({key: about["default"] for key, about in own.items()}) == settings_of()


def test_config_of_other_projects_and_providers_is_none_of_its_business() -> None:
    config = {"aws:region": "eu-central-1", "pulumi:disable-default-providers": '["docker"]'}
    settings = load(config, secret_keys=["other:token"], project=PROJECT, stack="test")
    assert settings == settings_of()


def test_an_engine_that_is_named_as_for_the_provider_is_refused_and_not_ignored() -> None:
    """Pulumi's own keys are for its default provider, and this program has none."""
    config = {"docker:host": "ssh://me@vps", "docker:registryAuth": "[]", f"{PROJECT}:foo": "1"}
    with pytest.raises(SettingsError) as caught:
        load(config, secret_keys=[], project=PROJECT, stack="prod")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["docker:host", "docker:registryAuth", f"{PROJECT}:foo"]
    assert f"in {PROJECT}:docker;" in lines[0]


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings_of().prefix = "other"  # type: ignore[misc]


# What is refused: (stack config, key, words of the message).
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # unknown keys
    "an unknown key": ({"metric": {}}, "metric", "unknown key; did you mean metrics?"),
    "an unknown key two levels down": (
        {"metrics": {"retention": {"tme": "1d"}}},
        "metrics.retention.tme",
        "unknown key; did you mean time?",
    ),
    "an unknown key of a selected exporter": (
        {"exporters": {"redis": {"address": "a:1", "adress": "a:1"}}},
        "exporters.redis.adress",
        "unknown key; did you mean address?",
    ),
    "an unknown key in a list": (
        {"metrics": {"applications": {"static": [{"service": "a", "targets": ["a:1"], "pth": "/"}]}}},
        "metrics.applications.static.0.pth",
        "unknown key; did you mean path?",
    ),
    "an unknown threshold": (
        {"alerts": {"thresholds": {"cpus": 1}}},
        "alerts.thresholds.cpus",
        "unknown key; did you mean cpu?",
    ),
    "an unknown key like none": (
        {"metrics": {"retention": {"qqq": 1}}},
        "metrics.retention.qqq",
        "unknown key; known here: size, time",
    ),
    "an unknown service": ({"memory": {"tempo": "1GiB"}}, "memory.tempo", "unknown key; known here: alertmanager"),
    "publishing the socket proxy": ({"publish": {"socket_proxy": "127.0.0.1:2375"}}, "publish.socket_proxy", "unknown"),
    "a misspelt secret": ({"slack_webhok": "x"}, "slack_webhok", "did you mean slack_webhook?"),
    "the names of the secrets": ({"secrets": ["slack_webhook"]}, "secrets", "unknown key"),
    # wrong types
    "a word for a number": ({"metrics": {"limits": {"samples": "many"}}}, "metrics.limits.samples", 'it is "many"'),
    "a word for a boolean": (
        {"metrics": {"applications": {"discover": "perhaps"}}},
        "metrics.applications.discover",
        'it is "perhaps"',
    ),
    "a number for a span": ({"metrics": {"retention": {"time": 5}}}, "metrics.retention.time", "it is 5"),
    "a word for a percentage": ({"alerts": {"thresholds": {"cpu": "high"}}}, "alerts.thresholds.cpu", 'it is "high"'),
    "a word for a size": ({"memory": {"prometheus": "lots"}}, "memory.prometheus", 'it is "lots"'),
    "a list where an object is wanted": ({"metrics": [1]}, "metrics", "it is [1]"),
    "a word where an object is wanted": ({"metrics": "fast"}, "metrics", 'it is "fast"'),
    "an object where a list is wanted": ({"exporters": {"probes": {"name": "a"}}}, "exporters.probes", "it is {"),
    "a word where a list is wanted": ({"networks": "shop"}, "networks", 'it is "shop"'),
    "broken JSON": ({"metrics": '{"retention": '}, "metrics", "retention"),
    "a broken JSON list": ({"networks": '["a",'}, "networks", "it is"),
    # spans and sizes
    "a retention below 1 h": ({"metrics": {"retention": {"time": "59m"}}}, "metrics.retention.time", "shorter than 1h"),
    "a retention of nothing": ({"metrics": {"retention": {"time": "0s"}}}, "metrics.retention.time", "shorter than 1h"),
    "a span in prose": ({"metrics": {"retention": {"time": "60 days"}}}, "metrics.retention.time", "like 15s, 5m"),
    "a retention too small for a block": (
        {"metrics": {"retention": {"size": "100MiB"}}},
        "metrics.retention.size",
        "less than 512MiB",
    ),
    "a scrape timeout over the interval": (
        {"metrics": {"scrape_timeout": "20s"}},
        "metrics.scrape_timeout",
        "20s is longer than scrape_interval 15s",
    ),
    "a scrape interval below the default timeout": (
        {"metrics": {"scrape_interval": "5s"}},
        "metrics.scrape_timeout",
        "10s is longer than scrape_interval 5s",
    ),
    "scraping more often than each second": (
        {"metrics": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}},
        "metrics.scrape_interval",
        "the least is 1s",
    ),
    "scraping so seldom that no rate is known": (
        {"metrics": {"scrape_interval": "5m"}},
        "metrics.scrape_interval",
        "5m is too long for the alerts, which look at five minutes: 1m is the most",
    ),
    "judging so seldom that recorded rates are stale": (
        {"metrics": {"evaluation_interval": "61s"}},
        "metrics.evaluation_interval",
        "61s is too long for the alerts, which look at five minutes: 1m is the most",
    ),
    # memory
    "memory over the ceiling": ({"memory": {"ceiling": "1GiB"}}, "memory.ceiling", "the ceiling is 1024 MiB"),
    "exporters over 1 GiB": ({"memory": {"cadvisor": "1GiB"}}, "memory", "1024 MiB is their share"),
    "Prometheus over 4 GiB": ({"memory": {"prometheus": "4097MiB"}}, "memory.prometheus", "4GiB is the most"),
    "a limit that is not a whole MiB": ({"memory": {"prometheus": "1000MB"}}, "memory.prometheus", "whole number of MiB"),
    "a limit in which nothing starts": ({"memory": {"cadvisor": "8MiB"}}, "memory.cadvisor", "below 16MiB"),
    "a host too small": ({"memory": {"host": "2GiB"}}, "memory.host", "below 4GiB"),
    "a word for a host's memory": ({"memory": {"host": "small"}}, "memory.host", 'it is "small"'),
    "a ceiling above the host": ({"memory": {"ceiling": "28GiB"}}, "memory.ceiling", "16384 MiB as memory.host says"),
    "Elasticsearch on 4 GB": (
        {"memory": {"host": "4GiB"}, "traces": {"storage": "elasticsearch"}},
        "memory.ceiling",
        "the ceiling is 3072 MiB",
    ),
    # ports and addresses
    "two services on one port": (
        {"publish": {"alertmanager": "127.0.0.1:9090"}},
        "publish",
        "publish.alertmanager and publish.prometheus both want port 9090",
    ),
    "a wildcard port over a loopback one": ({"publish": {"alertmanager": "0.0.0.0:9090"}}, "publish", "port 9090"),
    "a loopback port under a wildcard one": ({"publish": {"prometheus": "[::]:9093"}}, "publish", "port 9093"),
    "a name as listen address": ({"publish": {"prometheus": "localhost:9090"}}, "publish.prometheus", "in numbers"),
    "a listen address without port": ({"publish": {"prometheus": "127.0.0.1"}}, "publish.prometheus", "not host:port"),
    "a port alone": ({"publish": {"prometheus": 9090}}, "publish.prometheus", "it is 9090"),
    "a port that does not exist": ({"publish": {"prometheus": "127.0.0.1:70000"}}, "publish.prometheus", "not host:port"),
    "port 0": ({"publish": {"prometheus": "127.0.0.1:0"}}, "publish.prometheus", "not host:port"),
    "a domain and no address": (
        {"grafana": {"tls": {"domain": "g.example"}}}, "grafana.tls", "publish.caddy: 0.0.0.0:443"
    ),
    "a folder that is there already": (
        {"grafana": {"folders": {"nervous system": ["a.json"]}}}, "grafana.folders", "another name"
    ),
    "a folder with a slash": (
        {"grafana": {"folders": {"a/b": ["a.json"]}}}, "grafana.folders", "match"
    ),
    "a time zone that nobody has": (
        {"grafana": {"time_zone": "Berlin"}}, "grafana.time_zone", "Europe/Berlin"
    ),
    "a theme that Grafana does not have": ({"grafana": {"theme": "blue"}}, "grafana.theme", "'dark', 'light' or 'system'"),
    "an address and no domain": ({"publish": {"caddy": "0.0.0.0:443"}}, "publish.caddy", "needs grafana.tls"),
    "a domain beside another address": (
        {**FRONT, "external_urls": {"grafana": "https://other.example"}}, "external_urls.grafana", "leave it out"
    ),
    "a public certificate for a name that is nobody's": (
        {**FRONT, "grafana": {"tls": {"domain": "localhost"}}}, "grafana.tls", "certificate: internal"
    ),
    "a domain with a path": (
        {**FRONT, "grafana": {"tls": {"domain": "g.example/grafana"}}}, "grafana.tls.domain", "match"
    ),
    "an address without port": ({"exporters": {"postgres": {"address": "db"}}}, "exporters.postgres.address", "like db.internal"),
    "a URL without scheme": ({"external_urls": {"prometheus": "p.example"}}, "external_urls.prometheus", "http://"),
    "a URL with a query, to which paths would be added": (
        {"alerts": {"runbooks": "https://git.example/runbooks?ref=main"}},
        "alerts.runbooks",
        "has a ? or #",
    ),
    "a URL of another scheme": ({"external_urls": {"prometheus": "ftp://p"}}, "external_urls.prometheus", "http://"),
    "an engine of unknown scheme": ({"docker": {"host": "http://vps"}}, "docker.host", "unix:///path"),
    "a host without a name": ({"docker": {"host": "ssh://"}}, "docker.host", "ssh://user@host"),
    "a socket behind a tcp host": ({"docker": {"host": "tcp://localhost:1/run/x.sock"}}, "docker.host", "ssh://user@host"),
    "a socket with a blank": ({"docker": {"host": "unix:///run/my docker.sock"}}, "docker.host", "unix:///path"),
    "a shell behind an ssh host": ({"docker": {"host": "ssh://vps/run/a;id"}}, "docker.host", "ssh://user@host"),
    "a password of an ssh host": ({"docker": {"host": "ssh://me:hunter2@vps"}}, "docker.host", "contains a password"),
    "ssh options for a socket": ({"docker": {"ssh": {"key": "id"}}}, "docker.ssh", "ssh://"),
    "certificates for an ssh host": ({"docker": {"host": "ssh://vps", "certificates": "tls"}}, "docker.certificates", "tcp://"),
    "an option in place of a jump host": (
        {"docker": {"host": "ssh://vps", "ssh": {"jump": "-oProxyCommand=id"}}},
        "docker.ssh.jump",
        "is not [user@]host[:port]",
    ),
    "a command in a file name": (
        {"docker": {"host": "ssh://vps", "ssh": {"known_hosts": "a;id"}}},
        "docker.ssh.known_hosts",
        "pattern",
    ),
    # exporters
    "postgres without address": ({"exporters": {"postgres": {}}}, "exporters.postgres.address", "required"),
    "redis without address": ({"exporters": {"redis": {}}}, "exporters.redis.address", "required"),
    "nginx without page": ({"exporters": {"nginx": {}}}, "exporters.nginx.status_url", "required"),
    "mongodb without uri": ({"exporters": {"mongodb": {}}}, "exporters.mongodb.uri", "required"),
    "haproxy without targets": ({"exporters": {"haproxy": {}}}, "exporters.haproxy.targets", "required"),
    "haproxy with no target": ({"exporters": {"haproxy": {"targets": []}}}, "exporters.haproxy.targets", "at least 1"),
    "elasticsearch without url": ({"exporters": {"elasticsearch": {}}}, "exporters.elasticsearch.url", "required"),
    "mongodb without a digest": (
        {"exporters": {"mongodb": EXPORTERS["mongodb"]}},
        "images.mongodb_exporter",
        "no digest is known",
    ),
    "two probes of one name": (
        {"exporters": {"probes": [{"name": "a", "target": "http://a"}, {"name": "a", "target": "http://b"}]}},
        "exporters.probes",
        "two probes are called a",
    ),
    "a URL probe of an address": (
        {"exporters": {"probes": [{"name": "a", "target": "a:80"}]}},
        "exporters.probes.0",
        "not a URL",
    ),
    "a TCP probe of a URL": (
        {"exporters": {"probes": [{"name": "a", "target": "http://a", "module": "tcp_connect"}]}},
        "exporters.probes.0",
        "not host:port",
    ),
    "a probe by an unknown module": (
        {"exporters": {"probes": [{"name": "a", "target": "http://a", "module": "icmp"}]}},
        "exporters.probes.0.module",
        'it is "icmp"',
    ),
    # thresholds
    "more than all": ({"alerts": {"thresholds": {"cpu": 101}}}, "alerts.thresholds.cpu", "it is 101"),
    "a threshold of nothing": ({"alerts": {"thresholds": {"cpu": 0}}}, "alerts.thresholds.cpu", "it is 0"),
    "a warning above the critical": ({"alerts": {"thresholds": {"disk": 96}}}, "alerts.thresholds", "disk_critical"),
    "a warning after the critical": (
        {"alerts": {"thresholds": {"certificate": "3d"}}},
        "alerts.thresholds",
        "certificate_critical",
    ),
    "a span of nothing": ({"alerts": {"thresholds": {"target_down": "0s"}}}, "alerts.thresholds", "target_down"),
    # names
    "a prefix that no container may have": ({"prefix": "-x"}, "prefix", 'it is "-x"'),
    "a Slack channel without #": (
        {"notifications": {"slack": {"channel": "alerts"}}},
        "notifications.slack.channel",
        'it is "alerts"',
    ),
    "a mapping that is nested ten thousand deep": ({"metrics": "[" * 10_000}, "metrics", "must be a mapping"),
    "a value of a megabyte": ({"environment": "x" * 2**20}, "environment", "…"),
    "a label that Prometheus would refuse": (
        {"metrics": {"external_labels": {"a-b": "c"}}},
        "metrics.external_labels.a-b",
        'it is "a-b"',
    ),
    "a label that Loki would refuse": (
        {"metrics": {"external_labels": {"__name__": "c"}}},
        "metrics.external_labels",
        "__name__: is a label that alerts and series already have",
    ),
    "a label that says which service a log alert is of": (
        {"metrics": {"external_labels": {"service": "shop"}}},
        "metrics.external_labels",
        "service: is a label that alerts and series already have",
    ),
    "an address that is a template": (
        {"external_urls": {"grafana": "https://g.example/{{ .x }}"}},
        "external_urls.grafana",
        "has {{, with which a template begins",
    ),
    "an address with a brace": (
        {"external_urls": {"grafana": "https://g.example/{x}"}},
        "external_urls.grafana",
        "has a {, which stands for something else in a template: write it as %7B",
    ),
    "an address with a dollar": (
        {"external_urls": {"grafana": "https://g.example/$HOME"}},
        "external_urls.grafana",
        "has a $, which stands for something else in a template: write it as %24",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("config", "key", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_line_that_names_file_and_key(config: dict[str, Any], key: str, words: str) -> None:
    message = refusal(config, stack="prod")
    where, what = message.split(": ", 2)[:2], message.split(": ", 2)[2]
    assert where[0] == "Pulumi.prod.yaml"
    assert where[1].startswith(f"{PROJECT}:{key}")
    assert words in what
    assert "\n" not in message
    assert "Value error" not in message  # pydantic's own words


def test_several_mistakes_are_told_at_once_each_on_its_own_line() -> None:
    message = refusal(
        {
            "metrics": {"limits": {"samples": 5}, "retention": {"time": "1m"}},
            "publish": {"prometheus": "x"},
            "foo": 1,
        }
    )
    lines = message.splitlines()
    keys = {line.split(": ")[1] for line in lines}
    assert keys == {
        f"{PROJECT}:metrics.limits.samples",
        f"{PROJECT}:metrics.retention.time",
        f"{PROJECT}:publish.prometheus",
        f"{PROJECT}:foo",
    }
    assert all(line.startswith("Pulumi.test.yaml: ") for line in lines)


@pytest.mark.parametrize(
    "publish",
    [
        {"alertmanager": "10.0.0.1:9090"},
        {"prometheus": "127.0.0.1:9090", "alertmanager": "[::1]:9090"},
        {"prometheus": None, "alertmanager": "0.0.0.0:9090"},
    ],
    ids=["another address", "another family", "a free port"],
)
def test_services_may_share_a_port_number_on_different_addresses(publish: dict[str, Any]) -> None:
    assert settings_of({"publish": publish}).publish.alertmanager == publish["alertmanager"]


def test_limits_of_services_that_do_not_run_do_not_count() -> None:
    assert settings_of({"memory": {"mongodb_exporter": "4GiB", "redis_exporter": "4GiB"}}).services


def test_the_message_about_the_ceiling_says_who_takes_how_much() -> None:
    message = refusal({"memory": {"ceiling": "2GiB"}})
    assert "6728 MiB" in message
    assert "prometheus 2048" in message
    assert "mongodb" not in message


# Secrets.


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_known_by_name_and_never_by_value(key: str) -> None:
    settings = settings_of(secrets=[key])
    assert settings.secrets == {key}
    assert SECRET_TEXT not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_stored_in_clear_is_refused_without_repeating_it(key: str) -> None:
    message = refusal({key: "https://sesame.example"})
    assert message.startswith(f"Pulumi.test.yaml: {PROJECT}:{key}: is a secret")
    assert f"pulumi config set --secret {key}" in message
    assert "sesame" not in message


def test_a_secret_where_none_is_expected_is_refused_with_the_keys_that_may_hold_one() -> None:
    """Also for a nested one: Pulumi marks the whole top-level key, and would hand its text over in clear."""
    value = {"postgres": {"address": "db:5432", "user": "sesame"}}
    with pytest.raises(SettingsError) as caught:
        load(
            {f"{PROJECT}:exporters": json.dumps(value)},
            secret_keys=[f"{PROJECT}:exporters"],
            project=PROJECT,
            stack="test",
        )
    message = str(caught.value)
    assert message.startswith(f"Pulumi.test.yaml: {PROJECT}:exporters: may hold no secret")
    assert "postgres_password" in message
    assert "sesame" not in message


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"external_urls": {"prometheus": "https://me:sesame@p.example"}}, "external_urls.prometheus"),
        ({"external_urls": {"prometheus": "https://me@p.example"}}, "external_urls.prometheus"),
        ({"alerts": {"runbooks": "https://me:sesame@wiki.example"}}, "alerts.runbooks"),
        ({"exporters": {"nginx": {"status_url": "http://me:sesame@web/status"}}}, "exporters.nginx.status_url"),
        ({"exporters": {"elasticsearch": {"url": "http://me:sesame@es:9200"}}}, "exporters.elasticsearch.url"),
        ({"exporters": {"probes": [{"name": "a", "target": "http://me:sesame@a"}]}}, "exporters.probes.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_credentials_in_a_url_are_refused_without_repeating_them(config: dict[str, Any], key: str) -> None:
    message = refusal(config)
    assert message.startswith(f"Pulumi.test.yaml: {PROJECT}:{key}: contains a user or password")
    assert "sesame" not in message


@pytest.mark.parametrize("address", ["me:sesame@db:5432", "http://db:5432", "my db:5432", "db/path:5432"])
def test_an_address_is_a_host_and_a_port_and_nothing_else(address: str) -> None:
    message = refusal({"exporters": {"postgres": {"address": address}}})
    assert f"{PROJECT}:exporters.postgres.address: " in message
    assert "sesame" not in message


@pytest.mark.parametrize(
    "config",
    [
        {"exporters": {"mongodb": {"uri": "mongodb://me:sesame@mongo:27017"}}, "images": EVERYTHING["images"]},
        {"exporters": {"elasticsearch": {"url": "es://me:sesame@search:9200"}}},
    ],
    ids=["mongodb", "another scheme"],
)
def test_a_refused_address_does_not_bring_its_password_into_the_log_of_ci(config: dict[str, Any]) -> None:
    assert "sesame" not in refusal(config)


@pytest.mark.parametrize("listen", ["::1:9090", ":::9090"])
def test_an_ipv6_address_stands_in_brackets(listen: str) -> None:
    assert "publish.prometheus" in refusal({"publish": {"prometheus": listen}})


def test_mistakes_about_secrets_and_others_are_told_together() -> None:
    assert len(refusal({"slack_webhook": "x", "metric": {}}).splitlines()) == 2


# Derived values.


def test_the_address_for_people_is_what_they_said_else_where_it_is_published_else_inside_the_network() -> None:
    config = {"external_urls": {"prometheus": "https://p.example/"}, "publish": {"alertmanager": None}}
    assert settings_of(config).url("prometheus") == "https://p.example"
    assert settings_of().url("prometheus") == "http://127.0.0.1:9090"
    assert settings_of(config).url("alertmanager") == "http://alertmanager:9093"


def test_an_image_is_the_pin_the_override_or_the_one_on_the_mirror() -> None:
    override = {"images": {"prometheus": "registry.example/prometheus:v9"}}
    mirror = {"images": {"registry": "localhost:5000"}}
    assert "@sha256:" in settings_of().image("prometheus")
    assert settings_of(override).image("prometheus") == "registry.example/prometheus:v9"
    assert settings_of(mirror).image("prometheus").startswith("localhost:5000/prom/prometheus:v")


def test_mongodb_runs_once_its_image_is_pinned() -> None:
    settings = settings_of(EVERYTHING)
    assert settings.image("mongodb_exporter") == PINNED["mongodb_exporter"]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"docker": {"host": "tcp://vps.example.com:2376"}}, "docker.certificates"),
        ({"images": {"registry": "https://mirror.example.com"}}, "images.registry"),
        ({"networks": ["shop", "shop"]}, "networks"),
        ({"networks": ["nervous-test"], "prefix": "nervous-test"}, "networks"),
        ({"exporters": {"redis": {"address": "cache:6379", "user": "watcher"}}}, "exporters.redis.user"),
        ({"exporters": {"elasticsearch": {"url": "http://es:9200", "user": "w"}}}, "exporters.elasticsearch.user"),
        ({"notifications": {"repeat_interval": "0s"}}, "notifications.repeat_interval"),
        ({"notifications": {"deadman_interval": "1s"}}, "notifications.deadman_interval"),
    ],
)
def test_what_only_the_engine_or_a_service_would_find_is_found_before(config: dict[str, Any], key: str) -> None:
    assert f"nervous-system:{key}: " in refusal(config)


def test_a_loopback_engine_needs_no_certificates() -> None:
    assert settings_of({"docker": {"host": "tcp://127.0.0.1:2375"}}).docker.certificates is None


def test_who_chooses_promtail_is_told_of_its_end_and_nobody_else() -> None:
    own = {"grafana": {"enabled": False}}
    assert settings_of(own).notices == ()
    [notice] = settings_of({"logs": {"shipper": "promtail"}, **own}).notices
    assert notice.startswith("logs.shipper: Promtail has reached its end of life")


def test_grafana_has_a_front_where_it_runs_and_has_a_domain() -> None:
    assert "caddy" not in settings_of(secrets=["grafana_password"]).services
    assert "caddy" in settings_of(FRONT, secrets=["grafana_password"]).services
    assert "caddy" not in settings_of(FRONT).services


def test_grafana_runs_with_its_password_and_who_has_none_is_told_unless_none_is_wanted() -> None:
    assert "grafana" not in settings_of().services
    [notice] = settings_of().notices
    assert "pulumi config set --secret grafana_password" in notice
    with_password = settings_of(secrets=["grafana_password"])
    assert "grafana" in with_password.services
    assert with_password.notices == ()
    unwanted = settings_of({"grafana": {"enabled": False}}, secrets=["grafana_password"])
    assert "grafana" not in unwanted.services
    assert unwanted.notices == ()


@pytest.mark.parametrize(
    ("config", "secrets", "url"),
    [
        ({}, ["grafana_password"], "http://127.0.0.1:3000"),
        ({"publish": {"grafana": None}}, ["grafana_password"], "http://grafana:3000"),
        ({"external_urls": {"grafana": "https://g.example/"}}, ["grafana_password"], "https://g.example"),
        (FRONT, ["grafana_password"], "https://g.example"),
        ({**FRONT, "publish": {"caddy": "127.0.0.1:8443"}}, ["grafana_password"], "https://g.example:8443"),
        (
            {"external_urls": {"grafana": "https://own.example"}, "grafana": {"enabled": False}},
            [],
            "https://own.example",
        ),
        ({}, [], None),
    ],
)
def test_links_lead_to_the_stacks_grafana_or_the_users_own(
    config: dict[str, Any], secrets: list[str], url: str | None
) -> None:
    assert settings_of(config, secrets=secrets).grafana_url == url


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"images": {"registry": "https://mirror.example.com"}}, "images.registry: is not host[:port][/path], without"),
        (
            {"memory": {"prometheus": "lots"}},
            'memory.prometheus: is not a size: write it like 512MiB or 4GiB (it is "lots")',
        ),
        ({"disk": {"budget": "100 apples"}}, "disk.budget: is not a size"),
    ],
)
def test_what_is_wrong_is_told_in_words_and_not_in_those_of_a_parser(config: dict[str, Any], words: str) -> None:
    assert f"nervous-system:{words}" in refusal(config)
