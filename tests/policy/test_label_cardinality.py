"""The policy on labels, for each place that can declare one."""

from typing import Any

import pytest

from policies.judges import label_cardinality
from tests.policy.pack_host import UNKNOWN, of_one

POLICY = "low-cardinality-labels"


def with_file(text: str, path: str = "/etc/config.yml") -> list[str]:
    """The messages of the policy on a container with one uploaded file."""
    return of_one(POLICY, {"uploads": [{"file": path, "content": text}]})


@pytest.mark.parametrize(
    "name",
    [
        "user_id",
        "userId",
        "user.id",
        "enduser.id",
        "id",
        "container_id",
        "k8s.pod.uid",
        "request_id",
        "trace_id",
        "traceID",
        "span_id",
        "session",
        "session_id",
        "client_ip",
        "peer.address",
        "http.url",
        "url.path",
        "path",
        "filename",
        "email",
        "message",
        "error.message",
        "exception",
        "user_agent",
        "http.target",
        "query",
        "commit",
        "git_sha",
        "timestamp",
        "username",
        "user_name",
        "client_port",
    ],
)
def test_a_name_tells_that_its_values_are_unlimited(name: str) -> None:
    assert label_cardinality.has_many_values(name)


@pytest.mark.parametrize(
    "name",
    [
        "service",
        "level",
        "source",
        "job",
        "instance",
        "le",
        "quantile",
        "environment",
        "region",
        "route",
        "http.route",
        "http.request.method",
        "status",
        "http.response.status_code",
        "host",
        "container",
        "pod",
        "namespace",
        "device",
        "mountpoint",
        "interface",
        "version",
        "user_type",
        "address_family",
        "path_type",
        "span.name",
        "span.kind",
        "grpc_service",
        "query_type",
        "stack",
        "severity",
        "team",
        "probe",
        "module",
        "queue",
        "topic",
        "database",
    ],
)
def test_a_name_tells_that_its_values_are_few(name: str) -> None:
    assert not label_cardinality.has_many_values(name)


@pytest.mark.parametrize(
    ("value", "looks"),
    [
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "an id"),
        ("9417984f6643e13518a1", "a hash"),
        ("sha256:efd719c99d83b060d9daefdcf0", "a hash"),
        ("2026-11-24T10:00:00Z", "a time"),
        ("1795514400", "a time"),
        ("10.0.0.7:9090", "an address"),
        ("ops@example.com", "an e-mail address"),
        ("eu-west-1", None),
        ("v3.15.0", None),
        ("8000", None),
        ("accessed", None),
        ("true", None),
        ("/metrics", None),
    ],
)
def test_the_shape_of_a_value_tells_what_it_is(value: str, looks: str | None) -> None:
    assert label_cardinality.looks_like(value) == looks


def test_a_container_without_labels_or_files_passes() -> None:
    assert of_one(POLICY, {}) == []
    assert of_one(POLICY, {"labels": [{"label": "team", "value": "shop"}], "uploads": []}) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({"labels": UNKNOWN}, "labels is not known before the update", id="all labels"),
        pytest.param({"labels": [{"label": "team", "value": UNKNOWN}]}, "labels.0.value is not known", id="a value"),
        pytest.param({"uploads": UNKNOWN}, "uploads is not known", id="all files"),
        pytest.param({"uploads": [{"file": "/p.yml", "content": UNKNOWN}]}, "uploads.0.content is not", id="a file"),
        pytest.param({"uploads": [{"file": "/p.yml", "source": "p.yml"}]}, "give its text as content", id="a path"),
        pytest.param({"uploads": [{"file": "/p.yml", "content": "a: ["}]}, "/p.yml is not YAML", id="broken"),
    ],
)
def test_a_value_that_a_preview_does_not_know_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = of_one(POLICY, props)
    assert violation.startswith("container app: ")
    assert says in violation


def test_the_config_allows_with_a_reason_and_denies_more() -> None:
    props = {"labels": [{"label": "tenant_id", "value": "3"}, {"label": "shelf", "value": "7"}]}
    [violation] = of_one(POLICY, props)
    assert "labels: the label tenant_id has unlimited values: put it into the log line" in violation
    assert of_one(POLICY, props, config={"allowed": {"tenant_id": "we have nine"}}) == []
    [violation] = of_one(POLICY, props, config={"allowed": {"tenant_id": "we have nine"}, "denied": ["shelf"]})
    assert "the label shelf has" in violation


def test_the_command_line_of_cadvisor_names_labels() -> None:
    command = ["--port=8080", "--whitelisted_container_labels=service,com.example.order-id"]
    [violation] = of_one(POLICY, {"image": "ghcr.io/google/cadvisor:v1", "command": command})
    assert "--whitelisted_container_labels: the label com.example.order-id" in violation
    assert of_one(POLICY, {"image": "shop", "command": command}) == []


FINE = [
    pytest.param(
        """
        global: {external_labels: {environment: prod}}
        scrape_configs:
          - job_name: app
            static_configs: [{targets: ["10.0.0.5:8000"], labels: {service: app, __metrics_path__: /m}}]
            relabel_configs:
              - {source_labels: [__address__], target_label: instance}
              - {source_labels: [__address__], target_label: __param_target}
              - {source_labels: [__meta_docker_container_label_path], target_label: __metrics_path__}
              - {source_labels: [__meta_docker_container_name], target_label: service}
              - {action: labelmap, regex: "__meta_(region|zone)"}
              - {action: keep, source_labels: [__meta_docker_container_id]}
            metric_relabel_configs:
              - {source_labels: [id], target_label: id, replacement: ""}
              - {source_labels: [path], target_label: kind, replacement: page}
              - {regex: user_id, action: labeldrop}
        """,
        id="Prometheus",
    ),
    pytest.param(
        """
        groups:
          - name: a
            rules:
              - {record: "a:b", expr: "sum by (service, route) (x{path='/'})", labels: {team: shop}}
              - {alert: A, expr: "up == 0", labels: {severity: page, service: "{{ $labels.service }}"}}
        """,
        id="rules",
    ),
    pytest.param(
        """
        limits_config:
          otlp_config:
            resource_attributes:
              ignore_defaults: true
              attributes_config:
                - {action: index_label, attributes: [service.name]}
                - {action: structured_metadata, attributes: [user.id]}
        """,
        id="Loki",
    ),
    pytest.param("overrides: {fake: {retention_period: 720h}}", id="Loki's overrides without labels"),
    pytest.param(
        """
        clients: [{url: http://loki, external_labels: {host: a}}]
        scrape_configs:
          - job_name: a
            pipeline_stages:
              - json: {expressions: {user_id: user_id}}
              - labels: {level: }
              - structured_metadata: {trace_id: }
        """,
        id="Promtail",
    ),
    pytest.param(
        """
        connectors:
          spanmetrics: {dimensions: [{name: http.route}], exclude_dimensions: [user.id]}
          servicegraph: {dimensions: [messaging.system]}
        exporters: {prometheus: {const_labels: {region: eu}}, otlp: {}}
        service: {pipelines: {}}
        """,
        id="the collector",
    ),
]


@pytest.mark.parametrize("text", FINE)
def test_a_file_with_few_values_passes(text: str) -> None:
    assert with_file(text) == []


def scraped(job: str) -> str:
    return f"scrape_configs: [{{job_name: a, {job}}}]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("global: {external_labels: {user: x}}\nscrape_configs: []", "external_labels: the label user", id="external label"),
        pytest.param("global: {external_labels: {release: 2026-11-24T10:00Z}}\nscrape_configs: []", "release is set to a time", id="its value"),
        pytest.param(scraped("static_configs: [{targets: [a], labels: {session_id: x}}]"), "job a: the label session_id", id="static label"),
        pytest.param(scraped("relabel_configs: [{source_labels: [x], target_label: client_ip}]"), "relabel_configs: the label client_ip", id="relabelled"),
        pytest.param(scraped("relabel_configs: [{source_labels: [__meta_docker_container_id], target_label: replica}]"), "replica is filled from __meta_docker_container_id", id="from an id"),
        pytest.param(scraped("metric_relabel_configs: [{source_labels: [http_path], target_label: page}]"), "metric_relabel_configs: the label page is filled from http_path", id="from a metric's label"),
        pytest.param(scraped("metric_relabel_configs: [{action: hashmod, source_labels: [x], target_label: user_hash, modulus: 8}]"), "user_hash", id="hashmod"),
        pytest.param(scraped("relabel_configs: [{action: labelmap, regex: '__meta_docker_container_label_(.+)'}]"), "labelmap makes a label of everything", id="labelmap"),
        pytest.param(scraped("relabel_configs: [{action: labelmap, regex: '__meta_(region|pod_uid)'}]"), "the label pod_uid", id="labelmap by name"),
        pytest.param("remote_write: [{url: x, write_relabel_configs: [{source_labels: [a], target_label: url}]}]", "remote_write: the label url", id="remote write"),
        pytest.param("groups: [{name: a, rules: [{record: r, expr: 'sum by (trace_id) (x)'}]}]", "r, by: the label trace_id", id="by"),
        pytest.param("groups: [{name: a, rules: [{record: r, expr: 'x * on (a) group_left (user_id) y'}]}]", "the label user_id", id="group_left"),
        pytest.param("groups: [{name: a, rules: [{record: r, expr: x, labels: {email: x}}]}]", "the label email", id="rule label"),
        pytest.param("groups: [{name: a, rules: [{record: r, expr: 'label_replace(x, \"path\", \"$1\", \"a\", \"(.*)\")'}]}]", "the label path", id="label_replace"),
        pytest.param("groups: [{name: a, labels: {request_id: x}, rules: []}]", "group a: the label request_id", id="group label"),
        pytest.param("limits_config: {}", "without ignore_defaults: true): the label service.instance.id", id="Loki's defaults"),
        pytest.param("limits_config: {otlp_config: {resource_attributes: {ignore_defaults: true, attributes_config: [{action: index_label, attributes: [user.id]}]}}}", "otlp_config: the label user.id", id="Loki's attributes"),
        pytest.param("limits_config: {otlp_config: {resource_attributes: {ignore_defaults: true, attributes_config: [{action: index_label, regex: '.*'}]}}}", "index_label by regex", id="by regex"),
        pytest.param("overrides: {fake: {otlp_config: {resource_attributes: {}}}}", "fake, otlp_config", id="Loki's overrides"),
        pytest.param("auth_enabled: false\ndistributor: {otlp_config: {default_resource_attributes_as_index_labels: [user.id]}}\nlimits_config: {otlp_config: {resource_attributes: {ignore_defaults: true}}}", "distributor.otlp_config: the label user.id", id="Loki's distributor"),
        pytest.param("clients: [{external_labels: {host_ip: x}}]", "clients: the label host_ip", id="Promtail's client"),
        pytest.param("positions: {}\nscrape_configs: [{job_name: a, pipeline_stages: [{labels: {user: }}]}]", "pipeline_stages: the label user", id="Promtail's stage"),
        pytest.param("positions: {}\nscrape_configs: [{job_name: a, pipeline_stages: [{match: {stages: [{labels: {who: user_id}}]}}]}]", "who is filled from user_id", id="a stage within"),
        pytest.param("positions: {}\nscrape_configs: [{job_name: a, pipeline_stages: [{static_labels: {build: 9417984f6643e13518a1}}]}]", "build is set to a hash", id="static label of Promtail"),
        pytest.param("positions: {}\nscrape_configs: [{job_name: a, journal: {labels: {message: x}}}]", "journal: the label message", id="journal"),
        pytest.param("service: {pipelines: {}}\nconnectors: {span_metrics/x: {dimensions: [{name: url.full}, {name: url.path}]}}", "span_metrics/x: the label url.path", id="span metrics"),
        pytest.param("service: {pipelines: {}}\nconnectors: {spanmetrics: {events: {enabled: true, dimensions: [{name: exception.message}]}}}", "the label exception.message", id="events"),
        pytest.param("service: {pipelines: {}}\nconnectors: {spanmetrics: {calls_dimensions: [{name: user.id}]}}", "the label user.id", id="calls"),
        pytest.param("service: {pipelines: {}}\nconnectors: {spanmetrics: {resource_metrics_key_attributes: [process.pid]}}", "the label process.pid", id="key of a resource"),
        pytest.param("service: {pipelines: {}}\nconnectors: {service_graph: {dimensions: [enduser.id]}}", "the label enduser.id", id="service graph"),
        pytest.param("service: {pipelines: {}}\nconnectors: {count: {spans: {n: {attributes: [{key: url.path}]}}}}", "count: the label url.path", id="count"),
        pytest.param("service: {pipelines: {}}\nexporters: {prometheus: {resource_to_telemetry_conversion: {enabled: true}}}", "resource_to_telemetry_conversion: the label", id="conversion"),
        pytest.param("service: {pipelines: {}}\nexporters: {prometheusremotewrite: {external_labels: {session: x}}}", "the label session", id="remote write of the collector"),
        pytest.param("service: {pipelines: {}}\nprocessors: {attributes: {actions: [{key: loki.attribute.labels, value: 'level, user.id'}]}}", "the label user.id", id="hint for Loki"),
        pytest.param("scrape_configs: [a, b]", "not built as a config of its kind", id="not a config of Prometheus"),
    ],
)  # fmt: skip
def test_a_file_with_unlimited_values_is_refused(text: str, says: str) -> None:
    violations = with_file(text)
    assert any(says in violation for violation in violations), violations
    assert len(violations) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('loki.process "a" { stage.labels { values = { level = "" } } }', None, id="few values"),
        pytest.param('loki.process "a" { stage.structured_metadata { values = { trace_id = "" } } }', None, id="metadata"),
        pytest.param('loki.process "a" { stage.labels { values = { trace_id = "" } } }', "the label trace_id", id="stage"),
        pytest.param(
            'loki.process "a" { stage.match { stage.labels { values = { page = "url" } } } }',
            'loki.process "a": the label page is filled from url',
            id="a stage within",
        ),
        pytest.param('loki.process "a" { stage.labels { values = local.file.x.content } }', "the names of these labels are unknown", id="expression"),
        pytest.param('loki.process "a" { stage.static_labels { values = { build = "1795514400" } } }', "a time", id="static"),
        pytest.param('loki.write "a" { external_labels = { host_ip = env("IP") } }', "the label host_ip", id="external"),
        pytest.param('loki.source.file "a" { targets = [{ __path__ = "/x", user = "y" }] }', "the label user", id="target"),
        pytest.param('prometheus.scrape "a" { targets = [{ "__address__" = "10.0.0.5:1", address = "z" }] }', None, id="address"),
        pytest.param(
            'discovery.relabel "a" { rule {\n source_labels = ["__meta_docker_network_ip"]\n target_label = "peer"\n } }',
            "peer is filled from __meta_docker_network_ip",
            id="rule",
        ),
        pytest.param('discovery.relabel "a" { rule {\n action = "labelmap"\n regex = "(.+)"\n } }', "labelmap", id="labelmap"),
        pytest.param(
            'otelcol.connector.spanmetrics "a" { dimension { name = "url.path" } }', "the label url.path", id="dimension"
        ),
        pytest.param('otelcol.connector.servicegraph "a" { dimensions = ["user.id"] }', "the label user.id", id="graph"),
        pytest.param(
            'otelcol.exporter.prometheus "a" { resource_to_telemetry_conversion = true }', "_conversion: the", id="conversion"
        ),
        pytest.param("loki.process {", "is not an Alloy config", id="no end"),
    ],
)  # fmt: skip
def test_alloy(text: str, says: str | None) -> None:
    violations = with_file(text, "/etc/config.alloy")
    assert len(violations) == (says is not None), violations
    assert says is None or says in violations[0]
