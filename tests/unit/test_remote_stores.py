"""Remote stores: what a stack file may say of them, where their secrets go, and what the check finds."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from check import queues
from check import remotes as check_remotes
from config.alerts import EVERYTHING, RecordingRule, groups
from config.services.correlation import grafana
from config.services.metrics import api_proxy, long_term
from config.services.traces import remote_otlp
from config.settings import Settings
from config.settings.loading import SettingsError, load
from tests.support.fetched_pages import answer_pages
from tests.support.program import PROJECT, config_of, described, pulumi_config, refusal, settings_of
from tests.unit.test_check import Engine

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
FAR = "https://far.example.com"


def write(**end: Any) -> dict[str, Any]:
    return {"metrics": {"remote_write": [{"name": "far", "url": f"{FAR}/w", **end}]}}


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "a user without a password": (write(user="me"), (), "remote_write.0.user: needs its password: pulumi config set --secret remote_far"),
    "a secret in clear to a public host": (write(url="http://far.example.org/w"), ("remote_far",), "would send the secret in clear to a public host: write https://"),
    "a secret in clear to a public address": (write(url="http://8.8.8.8/w"), ("remote_far",), "would send the secret in clear"),
    "a secret in the address": (write(url="https://me:hunter2@far.example.com/w"), (), "contains a user or password"),
    "where a cloud tells a host its credentials": (write(url="http://169.254.169.254/w"), (), "link-local addresses"),
    "its own container": (write(url="http://127.0.0.1:9090/w"), (), "the stack's own container"),
    "localhost": (write(url="http://localhost:9090/w"), (), "the stack's own container"),
    "the stack's own network": (write(url="http://198.18.0.9/w"), (), "the stack's own network"),
    "a service of the stack": (write(url="http://prometheus:9090/api/v1/write"), (), "leads back into this very stack"),
    "a service of the stack by its full name": (write(url="http://nervous-test-prometheus:9090/w"), (), "leads back into this very stack"),
    "an edge network of one's own": ({**write(url="http://10.9.0.3/w"), "edge_subnet": "10.9.0.0/26"}, (), "leads back into this very stack"),
    "two ends of one name": ({"metrics": {"remote_write": [{"name": "far", "url": FAR}] * 2}}, (), "two stores are called far"),
    "a name that another end has": (write(name="traces"), (), "traces is the name of another store"),
    "four ends": ({"metrics": {"remote_write": [{"name": name, "url": FAR} for name in "abcd"]}}, (), "at most 3"),
    "a secret of nobody": ({}, ("remote_far",), "metrics.remote_write: there is none called far: name one so, or  pulumi config rm remote_far"),
    "a secret of an end that is off": ({}, ("remote_logs",), "logs.remote: is not set, but its secret is"),
    "what is not a regular expression": (write(keep=["up("]), (), "is not a regular expression"),
    "what RE2 cannot": (write(drop=["(?=x)up"]), (), "remote_write.0.drop"),
    "certificates for nothing": (write(url="http://far.internal/w", ca="far.pem"), (), "has no certificate to judge"),
    "a file that is not there": (write(ca="other.pem"), (), "remote_write.0.ca: other.pem: No such file"),
    "a file that is not a certificate": (write(ca="key.pem"), (), "contains certificates (PEM), and no key"),
    "a file outside of the project": (write(ca="/etc/ssl/far.pem"), (), "is not inside the project"),
    "a store for long that is nowhere": ({"metrics": {"long_term": {}}}, (), "set local: true, or url and query"),
    "one that is in two places": ({"metrics": {"long_term": {"local": True, "url": FAR, "query": FAR}}}, (), "set local: true"),
    "months of a store of one's own": (
        {"metrics": {"long_term": {"url": FAR, "query": FAR, "months": 24}}},
        (),
        "months: is a setting of the local store",
    ),
    "a service of the stack with a dot": (write(url="http://prometheus.:9090/w"), (), "leads back into this very stack"),
    "one that cannot be read": ({"metrics": {"long_term": {"url": FAR}}}, (), "needs both url"),
    "lines by Promtail": ({"logs": {"shipper": "promtail", "remote": {"url": FAR}}}, (), "logs.shipper: alloy"),
    "a path that is added": ({"logs": {"remote": {"url": f"{FAR}/loki/api/v1/push"}}}, (), f"write {FAR}"),
    "a path that is added to traces": ({"traces": {"remote": {"url": f"{FAR}/v1/traces"}}}, (), f"write {FAR}"),
    "a header without a value": ({"traces": {"remote": {"url": FAR, "header": "x-team"}}}, (), "needs its value: pulumi config set --secret remote_traces"),
    "a header and a user": ({"traces": {"remote": {"url": FAR, "header": "x-team", "user": "me"}}}, (), "leave out one of the two"),
    "gRPC with a path": ({"traces": {"remote": {"url": f"{FAR}/otlp", "protocol": "grpc"}}}, (), f"gRPC has no path: write {FAR}"),
    "a queue larger than the disk": ({"traces": {"remote": {"url": FAR, "queue": "900GiB"}}}, (), "traces.remote.queue 900.0"),
    "a store larger than the disk": ({"metrics": {"long_term": {"local": True, "disk": "900GiB"}}}, (), "metrics.long_term.disk 900.0"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "far.pem").write_text(CERTIFICATE)
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    return tmp_path


def in_project(root: Path, config: dict[str, Any], secrets: tuple[str, ...] = ()) -> Settings:
    keys = [f"{PROJECT}:{key}" for key in secrets]
    return load(pulumi_config(config, secrets), secret_keys=keys, project=PROJECT, stack="test", root=root)


@pytest.mark.parametrize(("config", "secrets", "words"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_end_is_refused_by_one_message_that_names_the_fix(
    project: Path, config: dict[str, Any], secrets: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        in_project(project, config, secrets)
    [line] = str(caught.value).splitlines()
    assert words in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "host", ["mimir", "mimir.internal", "10.1.2.3", "192.168.1.9", "[fd00::9]", "metrics.home.arpa"]
)
def test_a_secret_may_go_in_clear_within_a_network_of_ones_own(host: str) -> None:
    settings_of(write(url=f"http://{host}:9009/api/v1/push"), secrets=["remote_far"])


def test_two_wrong_things_are_both_named() -> None:
    message = refusal({"metrics": {"remote_write": [{"name": "Far", "url": "ftp://far"}]}})
    assert "remote_write.0.name" in message
    assert "remote_write.0.url" in message


def test_certificates_are_read_from_the_project_into_every_file_that_needs_them(project: Path) -> None:
    end = {"url": FAR, "ca": "far.pem"}
    config = {
        "metrics": {"remote_write": [{"name": "far", **end}], "long_term": {**end, "query": FAR}},
        "logs": {"remote": end},
        "traces": {"remote": end},
    }
    settings = in_project(project, config, ("grafana_password",))
    main = yaml.safe_load(config_of("prometheus", settings).files["prometheus.yml"])
    assert [one["tls_config"] for one in main["remote_write"]] == [{"ca": CERTIFICATE}] * 2
    exporters = yaml.safe_load(config_of("otel_collector", settings).files["collector.yml"])["exporters"]
    assert (
        exporters["otlp_http/remote_traces"]["tls"]
        == exporters["otlp_http/remote_logs"]["tls"]
        == {"ca_pem": CERTIFICATE}
    )
    assert r"ca_pem = \"-----BEGIN" not in config_of("alloy", settings).files["config.alloy"]
    assert 'ca_pem = "-----BEGIN CERTIFICATE-----\\n' in config_of("alloy", settings).files["config.alloy"]
    [source] = [one for one in grafana.data_sources(settings) if one["uid"] == "long-term"]
    assert source["secureJsonData"] == {"tlsCACert": CERTIFICATE}


def test_each_secret_is_delivered_to_those_who_send_and_read_and_to_nobody_else() -> None:
    end = {"url": FAR, "user": "me"}
    config = {
        "metrics": {"remote_write": [{"name": "far", **end}], "long_term": {**end, "query": FAR}},
        "logs": {"remote": end},
        "traces": {"remote": end},
    }
    secrets = ("remote_far", "remote_long-term", "remote_logs", "remote_traces", "grafana_password")
    settings = settings_of(config, secrets=secrets)
    delivered = {
        service: {name for name in spec.config.secrets if name.startswith("remote_")}
        for service in settings.services
        if (spec := described(service, settings)).config
    }
    assert {service: names for service, names in delivered.items() if names} == {
        "prometheus": {"remote_far", "remote_long-term"},
        "alloy": {"remote_logs"},
        "otel_collector": {"remote_logs", "remote_traces"},
        "grafana": {"remote_long-term"},
    }


def test_without_ends_no_service_gets_anything_of_them() -> None:
    settings = settings_of()
    assert not settings.remotes
    assert "remote_write" not in yaml.safe_load(config_of("prometheus", settings).files["prometheus.yml"])
    assert described("otel_collector", settings).command == ("--config=/config/current/collector.yml",)
    assert '"remote"' not in config_of("alloy", settings).files["config.alloy"]
    assert not remote_otlp.secrets(settings)


def test_every_series_of_the_long_term_is_recorded_by_a_rule() -> None:
    config = {
        "metrics": {"long_term": {"local": True}},
        "slos": [{"name": "shop", "service": "shop", "objective": 99.9}],
    }
    recorded = {
        rule.record
        for group in groups(settings_of(config), EVERYTHING)
        for rule in group.rules
        if isinstance(rule, RecordingRule)
    }
    assert set(long_term.SELECTION) <= recorded


def test_the_store_of_the_stack_is_read_through_the_proxy_by_its_reading_paths_only() -> None:
    settings = settings_of({"metrics": {"long_term": {"local": True}}}, secrets=["grafana_password"])
    [source] = [one for one in grafana.data_sources(settings) if one["uid"] == "long-term"]
    assert (source["name"], source["url"]) == ("Long term", "http://api_proxy:28428")
    text = api_proxy.haproxy_cfg(settings)
    assert "frontend grafana.long_term" in text
    assert "api/v1/write" not in text
    assert "long_term" not in api_proxy.haproxy_cfg(settings_of(secrets=["grafana_password"]))


METRICS = """\
loki_write_sent_entries_total{component_id="loki.write.loki",host="loki:3100"} 70
loki_write_sent_entries_total{component_id="loki.write.remote",host="far.example.com"} %d
otelcol_exporter_sent_spans_total{exporter="otlp_grpc/jaeger"} 9
otelcol_exporter_sent_spans_total{exporter="otlp_http/remote_traces"} 5
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_http/remote_traces"} %d
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/jaeger"} 800
"""


def answered(value: float | None) -> dict[str, Any]:
    return {"data": {"result": [] if value is None else [{"metric": {}, "value": [0, str(value)]}]}}


TAKES: dict[str, Any] = {"age": 7, "failed": 0, "lines": 12, "retries": 0, "queue": 0}
"""What the services say if each end takes everything."""


@pytest.mark.parametrize(
    ("but", "broken"),
    [
        ({}, []),
        ({"age": None}, ["far takes samples"]),
        ({"age": 600}, ["far takes samples"]),
        ({"failed": 40}, ["far takes samples"]),
        ({"lines": 0}, ["logs.remote takes lines and records"]),
        ({"retries": 3}, ["logs.remote takes lines and records"]),
        ({"queue": 512}, ["traces.remote takes spans"]),
    ],
    ids=["all take", "none yet", "behind", "refuses", "no line yet", "away for lines", "away for spans"],
)
def test_the_check_names_the_end_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, but: dict[str, Any], broken: list[str]
) -> None:
    answer_pages(monkeypatch, lambda service, url: service.exec_run([url]))
    monkeypatch.setattr(queues, "PATIENCE_SECONDS", 0)
    ends = {**write(), "logs": {"remote": {"url": FAR}}, "traces": {"remote": {"url": FAR}}}
    settings, says = settings_of({**ends, "prefix": "ns"}), TAKES | but
    answers = {
        "samples_failed": answered(says["failed"]),
        "highest_sent": answered(says["age"]),
        "batch_retries": answered(says["retries"]),
        "/metrics": METRICS % (says["lines"], says["queue"]),
    }
    client: Any = Engine(answers=answers)
    findings = [one for name in check_remotes.names(settings) for one in check_remotes.findings(client, settings, name)]
    assert [one.what for one in findings] == [
        "far takes samples",
        "logs.remote takes lines and records",
        "traces.remote takes spans",
    ]
    assert [one.what for one in findings if not one.kept] == broken


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://far.example.com", "far.example.com:443"),
        ("http://far.internal", "far.internal:80"),
        ("https://[fd00::9]:4317", "[fd00::9]:4317"),
    ],
)
def test_grpc_is_told_a_host_and_a_port(url: str, endpoint: str) -> None:
    settings = settings_of({"traces": {"remote": {"url": url, "protocol": "grpc"}}})
    exporters = yaml.safe_load(config_of("otel_collector", settings).files["collector.yml"])["exporters"]
    assert exporters["otlp_grpc/remote_traces"]["endpoint"] == endpoint
