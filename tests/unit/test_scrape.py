"""What Prometheus scrapes, as targets: relabelled by a small interpreter of its rules."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from config.alerts.rule import EVERYTHING as EVERY_JOB
from config.alerts.rule import Job
from config.catalogue import ROWS, SERVICES
from config.metrics_pages import METRICS_PAGES
from config.ports import METRICS
from config.row import Row
from config.services.metrics import cadvisor, scrape
from config.settings.traces import RETENTION_SUCCESS
from tests.support.program import AS_A_CENTRE, EVERYTHING, EXPORTERS, OF_DOOR, config_of, refusal, settings_of
from tests.unit.relabel import relabelled, scraped, targets

APPLICATIONS = {
    "static": [
        {"service": "orders", "targets": ["orders:8000", "orders-2:8000"]},
        {"service": "legacy", "targets": ["10.0.0.5:9000"], "path": "/internal/metrics", "scheme": "https"},
    ]
}


JOBS_OF_PAGES = tuple(job for page in METRICS_PAGES for job in page.jobs)


def jobs(config: dict[str, Any] | None = None, secrets: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    all_jobs = scrape.jobs(settings_of(config, secrets=secrets))
    named = {job["job_name"]: job for job in all_jobs}
    assert len(named) == len(all_jobs), "Prometheus refuses two jobs of one name"
    return named


def test_every_service_of_the_stack_is_watched() -> None:
    """Those that are outside, by their full names; `instance` is the same everywhere."""
    named = jobs(AS_A_CENTRE, OF_DOOR) | jobs(EVERYTHING, ("grafana_password",))
    host = settings_of(EVERYTHING).host
    assert host("redis_exporter") == "nervous-test-redis_exporter"
    assert {(f"{service}:{port}", f"http://{host(service)}:{port}/metrics") for service, port in METRICS.items()} == {
        (target["instance"], target["url"]) for service in METRICS for target in targets(named[service]) if target
    }


def test_whatever_is_scraped_leads_prometheus_nowhere_else() -> None:
    named = jobs({**EVERYTHING, "metrics": {"applications": APPLICATIONS}})
    assert [name for name, job in named.items() if job.get("follow_redirects") is not False] == []


def test_what_users_run_is_scraped_by_the_proxy_and_by_no_foot_in_their_networks() -> None:
    named = jobs({**EVERYTHING, "metrics": {"applications": APPLICATIONS}})
    theirs = (*JOBS_OF_PAGES, "application", "application-containers")
    for job in theirs:
        [*_, last] = named[job]["relabel_configs"]
        assert last == {"target_label": "__address__", "replacement": "nervous-test-scrape_proxy:8080"}


@pytest.mark.parametrize("config", [{}, EVERYTHING, {"metrics": {"applications": {"discover": False}}}])
def test_what_does_not_run_is_not_watched(config: dict[str, Any]) -> None:
    named = jobs(config)
    assert set(named) & set(SERVICES) == set(settings_of(config).services) & set(METRICS)


def test_every_target_says_job_instance_and_service() -> None:
    config = {**EVERYTHING, "metrics": {"applications": APPLICATIONS}}
    all_targets = [target for job in jobs(config).values() for target in targets(job)]
    assert len(all_targets) > len(SERVICES)
    assert [target for target in all_targets if not target or not {"job", "instance", "service"} <= target.keys()] == []


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.board], ids=lambda row: row.name)
def test_an_exporter_speaks_for_the_service_behind_it(row: Row) -> None:
    assert row.watches
    usual = jobs(EVERYTHING)[row.name]
    assert [target["service"] for target in targets(usual) if target] == [row.watches]
    named = {**EXPORTERS, row.watches: {**EXPORTERS[row.watches], "service": "shop-store"}}
    renamed = jobs({**EVERYTHING, "exporters": named})[row.name]
    assert [target["service"] for target in targets(renamed) if target] == ["shop-store"]


def test_a_page_without_a_content_type_is_read_as_text() -> None:
    """Prometheus 2 did so; Prometheus 3 has to be told. The stack's own exporters say theirs."""
    named = jobs({**EVERYTHING, "metrics": {"applications": APPLICATIONS}})
    names = {name for name, job in named.items() if job.get("fallback_scrape_protocol") == "PrometheusText0.0.4"}
    assert names >= {"haproxy", "application", "application-containers"}


LIMITS = ("label_limit", "label_value_length_limit", "target_limit")


def test_what_others_write_is_held_to_limits_and_the_stacks_own_exporters_are_not() -> None:
    """One label of theirs would take the whole page with it: a certificate with many names, a long mount point."""
    named = jobs({**EVERYTHING, "metrics": {"applications": APPLICATIONS, "limits": {"labels": 20, "targets": 7}}})
    limited_jobs = {name for name, job in named.items() if [job.get(limit) for limit in LIMITS] == [20, 512, 7]}
    assert limited_jobs == {"spans", "otlp", *JOBS_OF_PAGES, "application", "application-containers"}
    assert [name for name in named.keys() - limited_jobs if set(LIMITS) & named[name].keys()] == []


def test_haproxy_is_asked_itself() -> None:
    config = {"exporters": {"haproxy": {"targets": ["lb:8405"], "path": "/stats", "service": "edge"}}}
    assert targets(jobs(config)["haproxy"]) == [
        {"job": "haproxy", "instance": "lb:8405", "service": "edge", "url": "http://lb:8405/stats"}
    ]


def test_each_page_of_rabbitmq_is_a_job_because_a_target_has_one_up() -> None:
    pages = jobs({"exporters": {"rabbitmq": {"targets": ["mq:15692", "mq-2:15692"], "path": "/mq"}}})
    nodes, queues = (targets(pages[job]) for job in ("rabbitmq_page", "rabbitmq_queues_page"))
    assert [target and target["url"] for target in nodes] == ["http://mq:15692/mq", "http://mq-2:15692/mq"]
    [family] = {pages["rabbitmq_queues_page"]["metrics_path"]: pages["rabbitmq_queues_page"]["params"]}.items()
    assert family == ("/mq/detailed", {"family": ["queue_coarse_metrics", "queue_consumer_count"]})
    assert [target and target["instance"] for target in queues] == ["mq:15692", "mq-2:15692"]


def test_the_password_of_a_page_needs_a_page_of_that_name_and_a_user_needs_a_password() -> None:
    page = {"exporters": {"rabbitmq": {"name": "jobs", "targets": ["mq:15692"]}}}
    assert "exporters.rabbitmq: there is none called shop" in refusal(page, secrets=["rabbitmq_password_shop"])
    page["exporters"]["rabbitmq"]["user"] = "me"
    assert "exporters.rabbitmq.user: needs its password: pulumi config set --secret rabbitmq_password_jobs" in refusal(
        page
    )


def test_static_applications_are_one_job() -> None:
    job = jobs({"metrics": {"applications": APPLICATIONS}})["application"]
    assert targets(job) == [
        {"job": "application", "service": "orders", "instance": "orders:8000", "url": "http://orders:8000/metrics"},
        {"job": "application", "service": "orders", "instance": "orders-2:8000", "url": "http://orders-2:8000/metrics"},
        {
            "job": "application",
            "service": "legacy",
            "instance": "10.0.0.5:9000",
            "url": "https://10.0.0.5:9000/internal/metrics",
        },
    ]


QUERIES = [
    ("/v1/sys/metrics?format=prometheus", "/v1/sys/metrics?format=prometheus"),
    ("/federate?match[]=up&match[]={job=%22x%22}&a=", '/federate?a=&match[]=up&match[]={job="x"}'),
    ("/a%20b/metrics", "/a b/metrics"),
]
"""Path of the settings → what is asked for, before Prometheus encodes it."""


@pytest.mark.parametrize(("path", "request_path"), QUERIES)
def test_a_path_with_a_query_is_asked_with_it(path: str, request_path: str) -> None:
    static = [{"service": "vault", "targets": ["vault:8200"], "path": path}, *APPLICATIONS["static"]]
    config = {
        "metrics": {"applications": {"static": static, "discover": False}},
        "exporters": {"haproxy": {"targets": ["lb:8405"], "path": path}},
    }
    all_targets = [
        target
        for name, job in jobs(config).items()
        if name.startswith(("application", "hap"))
        for target in targets(job)
    ]
    urls = {target["service"]: target["url"] for target in all_targets if target}
    assert urls["vault"] == f"http://vault:8200{request_path}"
    assert urls["haproxy"] == f"http://lb:8405{request_path}"
    assert urls["legacy"] == "https://10.0.0.5:9000/internal/metrics"
    assert {target["job"] for target in all_targets if target} == {"application", "haproxy"}


@pytest.mark.parametrize("path", ["metrics", "/metrics#top", "/my metrics", "/100%"])
@pytest.mark.parametrize("key", ["exporters.haproxy.path", "metrics.applications.static.0.path"])
def test_a_path_that_cannot_be_asked_for_is_refused(key: str, path: str) -> None:
    config = {
        "exporters": {"haproxy": {"targets": ["lb:8405"], "path": path}},
        "metrics": {"applications": {"static": [{"service": "a", "targets": ["a:1"], "path": path}]}},
    }
    assert f"{key}: is not a path like /metrics or /metrics?format=prometheus" in refusal(config)


def test_a_probe_is_asked_of_the_blackbox_exporter_and_named_after_what_it_tries() -> None:
    probes = [
        {"name": "home", "target": "https://shop.example/"},
        {"name": "db", "target": "db:5432", "module": "tcp_connect", "service": "postgres"},
    ]
    prefix = "http://nervous-test-blackbox_exporter:9115/probe?module="
    assert targets(jobs({"exporters": {"probes": probes}})["probe"]) == [
        {
            "job": "probe",
            "probe": "home",
            "service": "home",
            "module": "http_2xx",
            "instance": "https://shop.example/",
            "url": f"{prefix}http_2xx&target=https://shop.example/",
        },
        {
            "job": "probe",
            "probe": "db",
            "service": "postgres",
            "module": "tcp_connect",
            "instance": "db:5432",
            "url": f"{prefix}tcp_connect&target=db:5432",
        },
    ]


# Containers that carry the label.


def discovered(meta: Mapping[str, str] | None = None, config: dict[str, Any] | None = None) -> dict[str, str] | None:
    """What becomes of a container that Docker's service discovery has found."""
    meta_labels = {
        "__address__": "172.18.0.5:8000",
        "__meta_docker_network_name": "nervous-test-apps",
        "__meta_docker_network_ip": "172.18.0.5",
        "__meta_docker_container_name": "/shop-orders-1",
        "__meta_docker_container_network_mode": (meta or {}).get("network_name", "nervous-test-apps"),
        "__meta_docker_container_label_observability_scrape": "true",
        **{f"__meta_docker_{name}": value for name, value in (meta or {}).items()},
    }
    return scraped(meta_labels, jobs(config)["application-containers"])


ORDERS = {
    "job": "application",
    "service": "shop-orders",
    "instance": "shop-orders-1:8000",
    "url": "http://172.18.0.5:8000/metrics",
}


@pytest.mark.parametrize(
    ("meta", "difference"),
    [
        ({}, {}),
        (
            {"container_label_observability_port": "9102"},
            {"instance": "shop-orders-1:9102", "url": "http://172.18.0.5:9102/metrics"},
        ),
        ({"container_label_observability_port": "http"}, {}),
        (
            {"container_label_observability_path": "/internal/metrics"},
            {"url": "http://172.18.0.5:8000/internal/metrics"},
        ),
        ({"container_label_observability_path": "metrics"}, {}),
        (
            {"container_label_observability_path": "/metrics?format=prometheus"},
            {"url": "http://172.18.0.5:8000/metrics?format=prometheus"},
        ),
        (
            {"container_label_observability_path": "/m?a=1&b=x=y&c=3&d=4&e=5&f=6"},
            {"url": "http://172.18.0.5:8000/m?a=1&b=x=y&c=3&d=4&e=5"},
        ),
        ({"container_label_observability_scheme": "https"}, {"url": "https://172.18.0.5:8000/metrics"}),
        ({"container_label_observability_scheme": "gopher"}, {}),
        ({"container_label_com_docker_compose_service": "orders"}, {"service": "orders"}),
        (
            {
                "container_label_com_docker_compose_service": "orders",
                "container_label_observability_service": "checkout",
            },
            {"service": "checkout"},
        ),
    ],
    ids=[
        "by its exposed port",
        "by the port of its label",
        "by its exposed port when the label is not a port",
        "by the path of its label",
        "by the usual path when the label is not a path",
        "by the query of its label",
        "by as many parameters as are read",
        "by the scheme of its label",
        "by the usual scheme when the label is none",
        "as its compose service",
        "as the service of its label",
    ],
)
def test_a_container_with_the_label_is_scraped(meta: dict[str, str], difference: dict[str, str]) -> None:
    assert discovered(meta) == {**ORDERS, **difference}


def test_a_container_is_scraped_in_the_shared_network_only() -> None:
    """In another one its address cannot be reached, and each network would be a target of its own."""
    assert discovered({"network_name": "bridge"}) is None
    assert discovered({"network_name": "shop"}) is None
    assert discovered({"network_name": "nervous-test-2"}) is None
    assert discovered({"network_name": "nervous-test"}) is None  # where none of theirs is
    assert discovered({"network_name": "shop"}, {"networks": ["shop"]}) == ORDERS
    assert discovered({"network_name": "shop.net"}, {"networks": ["shop.net"]}) == ORDERS
    assert discovered({"network_name": "shop-net"}, {"networks": ["shop.net"]}) is None


@pytest.mark.parametrize("name", ["shop+net", "Bugs A Net", "shop+net (1)", "a|b", "[x]{2}^$", "grün*?", r"a\d"])
def test_a_network_may_be_called_as_older_engines_let_it_be(name: str) -> None:
    assert discovered({"network_name": name}, {"networks": [name]}) == ORDERS
    assert discovered({"network_name": "elsewhere"}, {"networks": [name]}) is None


def test_a_container_in_several_shared_networks_is_one_target() -> None:
    config = {"networks": ["front", "back"]}
    results = [
        discovered({"network_name": name, "container_network_mode": "back"}, config)
        for name in ("front", "back", "nervous-test", "elsewhere")
    ]
    assert results == [None, ORDERS, None, None]


@pytest.mark.parametrize(
    ("mode", "host"),
    [
        pytest.param("elsewhere", "shop-orders-1", id="it was started in a network that is not shared"),
        pytest.param("bridge", "shop-orders-1", id="it was started in the engine's own network"),
        pytest.param(
            "container:" + "0123456789ab" * 5 + "cdef", "0123456789ab", id="it is in another container's network"
        ),
    ],
)
def test_a_container_that_joined_several_shared_networks_later_is_one_target_that_is_asked_by_its_name(
    mode: str, host: str
) -> None:
    networks = {"front": "172.19.0.5", "back": "172.20.0.5"}
    results = [
        discovered({"network_name": name, "network_ip": ip, "container_network_mode": mode}, {"networks": [*networks]})
        for name, ip in networks.items()
    ]
    assert results == 2 * [{**ORDERS, "url": f"http://{host}:8000/metrics"}]


def test_a_container_without_an_address_is_no_target() -> None:
    """It restarts. Without its address, Prometheus' own would be asked."""
    meta = {"network_ip": "", "container_label_observability_port": "8000"}
    assert discovered(meta) is None


@pytest.mark.parametrize(("label", "scraped"), [("True", False), ("true", False), ("False", True), ("", True)])
def test_a_migration_that_compose_runs_with_the_labels_of_its_service_is_no_target(label: str, scraped: bool) -> None:  # noqa: FBT001 - a column
    assert bool(discovered({"container_label_com_docker_compose_oneoff": label})) is scraped


@pytest.mark.parametrize(
    ("container", "service"),
    [
        ("shop-web-1a2b3c4", "shop-web"),
        ("shop-web-9f8e7d6", "shop-web"),
        ("shop_web.1.x7k2m9q4w8e1r5t6y3u0i2o4p", "shop_web"),
    ],
)
def test_a_deployment_that_names_containers_by_version_makes_no_other_service(container: str, service: str) -> None:
    target = discovered({"container_name": f"/{container}"})
    assert target
    assert (target["service"], target["instance"]) == (service, f"{container}:8000")
    series = container_series(**{**RUNNING, "name": container})
    assert series
    assert series["service"] == service


def test_with_a_port_label_all_ports_of_a_container_are_one_target() -> None:
    label = {"container_label_observability_port": "9102"}
    ports = [discovered({"port_private": port, **label}) for port in ("8000", "9102")]
    assert ports[0] == ports[1]


def test_a_restart_makes_no_new_series() -> None:
    """Addresses and ids are new each time."""
    before, after = discovered(), discovered({"network_ip": "172.18.0.9", "container_id": "abc", "network_id": "def"})
    assert before
    assert after
    assert {k: v for k, v in before.items() if k != "url"} == {k: v for k, v in after.items() if k != "url"}


@pytest.mark.parametrize(
    ("meta", "difference"),
    [
        pytest.param(
            {"prometheus_io_port": "9102", "prometheus_io_path": "/stats", "prometheus_io_scheme": "https"},
            {"instance": "shop-orders-1:9102", "url": "https://172.18.0.5:9102/stats"},
            id="as on Kubernetes",
        ),
        pytest.param(
            {"prometheus_port": "9102", "prometheus_path": "/stats?a=1"},
            {"instance": "shop-orders-1:9102", "url": "http://172.18.0.5:9102/stats?a=1"},
            id="as in tutorials",
        ),
        pytest.param(
            {"prometheus_io_port": "1", "prometheus_port": "2", "observability_port": "9102"},
            {"instance": "shop-orders-1:9102", "url": "http://172.18.0.5:9102/metrics"},
            id="by this stack's label first",
        ),
        pytest.param(
            {"prometheus_io_port": "9102", "observability_port": "http"},
            {"instance": "shop-orders-1:9102", "url": "http://172.18.0.5:9102/metrics"},
            id="by the one that says a port",
        ),
    ],
)
def test_a_container_is_scraped_by_labels_that_it_already_has(meta: dict[str, str], difference: dict[str, str]) -> None:
    assert discovered({f"container_label_{name}": value for name, value in meta.items()}) == {**ORDERS, **difference}


@pytest.mark.parametrize(
    ("applications", "filters"),
    [
        ({}, ["observability.scrape=true", "prometheus.io/scrape=true", "prometheus.scrape=true"]),
        ({"labels": ["observability"]}, ["observability.scrape=true"]),
    ],
)
def test_docker_is_asked_through_the_proxy_and_for_labelled_containers_only(
    applications: dict[str, Any], filters: list[str]
) -> None:
    discoveries = jobs({"metrics": {"applications": applications}})["application-containers"]["docker_sd_configs"]
    assert {discovery["host"] for discovery in discoveries} == {"tcp://socket_proxy:2375"}
    assert [discovery["filters"] for discovery in discoveries] == [
        [{"name": "label", "values": [label]}] for label in filters
    ]
    assert not any(discovery["match_first_network"] for discovery in discoveries)


def test_labels_that_are_not_chosen_are_not_read() -> None:
    config = {"metrics": {"applications": {"labels": ["observability"]}}}
    assert discovered({"container_label_prometheus_io_port": "9102"}, config) == ORDERS


def test_discovery_can_be_turned_off() -> None:
    assert "application-containers" not in jobs({"metrics": {"applications": {"discover": False}}})


# What the rules may speak of.


@pytest.mark.parametrize(
    "config",
    [
        {},
        EVERYTHING,
        {"metrics": {"applications": {"discover": False}}},
        {"metrics": {"applications": {"discover": False, **APPLICATIONS}}},
    ],
    ids=["default", "everything", "no applications", "static applications"],
)
def test_rules_may_speak_of_exactly_the_jobs_that_are_scraped(config: dict[str, Any]) -> None:
    static = {target["job"] for job in jobs(config).values() for target in targets(job) if target}
    docker_jobs = {"application"} if "application-containers" in jobs(config) else set()
    assert {str(job) for job in scrape.watched(settings_of(config))} == static | docker_jobs


def test_every_job_of_the_rules_can_be_scraped() -> None:
    some = {Job.ALLOY, Job.PROMTAIL, Job.EDGE_DOOR}  # a stack has one of the first two, and a centre the third
    assert scrape.watched(settings_of(EVERYTHING, secrets=["grafana_password"])) | some == EVERY_JOB


# What the shipper's series become.


@pytest.mark.parametrize("shipper", ["alloy", "promtail"])
def test_requests_in_access_logs_are_of_the_service_that_wrote_them(shipper: str) -> None:
    rules = jobs({"logs": {"shipper": shipper}})[shipper]["metric_relabel_configs"]
    labels = {"job": shipper, "service": shipper, "instance": f"{shipper}:1", "exported_service": "web"}
    for name in ("access_log_requests_total", "access_log_request_duration_seconds_bucket"):
        counted = relabelled({"__name__": name, **labels, "status": "2xx"}, rules)
        assert counted == {
            "__name__": name,
            "job": shipper,
            "service": "web",
            "instance": f"{shipper}:1",
            "status": "2xx",
        }
    for name in ("loki_process_dropped_lines_total", "other_access_log_requests_total"):
        assert relabelled({"__name__": name, **labels}, rules) == {"__name__": name, **labels}


# What HAProxy's series become.


@pytest.mark.parametrize(
    ("name", "presence"),
    [
        ("haproxy_process_current_connections", True),
        ("haproxy_backend_http_requests_total", True),
        ("haproxy_frontend_http_responses_total", True),
        ("haproxy_backend_agg_check_status", False),
        ("haproxy_server_status", False),
    ],
)
@pytest.mark.parametrize("proxy", ["api_proxy", "scrape_proxy", "socket_proxy"])
def test_only_the_counts_of_requests_are_kept_of_the_stacks_own_proxies(
    proxy: str, name: str, *, presence: bool
) -> None:
    job = jobs()[proxy]
    assert (relabelled({"__name__": name, "proxy": "loki"}, job["metric_relabel_configs"]) is not None) == presence


def test_your_haproxy_keeps_all_that_it_tells() -> None:
    job = jobs({"exporters": {"haproxy": [{"name": "front", "targets": ["front:8404"]}]}})["haproxy-front"]
    assert relabelled({"__name__": "haproxy_server_status", "proxy": "web"}, job["metric_relabel_configs"])


# What cAdvisor's series become.


def container_series(**labels: str) -> dict[str, str] | None:
    """What becomes of a series of cAdvisor with `labels`."""
    series = {"__name__": "container_memory_usage_bytes", "job": "cadvisor", "service": "cadvisor"}
    return relabelled(series | labels, cadvisor.metric_relabel_configs())


RUNNING = {"id": "/docker/abc", "name": "shop-orders-1", "image": "shop/orders:1"}


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({}, "shop-orders"),
        ({"container_label_com_docker_swarm_service_name": "shop_orders"}, "shop_orders"),
        ({"container_label_com_docker_compose_service": "orders"}, "orders"),
        ({"container_label_observability_service": "prometheus"}, "prometheus"),
        (
            {
                "container_label_com_docker_compose_service": "orders",
                "container_label_observability_service": "checkout",
            },
            "checkout",
        ),
    ],
)
def test_a_container_has_a_name_and_a_service_and_nothing_that_changes_at_a_restart(
    labels: dict[str, str], service: str
) -> None:
    assert container_series(**RUNNING, **labels) == {
        "__name__": "container_memory_usage_bytes",
        "job": "cadvisor",
        "name": "shop-orders-1",
        "service": service,
    }


def test_the_image_of_a_container_is_kept_beside_its_start_only_and_without_its_digest() -> None:
    image = f"docker.io/grafana/loki:3.7.8@sha256:{'a' * 64}"
    started = container_series(**{**RUNNING, "__name__": "container_start_time_seconds", "image": image})
    assert started is not None
    assert started["image"] == "docker.io/grafana/loki:3.7.8"
    assert not [name for name in started if name.startswith("__tmp")]
    used = container_series(**{**RUNNING, "image": image})
    assert used is not None
    assert "image" not in used


@pytest.mark.parametrize(
    "name",
    [
        "container_blkio_device_usage_total",
        "container_cpu_cfs_burst_seconds_total",
        "container_fs_io_cost_usage_seconds_total",
        "container_health_state",
        "container_memory_events_high_total",
        "container_memory_file_dirty_bytes",
        "container_memory_pgscan_total",
        "container_memory_pgsteal_total",
        "container_memory_workingset_refault_file_total",
        "container_tasks_state",
    ],
)
def test_what_nobody_reads_of_a_container_is_dropped(name: str) -> None:
    assert container_series(**RUNNING, __name__=name) is None


@pytest.mark.parametrize(
    "name",
    [
        "container_creation_time_seconds",
        "container_memory_failures_seen",
        "container_memory_working_set_bytes",
        "container_spec_memory_limit_bytes",
        "container_start_time_seconds",
    ],
)
def test_what_only_begins_like_it_is_kept(name: str) -> None:
    assert container_series(**{**RUNNING, "image": "", "__name__": name}) is not None


@pytest.mark.parametrize("group", ["/", "/system.slice/docker.service", "/docker", "/user.slice"])
def test_groups_that_are_no_containers_are_dropped(group: str) -> None:
    assert container_series(id=group) is None


def test_traffic_is_kept_for_containers_and_not_for_the_host_whose_own_is_node_exporters() -> None:
    def of(**labels: str) -> dict[str, str] | None:
        return container_series(__name__="container_network_receive_bytes_total", interface="eth0", **labels)

    assert of(**RUNNING)
    assert of(id="/") is None
    assert of(id="/system.slice") is None


def test_a_removed_container_ends_at_once_although_cadvisor_gives_times_of_its_own() -> None:
    assert jobs()["cadvisor"]["track_timestamps_staleness"] is True


def test_what_the_alerts_read_of_containers_and_host_is_not_dropped() -> None:
    texts = config_of("prometheus", settings_of(EVERYTHING)).files
    rules = [
        r
        for name, text in texts.items()
        if "rules/" in name
        for g in yaml.safe_load(text)["groups"]
        for r in g["rules"]
    ]
    recorded = {word for rule in rules for word in rule.get("record", "").split(":")}
    read = {name for rule in rules for name in re.findall(r"\b(?:container|machine)_\w+", rule["expr"])} - recorded
    assert len(read) >= 8
    assert [name for name in read if not container_series(__name__=name, **RUNNING)] == []


def test_what_tells_of_the_machine_is_kept() -> None:
    machine = {"__name__": "machine_memory_bytes"}
    assert container_series(**machine) == {"job": "cadvisor", "service": "cadvisor", **machine}


# What applications send by OTLP.


def part_of(job: dict[str, Any], number: int, labels: dict[str, str]) -> dict[str, str] | None:
    """Labels of a series of the collector's page, as the target of this part keeps it."""
    target = {**job["static_configs"][number]["labels"], "job": job["job_name"], "instance": "otel_collector:8890"}
    return relabelled({**target, **labels}, job["metric_relabel_configs"])


def test_each_series_that_an_application_sends_is_read_in_one_part_and_all_of_a_service_in_the_same() -> None:
    [job] = [job for job in scrape.jobs(settings_of()) if job["job_name"] == "otlp"]
    parts = range(len(job["static_configs"]))
    used = set()
    for service in range(100):
        kept_in = set()
        for metric in ("orders_total", "wait_seconds"):
            series = {"__name__": metric, "exported_job": f"s-{service}", "exported_instance": "h:7"}
            by_part = {number: labels for number in parts if (labels := part_of(job, number, series))}
            [(number, labels)] = by_part.items()
            assert labels == {"__name__": metric, "job": "otlp", "service": f"s-{service}", "instance": "h:7"}
            kept_in.add(number)
        assert len(kept_in) == 1
        used |= kept_in
    assert len(used) == len(parts) > 8


def test_a_label_called_part_is_an_applications_own() -> None:
    [job] = [job for job in scrape.jobs(settings_of()) if job["job_name"] == "otlp"]
    series = {"__name__": "x", "exported_job": "shop", "part": "7"}
    [labels] = filter(None, (part_of(job, number, series) for number in range(len(job["static_configs"]))))
    assert labels["part"] == "7"


OF_OTHERS = ("application", "application-containers", "otlp", "spans", *JOBS_OF_PAGES)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("up", "application_up"),
        ("scrape_duration_seconds", "application_scrape_duration_seconds"),
        ("ALERTS", "application_ALERTS"),
        ("ALERTS_FOR_STATE", "application_ALERTS_FOR_STATE"),
        ("instance:node_cpu_used:ratio_rate5m", "application_instance:node_cpu_used:ratio_rate5m"),
        ("nervous_system_config_info", "application_nervous_system_config_info"),
        ("uploads", "uploads"),
        ("scrapes", "scrapes"),
        ("http_server_up", "http_server_up"),
        ("alerts", "alerts"),
    ],
)
@pytest.mark.parametrize("job", OF_OTHERS)
def test_nobody_else_has_a_metric_that_alerts_trust(job: str, name: str, stored: str) -> None:
    config = jobs({**EVERYTHING, "metrics": {"applications": APPLICATIONS}})[job]
    renamed = [rule for rule in config["metric_relabel_configs"] if rule.get("target_label") == "__name__"]
    assert relabelled({"__name__": name}, renamed) == {"__name__": stored}


@pytest.mark.parametrize(
    ("service", "trust"),
    [("jaeger_es_index_cleaner", True), ("application_jaeger_es_index_cleaner", False), ("orders", False)],
)
def test_only_the_cleaner_among_all_senders_tells_when_it_succeeded(service: str, trust: bool) -> None:  # noqa: FBT001 - a column
    sample = {"__name__": RETENTION_SUCCESS, "exported_job": service, "otlp_part": "0"}
    rules = [rule for rule in jobs()["otlp"]["metric_relabel_configs"] if rule.get("action") != "keepequal"]
    series = relabelled(sample, rules)
    assert series
    assert series["__name__"] == (RETENTION_SUCCESS if trust else f"application_{RETENTION_SUCCESS}")
