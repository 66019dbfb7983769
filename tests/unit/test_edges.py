"""A centre and its edges: what their stack files may say, and what becomes of it."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.catalogue import ROWS
from config.services import descriptions
from config.services.correlation import dashboard_files, edge_door
from config.services.metrics import edge_front
from config.services.traces import otel_collector
from config.settings import disk_budget
from config.settings.secret_keys import SECRETS
from config.sizes import MIB
from tests.support.program import (
    DOOR,
    EDGE,
    EVERYTHING,
    OF_DOOR,
    SECRET_TEXT,
    config_of,
    described,
    refusal,
    settings_of,
)

CENTRE = settings_of(DOOR, secrets=OF_DOOR)
ON_EDGE = settings_of(EDGE, secrets=["centre_password"])
WATCHING = (
    "prometheus",
    "node_exporter",
    "cadvisor",
    "socket_proxy",
    "scrape_proxy",
    "api_proxy",
    "alloy",
    "otel_collector",
)


def door(**more: Any) -> dict[str, Any]:
    return {**DOOR, **more}


def edge(**more: Any) -> dict[str, Any]:
    return {**EDGE, **more}


OF_A_CENTRE = ["centre_password"]
REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "an unknown role": ({"role": "hub"}, (), "role: Input should be 'centre' or 'edge'"),
    "an edge without a centre": ({"role": "edge"}, (), "centre: an edge needs one"),
    "an edge without its credential": (EDGE, (), "centre: needs the edge's credential: pulumi config set --secret centre_password"),
    "a centre's address without https": (
        edge(centre={"url": "http://centre.example.com"}), ("centre_password",), "centre.url: is not an address with https://"
    ),
    "a centre's address with a password": (
        edge(centre={"url": "https://me:sesame@centre.example.com"}), ("centre_password",), "centre.url: contains a user or password"
    ),
    "an authority that is not a certificate": (
        edge(centre={"url": "https://c.example", "ca": "hello"}), ("centre_password",), "centre.ca: is not a certificate"
    ),
    "an outage that no centre allows for": (
        edge(centre={"url": "https://c.example", "outage": "3d"}), ("centre_password",), "centre.outage: 3d is not between"
    ),
    "an edge that keeps metrics": (
        edge(metrics={"retention": {"time": "30d"}}), ("centre_password",), "metrics.retention: an edge keeps, judges and shows nothing"
    ),
    "an edge that keeps logs": (edge(logs={"s3": {"bucket": "logs"}}), ("centre_password",), "logs.s3: an edge keeps"),
    "an edge that samples": (edge(traces={"sampling": {"rest": 50}}), ("centre_password",), "traces.sampling: an edge keeps"),
    "an edge that alerts": (edge(alerts={"thresholds": {"disk": 70}}), ("centre_password",), "alerts: an edge keeps"),
    "an edge with Grafana": (edge(grafana={"enabled": False}), ("centre_password",), "grafana: an edge keeps"),
    "an edge with edges": (edge(edges={"a": {}}), ("centre_password",), "edges: an edge keeps"),
    "an edge with Slack's secret": (EDGE, ("centre_password", "slack_webhook"), "role: an edge has no use for the secret slack_webhook"),
    "an edge with Promtail": (edge(logs={"shipper": "promtail"}), ("centre_password",), "logs.shipper: promtail cannot send to a centre"),
    "an edge with too little memory": (edge(memory={"host": "512MiB"}), ("centre_password",), "memory.host: below 1GiB not even an edge fits"),
    "a centre that sends to a centre": ({"centre": {"url": "https://c.example"}}, (), "role: a stack that sends to a centre is an edge"),
    "edges without a door": ({"edges": {"a": {}}}, ("edge_password_a",), "edges: needs door"),
    "a door without edges": ({"door": {"domain": "c.example"}, "publish": {"caddy": "0.0.0.0:443"}}, (), "door: needs edges"),
    "a door that listens nowhere": (door(publish={}), OF_DOOR, "door: needs publish.caddy"),
    "a door at an address with a public certificate": (
        door(door={"domain": "10.0.0.5"}),
        OF_DOOR,
        "door: no public authority certifies the address 10.0.0.5",
    ),
    "a door under Grafana's domain": (
        door(grafana={"tls": {"domain": "centre.example.com"}}), OF_DOOR, "door.domain: is that of grafana.tls"
    ),
    "an edge without a credential": (DOOR, OF_DOOR[:1], "edges.db-1: needs its credential: pulumi config set --secret edge_password_db-1"),
    "a credential without an edge": (DOOR, (*OF_DOOR, "edge_password_old"), "edges: there is none called old: name it there"),
    "an edge that is called as its centre": (door(edges={"centre": {}}), ("edge_password_centre",), "edges: centre is what this host is called"),
    "an edge whose name is none": (door(edges={"Web_2": {}}), (), "edges.Web_2"),
    "a bound that is none": (door(edges={"web-2": {"series": 0}}), OF_DOOR[:1], "edges.web-2.series"),
    "a bound that is unknown": (door(edges={"web-2": {"lines": 1}}), OF_DOOR[:1], "edges.web-2.lines: unknown key"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_preview_refuses(case: str) -> None:
    config, secrets, complaint = REFUSED[case]
    message = refusal(config, secrets=secrets)
    assert f"nervous-system:{complaint}" in message
    assert SECRET_TEXT not in message


def test_what_pulumi_declares_of_every_key_says_nothing_of_an_edge() -> None:
    declared = yaml.safe_load((Path(__file__).parents[2] / "Pulumi.yaml").read_text())["config"]
    defaults = {key.partition(":")[2]: about["default"] for key, about in declared.items() if "default" in about}
    assert settings_of({**defaults, **EDGE}, secrets=OF_A_CENTRE) == ON_EDGE


def test_an_edge_runs_what_watches_and_nothing_that_keeps() -> None:
    assert ON_EDGE.services == WATCHING
    config = edge(exporters=EVERYTHING["exporters"], images=EVERYTHING["images"], memory={"ceiling": "2GiB"})
    with_exporters = settings_of(config, secrets=OF_A_CENTRE)
    exporters = {row.name for row in ROWS.values() if row.watches}
    assert {*with_exporters.services} >= {*WATCHING, *exporters, "blackbox_exporter"}


@pytest.mark.parametrize(
    ("memory", "most"), [({}, 700), ({"host": "1GiB"}, 512), ({"host": "1536MiB"}, 512), ({"host": "4GiB"}, 700)]
)
def test_the_limits_of_an_edge_fit_its_host(memory: dict[str, str], most: int) -> None:
    settings = settings_of(edge(memory=memory), secrets=OF_A_CENTRE)
    assert sum(settings.memory_mib(service) for service in settings.services) <= most
    assert settings.memory.ceiling <= settings.memory.host


def test_a_limit_of_an_edge_can_be_set() -> None:
    assert settings_of(edge(memory={"alloy": "300MiB"}), secrets=OF_A_CENTRE).memory_mib("alloy") == 300


def test_a_stack_without_edges_is_the_one_that_it_was() -> None:
    plain = settings_of({})
    for service in plain.services:
        described_as = json.dumps([str(one) for one in described(service, plain).command])
        config = described(service, plain).config
        text = described_as + "".join(config.files.values() if config else ())
        assert "out_of_order_time_window: 24h" not in text
        assert "remote-write-receiver" not in text
        assert "replacement: test\n" not in text


# An edge


def test_an_edge_needs_its_credential_in_three_places_and_shows_it_nowhere() -> None:
    readers = set()
    for service in ON_EDGE.services:
        container = described(service, ON_EDGE)
        for secret in container.config.secrets.values() if container.config else ():
            assert secret.key == "centre_password"
            readers.add(service)
            assert SECRET_TEXT not in json.dumps([*container.command, *container.environment.values()])
    assert readers == {"prometheus", "alloy", "otel_collector"}


def test_an_edge_sends_to_its_centre_and_to_nobody_else() -> None:
    remote = yaml.safe_load(config_of("prometheus", ON_EDGE).files["prometheus.yml"])["remote_write"]
    assert [one["url"] for one in remote] == ["https://centre.example.com/api/v1/write"]
    assert remote[0]["basic_auth"] == {"username": "web-2", "password_file": "secrets/centre_password"}
    assert not remote[0]["follow_redirects"]
    assert 'url = "https://centre.example.com/loki/api/v1/push"' in config_of("alloy", ON_EDGE).files["config.alloy"]
    collector = otel_collector.main_file(ON_EDGE)
    assert {*collector["exporters"]} == {"otlp_http/centre", "prometheus/otlp"}
    assert collector["exporters"]["otlp_http/centre"]["endpoint"] == "https://centre.example.com"


def test_an_edges_queues_are_bounded() -> None:
    settings = settings_of(
        edge(centre={**EDGE["centre"], "outage": "2h"}, traces={"queue": "100MiB"}), secrets=OF_A_CENTRE
    )
    assert "--storage.agent.retention.max-time=2h" in described("prometheus", settings).command
    queue = otel_collector.main_file(settings)["exporters"]["otlp_http/centre"]["sending_queue"]
    assert (queue["queue_size"], queue["storage"]) == (100 * MIB, "file_storage")
    assert disk_budget.shares(settings)["traces.queue"] == 100 * MIB


def test_the_shards_of_an_edges_queue_never_change_because_prometheus_loses_what_those_hold_that_it_ends() -> None:
    [remote] = yaml.safe_load(config_of("prometheus", ON_EDGE).files["prometheus.yml"])["remote_write"]
    assert remote["queue_config"]["min_shards"] == remote["queue_config"]["max_shards"]


def test_an_edge_masks_before_it_sends() -> None:
    pipelines = otel_collector.main_file(ON_EDGE)["service"]["pipelines"]
    for signal in ("traces", "logs"):
        assert pipelines[f"{signal}/masked"]["exporters"] == ["otlp_http/centre"]
        assert "redaction" in pipelines[f"{signal}/suspect"]["processors"]
        assert [name for name, one in pipelines.items() if "otlp_http/centre" in one["exporters"]] == [
            "traces/masked",
            "logs/masked",
        ]


def test_a_centre_with_its_own_authority_is_trusted_in_three_places() -> None:
    pem = ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0])
    settings = settings_of(edge(centre={**EDGE["centre"], "ca": pem.replace("\n", " ")}), secrets=OF_A_CENTRE)
    remote = yaml.safe_load(config_of("prometheus", settings).files["prometheus.yml"])["remote_write"]
    assert remote[0]["tls_config"]["ca"].strip() == pem.strip()
    assert "ca_pem" in config_of("alloy", settings).files["config.alloy"]
    assert otel_collector.main_file(settings)["exporters"]["otlp_http/centre"]["tls"]["ca_pem"].strip() == pem.strip()


def test_all_that_an_edge_scrapes_has_its_name() -> None:
    jobs = yaml.safe_load(config_of("prometheus", ON_EDGE).files["prometheus.yml"])["scrape_configs"]
    named = [job for job in jobs if job.get("static_configs") != []]  # the last one shows which file is live
    assert all(job["relabel_configs"][-1] == {"target_label": "host", "replacement": "web-2"} for job in named)


def test_an_edge_scrapes_no_page_that_its_collector_does_not_have() -> None:
    collector = otel_collector.main_file(ON_EDGE)
    there = {
        exporter["endpoint"].rpartition(":")[2]
        for name, exporter in collector["exporters"].items()
        if name.startswith("prometheus/")
    }
    jobs = yaml.safe_load(config_of("prometheus", ON_EDGE).files["prometheus.yml"])["scrape_configs"]
    ports = {
        target.rpartition(":")[2]
        for job in jobs
        for group in job.get("static_configs", ())
        for target in group["targets"]
        if "otel_collector:" in target and job["job_name"] != "otel_collector"
    }
    assert ports == there


def test_the_name_of_an_edge_is_its_environment_unless_it_is_said() -> None:
    assert settings_of({**EDGE, "host_name": ""}, secrets=OF_A_CENTRE, stack="db-7").name_of_host == "db-7"


# A centre


def test_the_door_is_told_who_sends_by_its_front_alone() -> None:
    front = config_of("api_proxy", CENTRE).files["haproxy.cfg"]
    assert "http-request set-header X-Edge %[var(txn.edge)]" in front
    bounds = json.loads(config_of("edge_door", CENTRE).files[edge_door.FILE])["bounds"]
    assert {*bounds} == {*CENTRE.edges}
    for name in CENTRE.edges:
        for signal in ("metrics", "logs"):
            assert (
                f"backend {edge_front.backend(name, signal)}\n    server edge_door edge_door:{edge_door.PORT} " in front
            )


def test_the_front_knows_each_credential_and_that_which_follows_it() -> None:
    settings = settings_of(DOOR, secrets=[*OF_DOOR, "edge_password_web-2_next"])
    files = config_of("api_proxy", settings).secrets
    assert {*files} == {*OF_DOOR, "edge_password_web-2_next"}
    assert files["edge_password_web-2_next"].render("x").startswith("Basic ")
    text = config_of("api_proxy", settings).files["haproxy.cfg"]
    assert "str(web-2) if { req.hdr(authorization) -m str -f secrets/edge_password_web-2_next }" in text


def test_only_the_door_reaches_the_collectors_port_for_edges() -> None:
    receivers = otel_collector.main_file(CENTRE)["receivers"]
    assert receivers["otlp/edges"]["protocols"]["http"]["endpoint"] == f"{CENTRE.edge.address('otel_collector')}:4319"
    assert "http-request set-header X-Edge %[var(txn.edge)]" in config_of("api_proxy", CENTRE).files["haproxy.cfg"]


def test_everything_of_the_centre_itself_has_its_name_too() -> None:
    jobs = yaml.safe_load(config_of("prometheus", CENTRE).files["prometheus.yml"])["scrape_configs"]
    assert all(job["relabel_configs"][-1] == {"target_label": "host", "replacement": "centre"} for job in jobs)
    assert 'external_labels = {"host" = "centre"}' in config_of("alloy", CENTRE).files["config.alloy"]


def test_a_centres_secret_is_in_no_file_but_its_own() -> None:
    for service in CENTRE.services:
        config = described(service, CENTRE).config
        assert config is None or {*config.secrets} <= {*SECRETS, *OF_DOOR}
        if config and {*config.secrets} & {*OF_DOOR}:
            assert service == "api_proxy"


def test_dashboards_of_a_centre_can_be_narrowed_to_a_host_and_others_have_nothing_to_choose() -> None:
    for settings, filtered in ((CENTRE, True), (settings_of({}), False)):
        boards = dashboard_files.read(settings, Path(), stack_key="x:grafana.dashboards")
        for uid, board in boards.items():
            kinds = {one["type"] for one in json.loads(board.text)["templating"]["list"]}
            assert ("adhoc" in kinds) is filtered, uid


def test_the_volumes_of_an_edge_are_its_queues() -> None:
    assert {*descriptions.data_volumes(ON_EDGE)} == {
        f"nervous-test-{one}" for one in ("prometheus", "alloy", "otel_collector")
    }


def test_the_paths_that_are_open_are_those_that_edges_send_to() -> None:
    front = config_of("api_proxy", CENTRE).files["haproxy.cfg"]
    assert "{ path /api/v1/write /loki/api/v1/push /v1/traces /v1/logs }" in front
    assert f"maxconn {edge_front.AT_ONCE}" in front
