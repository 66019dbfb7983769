"""Changes that somebody may well make: one line of config or code each, and which policies must stop it."""

from collections.abc import Mapping
from typing import Any

from tests.policy.program import Change, Edit
from tests.unit.conftest import EVERYTHING, EXPORTERS, FRONT, PINNED_STORAGE

DIGEST = f"sha256:{'b' * 64}"

SERVICE = "components/service.py"
NETWORKS = "components/networks.py"
SCRAPE = "config/scrape.py"
COLLECTOR = "config/otel_collector.py"


def config(**config: Any) -> Change:
    """One line of a stack file."""
    return Change(config)


def code(path: str, old: str, new: str, given: Mapping[str, Any] | None = None) -> Change:
    """One line of the program; `given` selects the service that it is about."""
    return Change(given or {}, Edit(path, old, new))


def of_grafana(old: str, new: str) -> Change:
    """One line of Grafana's module."""
    return Change(edit=Edit("config/grafana.py", old, new), secrets=("grafana_password",))


def rule(**rule: Any) -> Change:
    """One line in a rule file of the user's own."""
    return Change(rules=f"groups: [{{name: shop, rules: [{rule}]}}]\n")


ELASTICSEARCH = {"traces": {"storage": "elasticsearch"}, "images": PINNED_STORAGE}

BAD: Mapping[str, tuple[Change, set[str]]] = {
    # memory
    "a shipper that needs the memory of all": (
        config(memory={"host": "32GiB", "alloy": "12GiB"}),
        {"memory-ceiling"},
    ),
    "no limit": (
        code(SERVICE, "            memory=memory,\n", ""),
        {"memory-limit", "memory-ceiling"},
    ),
    "a limit with swap": (
        code(SERVICE, "memory_swap=memory,", "memory_swap=2 * memory,"),
        {"memory-limit"},
    ),
    "a limit that leaves swap to the engine": (
        code(SERVICE, "            memory_swap=memory,", "           "),
        {"memory-limit"},
    ),
    "more reserved than allowed": (
        code(SERVICE, "memory_swap=memory,", "memory_swap=memory, memory_reservation=2 * memory,"),
        {"memory-limit"},
    ),
    "a job without a limit": (
        code("components/config_files.py", '"memory": MEMORY_MIB, "memory_swap": MEMORY_MIB, ', ""),
        {"memory-limit"},
    ),
    "three times the memory for everybody": (
        code(SERVICE, "settings.memory_mib(name)\n", "settings.memory_mib(name) * 3\n"),
        {"memory-ceiling", "memory-shares"},
    ),
    # labels
    "a user in the external labels": (
        config(metrics={"external_labels": {"user_id": "7"}}),
        {"low-cardinality-labels"},
    ),
    "a time in the external labels": (
        config(metrics={"external_labels": {"deployed": "2026-11-24T10:00:00Z"}}),
        {"low-cardinality-labels"},
    ),
    "a recording rule by user": (
        rule(record="user:requests:rate5m", expr="sum by (service, user_id) (rate(http_requests_total[5m]))"),
        {"low-cardinality-labels"},
    ),
    "a recording rule with an id": (
        rule(record="job:up:sum", expr="sum(up)", labels={"request_id": "{{ $value }}"}),
        {"low-cardinality-labels"},
    ),
    "a label made of addresses": (
        code(
            SCRAPE,
            "            _APPLICATION,",
            '{"source_labels": ["__meta_docker_network_ip"], "target_label": "peer"},',
        ),
        {"low-cardinality-labels"},
    ),
    "a label for each container id": (
        code(
            SCRAPE,
            "            _APPLICATION,",
            '{"source_labels": ["__meta_docker_container_id"], "target_label": "replica"},',
        ),
        {"low-cardinality-labels"},
    ),
    "every Docker label as one of Prometheus": (
        code(
            SCRAPE,
            "            _APPLICATION,",
            '{"action": "labelmap", "regex": "__meta_docker_container_label_(.+)"},',
        ),
        {"low-cardinality-labels"},
    ),
    "cgroups by their path": (
        code("config/cadvisor.py", '"target_label": "id", "replacement": ""}', '"target_label": "id"}'),
        {"low-cardinality-labels"},
    ),
    "a Docker label with ids for cAdvisor": (
        code("config/service_names.py", '"observability.service")', '"shop.order-id")'),
        {"low-cardinality-labels"},
    ),
    "Loki's own choice of labels": (
        code("config/loki.py", '"ignore_defaults": True,', ""),
        {"low-cardinality-labels"},
    ),
    "a session in Loki's labels": (
        code("config/loki.py", '["service", "source"]', '["service", "session.id", "source"]'),
        {"low-cardinality-labels"},
    ),
    "a user of each log in Loki's labels": (
        code("config/loki.py", '"attributes": ["level"]', '"attributes": ["level", "user.id"]'),
        {"low-cardinality-labels"},
    ),
    "trace ids as labels of Alloy": (
        code("config/log_levels.py", 'values={"level": "level"}', 'values={"level": "level", "trace_id": ""}'),
        {"low-cardinality-labels"},
    ),
    "trace ids as labels of Promtail": (
        code(
            "config/log_levels.py",
            'values={"level": "level"}',
            'values={"level": "level", "trace": "trace_id"}',
            {"logs": {"shipper": "promtail"}},
        ),
        {"low-cardinality-labels"},
    ),
    "paths under an innocent name": (
        code("config/log_levels.py", 'values={"level": "level"}', 'values={"level": "level", "page": "url"}'),
        {"low-cardinality-labels"},
    ),
    "the host's address as a label of its log": (
        code("config/shipper.py", '"source": "system", "service"', '"source": "system", "host_ip": "h", "service"'),
        {"low-cardinality-labels"},
    ),
    "container addresses as labels of logs": (
        code(
            "config/shipper.py",
            '{"target_label": "source", "replacement": "docker"},',
            '{"source_labels": ["__meta_docker_network_ip"], "target_label": "source"},',
        ),
        {"low-cardinality-labels"},
    ),
    "a session on everything that Alloy sends": (
        code(
            "config/alloy.py",
            "'loki.write \"loki\"', endpoint",
            "'loki.write \"loki\"', endpoint, external_labels={'session_id': 'x'}",
        ),
        {"low-cardinality-labels"},
    ),
    "raw paths as a dimension of span metrics": (
        code(
            COLLECTOR,
            '"namespace": "traces.span.metrics",',
            '"namespace": "traces.span.metrics", "dimensions": [{"name": "url.path"}],',
        ),
        {"low-cardinality-labels"},
    ),
    "users as a dimension of the service graph": (
        code(COLLECTOR, '"service_graph": {', '"service_graph": {"dimensions": ["enduser.id"],'),
        {"low-cardinality-labels"},
    ),
    "a series for each process": (
        code(COLLECTOR, '["service.name"],', '["service.name", "service.instance.id"],'),
        {"low-cardinality-labels"},
    ),
    "all attributes of a resource as labels": (
        code(
            COLLECTOR,
            '"enable_open_metrics": True},',
            '"enable_open_metrics": True, "resource_to_telemetry_conversion": {"enabled": True}},',
        ),
        {"low-cardinality-labels"},
    ),
    "a container label with the time of the deployment": (
        code(SERVICE, '_labels({"obs', '_labels({"deployed-at": "2026-11-24T10:00:00Z", "obs'),
        {"low-cardinality-labels"},
    ),
    # retention
    "metrics for ten years": (
        config(metrics={"retention": {"time": "10y"}}),
        {"retention-bounds"},
    ),
    "metrics for a week in production": (
        config(metrics={"retention": {"time": "7d"}}),
        {"retention-bounds"},
    ),
    "metrics that fill the disk": (
        config(metrics={"retention": {"size": "190GiB"}}, disk={"budget": "400GiB"}),
        {"disk-budget"},
    ),
    "metrics without an end of their size": (
        code("config/prometheus.py", ', "size": prometheus_size(metrics.retention.size)}', "}"),
        {"disk-budget"},
    ),
    "logs for a year": (
        config(logs={"retention": {"time": "365d"}, "budget": {"per_day": "50MB"}}),
        {"retention-bounds", "disk-budget"},
    ),
    "logs of one service for more than a year": (
        config(logs={"retention": {"services": {"audit": "400d"}}}),
        {"retention-bounds"},
    ),
    "logs for a day in production": (
        config(logs={"retention": {"time": "1d"}}),
        {"retention-bounds"},
    ),
    "logs that nobody deletes": (
        code("config/loki.py", '"retention_enabled": True', '"retention_enabled": False'),
        {"retention-bounds"},
    ),
    "traces for three months": (
        config(traces={"retention": "90d"}),
        {"retention-bounds", "disk-budget"},
    ),
    "traces in Badger for ever": (
        code("config/jaeger.py", '"ttl": {"spans": go_duration(retention)}', '"ttl": {"spans": "0s"}'),
        {"retention-bounds"},
    ),
    "traces in Elasticsearch that nobody deletes": (
        code(
            "config/settings/",
            '"jaeger_es_index_cleaner": self.traces.storage != "badger"',
            '"jaeger_es_index_cleaner": False',
            ELASTICSEARCH,
        ),
        {"retention-bounds"},
    ),
    # sampling
    "half of the errors": (
        config(traces={"sampling": {"errors": 50}}),
        {"errors-are-kept"},
    ),
    "a fifth of the errors of one service": (
        config(traces={"sampling": {"services": {"checkout": {"errors": 20}}}}),
        {"errors-are-kept"},
    ),
    "another status instead of errors": (
        code("config/sampling.py", 'status_codes=["ERROR"]', 'status_codes=["OK"]'),
        {"errors-are-kept"},
    ),
    "failed health checks dropped like others": (
        code("config/sampling.py", " and span.status.code != STATUS_CODE_ERROR", ""),
        {"errors-are-kept"},
    ),
    # images
    "an image without a digest": (
        config(images={"prometheus": "docker.io/prom/prometheus:v3.15.0"}),
        {"images-are-pinned"},
    ),
    "the latest image": (
        config(images={"loki": f"docker.io/grafana/loki:latest@{DIGEST}"}),
        {"images-are-pinned"},
    ),
    "an image from somewhere": (
        config(images={"jaeger": f"registry.example.com/jaeger:2.21.0@{DIGEST}"}),
        {"images-are-pinned"},
    ),
    "a mirror that nobody has allowed": (
        config(images={"registry": "mirror.example.com/hub"}),
        {"images-are-pinned"},
    ),
    # exposure
    "Prometheus for everybody": (
        config(publish={"prometheus": "0.0.0.0:9090"}),
        {"ports-on-loopback"},
    ),
    "traces from everybody, by IPv6": (
        config(publish={"otlp_http": "[::]:4318"}),
        {"ports-on-loopback"},
    ),
    "Loki for the local network": (
        config(publish={"loki": "10.0.0.5:3100"}),
        {"ports-on-loopback"},
    ),
    "the metrics of Grafana's front for everybody": (
        Change(FRONT, Edit("config/caddy.py", '{"caddy": TLS_PORT}', '{"caddy": PORT}'), secrets=("grafana_password",)),
        {"ports-on-loopback"},
    ),
    "a port without an address": (
        code(SERVICE, 'ip=address.strip("[]"), ', ""),
        {"ports-on-loopback"},
    ),
    "folders of the host that can be written to": (
        code(SERVICE, "read_only=True,\n        bind", "read_only=False,\n        bind"),
        {"docker-socket", "apart-from-the-host"},
    ),
    "privileged containers": (
        code(SERVICE, "must_run=True,", "must_run=True, privileged=True,"),
        {"apart-from-the-host"},
    ),
    "the host's network": (
        code(SERVICE, 'network_mode="bridge"', 'network_mode="host"'),
        {"apart-from-the-host"},
    ),
    "the host's processes": (
        code(SERVICE, "must_run=True,", 'must_run=True, pid_mode="host",'),
        {"apart-from-the-host"},
    ),
    "a capability that is all of them": (
        code("config/cadvisor.py", '"CAP_SYSLOG",', '"CAP_SYSLOG", "CAP_SYS_ADMIN",'),
        {"apart-from-the-host"},
    ),
    "no filter of system calls": (
        code(SERVICE, '"no-new-privileges:true"', '"seccomp=unconfined"'),
        {"apart-from-the-host"},
    ),
    "a volume that is a folder of the system": (
        code(
            SERVICE,
            "name=full_name,\n                # Kept",
            'name=full_name, driver_opts={"type": "none", "o": "bind", "device": "/etc"},\n                # Kept',
        ),
        {"apart-from-the-host"},
    ),
    "a volume whose name is the socket": (
        code(SERVICE, "volume_name=self.data.name, ", 'volume_name="/var/run/docker.sock", '),
        {"docker-socket", "apart-from-the-host"},
    ),
    "the processes of another container": (
        code(SERVICE, "must_run=True,", 'must_run=True, pid_mode="container:shop",'),
        {"apart-from-the-host"},
    ),
    "a disk as a device": (
        code("config/cadvisor.py", "(KMSG,)", '("/dev/sda",)'),
        {"apart-from-the-host"},
    ),
    "a network on the host's wire": (
        code(NETWORKS, "name=settings.prefix,", 'name=settings.prefix, driver="macvlan",'),
        {"apart-from-the-host"},
    ),
    "a plugin of the engine": (
        code(
            NETWORKS,
            "    edge = settings.edge\n",
            '    docker.Plugin("plugin", name="x/y", opts=pulumi.ResourceOptions(provider=engine))\n    edge = settings.edge\n',
        ),
        {"known-kinds"},
    ),
    "a command of somebody else's": (
        code("components/stack.py", "-m components.annotation", "-m http.server"),
        {"known-commands"},
    ),
    "a module of somebody else's for a known command": (
        code("components/stack.py", 'environment={"ORDER"', 'environment={"PYTHONPATH": "/tmp", "ORDER"'),
        {"known-commands"},
    ),
    # secrets
    "a password in a health check": (
        code(SERVICE, 'tests=["CMD", *test]', 'tests=["CMD", "redis-cli", "-a", "correct horse", "ping"]'),
        {"no-secrets-in-clear"},
    ),
    "a password in a config file": (
        code(
            "config/prometheus.py",
            '"scrape_configs":',
            '"remote_read": [{"basic_auth": {"password": "pepper"}}], "scrape_configs":',
        ),
        {"no-secrets-in-clear"},
    ),
    "a password in the environment": (
        code(SERVICE, "dict(spec.environment)", 'dict(spec.environment, ADMIN_PASSWORD="correct horse")'),
        {"no-secrets-in-clear"},
    ),
    "a webhook in a label": (
        code(SERVICE, '_labels({"obs', '_labels({"notify": "https://hooks.slack.com/services/T0/B0/x", "obs'),
        {"no-secrets-in-clear"},
    ),
    "a password in a URL on the command line": (
        code(
            "config/alertmanager.py",
            "f\"--web.external-url={settings.url('alertmanager')}\"",
            '"--web.external-url=http://ops:pepper@alerts.example.com"',
        ),
        {"no-secrets-in-clear"},
    ),
    "the password of Grafana": (
        of_grafana('user="472:0",', 'user="472:0", environment={"GF_SECURITY_ADMIN_PASSWORD": "admin"},'),
        {"no-secrets-in-clear"},
    ),
    "the password of Elasticsearch": (
        code(
            "config/elasticsearch.py",
            '"xpack.security.enabled": "false",',
            '"xpack.security.enabled": "true", "ELASTIC_PASSWORD": "changeme",',
            ELASTICSEARCH,
        ),
        {"no-secrets-in-clear"},
    ),
    # operation
    "no health checks": (
        code(SERVICE, "healthcheck=_healthcheck(spec.health)", "healthcheck=None"),
        {"health-check"},
    ),
    "logs without an end": (
        code(
            SERVICE,
            'log_opts={"max-size": f"{mib(disk_budget.LOG_FILE)}m", "max-file": str(disk_budget.LOG_FILES)}',
            'log_opts={"max-file": "3"}',
        ),
        {"log-rotation"},
    ),
    "whatever log driver the engine has": (
        code(SERVICE, '            log_driver="json-file",\n', ""),
        {"log-rotation"},
    ),
    "services that stay away after a reboot": (
        code(SERVICE, 'restart="unless-stopped"', 'restart="no"'),
        {"restart-policy"},
    ),
    "a loader that loads for ever": (
        code("components/config_files.py", 'restart="no"', 'restart="always"'),
        {"restart-policy"},
    ),
    # volumes
    "data in a volume without a name": (
        code(SERVICE, "volume_name=self.data.name, ", ""),
        {"data-volumes"},
    ),
    "a volume whose name the provider makes up": (
        code(SERVICE, "                name=full_name,\n                # Kept", "                # Kept"),
        {"data-volumes"},
    ),
    "a label on every volume": (
        code(
            SERVICE,
            "name=full_name,\n                # Kept",
            'name=full_name, labels=[{"label": "team", "value": "shop"}],\n                # Kept',
        ),
        {"data-volumes"},
    ),
    "volumes that nobody says are kept": (
        code("__main__.py", 'pulumi.export("data_volumes"', 'pulumi.export("volumes"'),
        {"data-volumes"},
    ),
    "data beside the volume": (
        code("config/prometheus.py", 'data="/prometheus"', 'data="/data"'),
        {"data-volumes"},
    ),
    # usage reports
    "Loki's reports": (
        code("config/loki.py", '"analytics": {"reporting_enabled": False},', ""),
        {"no-usage-reports"},
    ),
    "Alloy's reports": (
        code("config/alloy.py", '            "--disable-reporting",\n', ""),
        {"no-usage-reports"},
    ),
    "Grafana's reports": (
        of_grafana('"reporting_enabled": no,', '"reporting_enabled": yes,'),
        {"no-usage-reports"},
    ),
    "Grafana's questions for updates": (
        of_grafana('            "check_for_updates": no,\n', ""),
        {"no-usage-reports"},
    ),
    "Elasticsearch's downloads": (
        code("config/elasticsearch.py", '            "ingest.geoip.downloader.enabled": "false",\n', "", ELASTICSEARCH),
        {"no-usage-reports"},
    ),
}
"""What it is → the change and the policies that stop it: these, and no other."""

GOOD: Mapping[str, Change] = {
    "more memory for Loki": config(memory={"loki": "4GiB"}),
    "a lower ceiling": config(memory={"ceiling": "8GiB"}),
    "metrics for a quarter": config(metrics={"retention": {"time": "90d", "size": "60GiB"}}, disk={"budget": "130GiB"}),
    "logs for two months": config(
        logs={"retention": {"time": "60d"}}, metrics={"retention": {"size": "45GiB"}}, disk={"budget": "200GiB"}
    ),
    "debug lines for three days": config(logs={"retention": {"levels": {"debug": "3d"}}}),
    "traces for two weeks": config(
        traces={"retention": "14d"}, disk={"budget": "110GiB"}, metrics={"retention": {"size": "45GiB"}}
    ),
    "traces for two weeks in Elasticsearch": config(
        **ELASTICSEARCH
        | {
            "traces": {"storage": "elasticsearch", "retention": "14d"},
            "disk": {"budget": "110GiB"},
            "metrics": {"retention": {"size": "45GiB"}},
        }
    ),
    "logs in an object store": config(logs={"s3": {"bucket": "shop-logs"}}),
    "half of the rest of the traces": config(traces={"sampling": {"rest": 50}}),
    "all traces of one service": config(traces={"sampling": {"services": {"checkout": {"rest": 100}}}}),
    "a region in the external labels": config(metrics={"external_labels": {"region": "eu-west-1"}}),
    "a recording rule by route": rule(
        record="route:requests:rate5m", expr="sum by (service, route, status) (rate(http_requests_total[5m]))"
    ),
    "an alert of the user's own": rule(
        alert="QueueLong", expr="queue_length > 100", labels={"severity": "warning", "team": "shop"}
    ),
    "the user's databases": config(exporters={key: EXPORTERS[key] for key in ("postgres", "redis", "nginx")}),
    "a probe": config(exporters={"probes": EXPORTERS["probes"]}),
    "everything there is": Change(EVERYTHING, secrets=("slack_webhook", "pagerduty_key", "s3_credentials")),
    "Promtail": config(logs={"shipper": "promtail"}),
    "Grafana under a domain": Change(FRONT, secrets=("grafana_password",)),
    "Prometheus on no port": config(publish={"prometheus": None}),
    "Prometheus on IPv6's loopback": config(publish={"prometheus": "[::1]:9090"}),
    "an image of an allowed registry": config(images={"prometheus": f"quay.io/prometheus/prometheus:v3.15.1@{DIGEST}"}),
    "a network of the user's": config(networks=["shop_default"]),
    "a mask for order numbers": config(logs={"mask": {"order": r"order=(\d+)"}}),
    "a team on every container": code(SERVICE, '_labels({"obs', '_labels({"team": "platform", "obs'),
    "routes as a dimension of span metrics": code(
        COLLECTOR,
        '"namespace": "traces.span.metrics",',
        '"namespace": "traces.span.metrics", "dimensions": [{"name": "http.route"}],',
    ),
    "a namespace as a label of logs": code(
        "config/log_levels.py", 'values={"level": "level"}', 'values={"level": "level", "namespace": "namespace"}'
    ),
    "a password by the name of its file": code(
        SERVICE, "dict(spec.environment)", 'dict(spec.environment, ADMIN_PASSWORD_FILE="/config/current/secrets/admin")'
    ),
    "a password of a name that only says where": code(
        SERVICE,
        "dict(spec.environment)",
        'dict(spec.environment, TOKEN_TTL="3600", KEYS_PREFIX="shop", MAX_TOKENS="9")',
    ),
    "a weak capability": code("config/cadvisor.py", '"CAP_SYSLOG",', '"CAP_SYSLOG", "CAP_NET_BIND_SERVICE",'),
    "a setting of the container's own network": code(
        SERVICE, '{"net.ipv4.ip_forward": "0"}', '{"net.ipv4.ip_forward": "0", "net.ipv4.tcp_syncookies": "1"}'
    ),
    "a private namespace for memory": code(SERVICE, "must_run=True,", 'must_run=True, ipc_mode="private",'),
    "a network that reaches nothing outside": code(
        NETWORKS, "name=settings.prefix,", "name=settings.prefix, internal=True,"
    ),
    "more room for temporary files": code(SERVICE, "size=64m", "size=128m"),
    "a larger patience of health checks": code(SERVICE, "timeout=go_duration(10)", "timeout=go_duration(20)"),
    "services that start whatever stopped them": code(SERVICE, 'restart="unless-stopped"', 'restart="always"'),
    "more of each log": code(
        SERVICE,
        'log_opts={"max-size": f"{mib(disk_budget.LOG_FILE)}m", "max-file": str(disk_budget.LOG_FILES)}',
        'log_opts={"max-size": "20m", "max-file": "5"}',
    ),
}
"""What is let through."""
