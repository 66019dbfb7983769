"""Prometheus' scrape jobs. Every target has the labels `job`, `instance` and `service`."""

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from config import service_names
from config.alerts.rule import Job, Watched
from config.catalogue import HAPROXY, row_of
from config.container import discovered_label
from config.ports import DOCKER_API, METRICS, OTLP_METRICS, SCRAPES, SPAN_METRICS, metrics_port
from config.services.logs import loki, remote_logs, shipper
from config.services.metrics import cadvisor, node_exporter, own_proxies, socket_proxy
from config.services.traces import otlp_senders
from config.settings import Settings
from config.settings.metrics import ScrapeLabels
from config.settings.traces import RETENTION_SUCCESS

ScrapeConfig = dict[str, Any]

_SEPARATORS: dict[ScrapeLabels, str] = {"observability": ".", "prometheus.io": "/", "prometheus": "."}
"""Prefix of container labels → the separator between it and `scrape`, `port`, `path` or `scheme`."""
_CONTAINER_LABEL = "__meta_docker_container_label_"

OWN_METRICS = r"up|scrape_.+|ALERTS.*|nervous_system_.+|.*:.*"
"""Metrics that Prometheus and this stack's rules create, and that alerts trust. The same name on another page, or in
metrics sent by OTLP, becomes `application_up` and so on."""

FALLBACK = "PrometheusText0.0.4"
"""A page without a content type, or with that of HTML, is parsed as in Prometheus 2."""

PARAMETERS = 5
"""Maximum number of query parameters that the label `.path` may pass to the container. They are written there without
percent-encoding."""

_APPLICATION = {"target_label": "job", "replacement": "application"}


def jobs(settings: Settings) -> list[ScrapeConfig]:
    """The items of `scrape_configs`."""
    limits = settings.metrics.limits
    # Limits for foreign pages. They do not apply to the stack's exporters, which repeat what they find, such as a
    # certificate with a thousand names or a mount point of a thousand characters: a refusal would lose the rest of the
    # page.
    of_others = {
        "label_limit": limits.labels,
        "label_value_length_limit": limits.label_value_length,
        "target_limit": limits.targets,
        "fallback_scrape_protocol": FALLBACK,
    }
    others = [*_through_collector(settings), *_pages(settings), *_applications(settings)]
    own = [*_own(settings), _containers(), *_probes(settings)]
    every = [*own, *({**job, **of_others, **renamed(job)} for job in others)]
    # A target must not redirect Prometheus elsewhere.
    return [{**job, "follow_redirects": False} for job in every]


def of_host(settings: Settings, jobs: list[ScrapeConfig]) -> list[ScrapeConfig]:
    """`jobs` whose targets have the label `host`, if there are edges. A page's own label of that name becomes
    `exported_host`, as for all labels of targets."""
    if settings.role == "centre" and not settings.edges:
        return jobs
    label = {"target_label": "host", "replacement": settings.name_of_host}
    return [{**job, "relabel_configs": [*job.get("relabel_configs", ()), label]} for job in jobs]


def renamed(job: ScrapeConfig) -> ScrapeConfig:
    """The job's `metric_relabel_configs`, which rename each metric that alerts trust."""
    own = {
        "source_labels": ["__name__"],
        "regex": f"({OWN_METRICS})",
        "target_label": "__name__",
        "replacement": "application_$1",
    }
    rules = [*job.get("metric_relabel_configs", ()), own]
    if job["job_name"] == Job.OTLP:
        # The stack's only sender of its own, and the only one that may have this name (`config/services/traces/otlp_names.py`).
        rules.append(
            {
                "source_labels": ["service", "__name__"],
                "regex": f"jaeger_es_index_cleaner;application_({RETENTION_SUCCESS})",
                "target_label": "__name__",
                "replacement": "$1",
            }
        )
    return {"metric_relabel_configs": rules}


def watched(settings: Settings) -> Watched:
    """Jobs that alert rules may use."""
    jobs = {row_of(service).name for service in settings.services if metrics_port(service)} | {str(Job.CONTAINERS)}
    if "otel_collector" in settings.services:
        jobs |= {Job.OTLP} if settings.role == "edge" else {Job.SPANS, Job.OTLP}
    jobs |= {job for page in settings.exporters.pages for job in page.kind.jobs}
    if settings.exporters.probes:
        jobs.add(Job.PROBE)
    if settings.metrics.applications.static or settings.metrics.applications.discover:
        jobs.add(Job.APPLICATION)
    return frozenset(jobs)


def _own(settings: Settings) -> list[ScrapeConfig]:
    jobs: dict[str, ScrapeConfig] = {}
    for instance in settings.services:
        if not (port := metrics_port(instance)):
            continue
        service = row_of(instance).name
        target = _of_service(settings, instance, port, service=settings.subject_of(instance))
        if service in jobs:
            jobs[service]["static_configs"].append(target)
            continue
        job: ScrapeConfig = {"job_name": service, "static_configs": [target]}
        if service == "cadvisor":
            # cAdvisor sets timestamps: without this, a removed container would remain for five minutes.
            job["track_timestamps_staleness"] = True
            job["metric_relabel_configs"] = cadvisor.metric_relabel_configs()
        if service == "node_exporter":
            job["metric_relabel_configs"] = node_exporter.metric_relabel_configs()
        if row_of(service).image is HAPROXY:
            job["metric_relabel_configs"] = own_proxies.metric_relabel_configs()
        if service == "loki":
            job["metric_relabel_configs"] = loki.metric_relabel_configs()
        if service in ("alloy", "promtail"):
            of_copy = remote_logs.metric_relabel_configs(settings)
            job["metric_relabel_configs"] = [*shipper.metric_relabel_configs(), *of_copy]
        if service == "elasticsearch_exporter":
            # One index per day: each would stay a label value for ever.
            of_jaeger = {"source_labels": ["index"], "regex": r"jaeger-.+-\d{4}-\d\d-\d\d", "action": "drop"}
            job["metric_relabel_configs"] = [of_jaeger]
        jobs[service] = job
    return [*jobs.values()]


def _of_service(settings: Settings, service: str, port: int, /, **labels: str) -> dict[str, Any]:
    """Target of a service. `instance` does not depend on its host."""
    return {
        "targets": [f"{settings.host(service)}:{port}"],
        "labels": {"instance": f"{service}:{port}", "service": service, **labels},
    }


def _containers() -> ScrapeConfig:
    """Job for the engine's view of each container. The page sets the label `service`."""
    target = {"targets": [f"socket_proxy:{socket_proxy.PORT}"], "labels": {"service": "socket_proxy"}}
    return {
        "job_name": str(Job.CONTAINERS),
        "metrics_path": socket_proxy.CONTAINERS,
        "honor_labels": True,
        "static_configs": [target],
    }


def _through_collector(settings: Settings) -> list[ScrapeConfig]:
    """Jobs for the metrics that the collector makes from spans, and those that applications send. Their series carry
    the application's labels."""
    if "otel_collector" not in settings.services:
        return []
    bounds = settings.traces.span_metrics
    # Counts, durations, durations without span names, and the service graph.
    samples = max(settings.metrics.limits.samples, bounds.services * bounds.operations * 40)
    spans = _of_collector(Job.SPANS, [_collector_page(settings, SPAN_METRICS)], [])
    of_spans = [] if settings.role == "edge" else [{**spans, "sample_limit": samples}]  # its centre counts them
    return [*of_spans, _of_senders(settings)]


def _of_senders(settings: Settings) -> ScrapeConfig:
    """Job for the metrics that applications send. Their page is read once per part, so too many series of one service
    fail only the scrape of its part."""
    targets = [_collector_page(settings, OTLP_METRICS, otlp_part=str(part)) for part in range(otlp_senders.PARTS)]
    only_its_part: list[ScrapeConfig] = [
        {
            "source_labels": ["exported_job"],
            "action": "hashmod",
            "modulus": otlp_senders.PARTS,
            "target_label": "__tmp_part",
        },
        {"source_labels": ["__tmp_part"], "action": "keepequal", "target_label": "otlp_part"},
        {"regex": "__tmp_part|otlp_part", "action": "labeldrop"},
    ]
    return _of_collector(Job.OTLP, targets, only_its_part)


def _collector_page(settings: Settings, port: int, **labels: str) -> dict[str, Any]:
    return _of_service(settings, "otel_collector", port, **labels)


def _of_collector(job: Job, targets: list[dict[str, Any]], first: list[ScrapeConfig]) -> ScrapeConfig:
    relabel: list[ScrapeConfig] = [
        # One series per process that ever ran, with all its resource attributes as labels.
        {"source_labels": ["__name__"], "regex": "target_info", "action": "drop"},
        *first,
        {"source_labels": ["exported_job"], "regex": "(.+)", "target_label": "service"},
        {"source_labels": ["exported_instance"], "regex": "(.+)", "target_label": "instance"},
        {"regex": "exported_job|exported_instance", "action": "labeldrop"},
    ]
    return {"job_name": str(job), "static_configs": targets, "metric_relabel_configs": relabel}


def _pages(settings: Settings) -> list[ScrapeConfig]:
    """Jobs for servers that serve their own metrics. Prometheus takes parameters and a password only per job."""
    jobs = []
    for page in settings.exporters.pages:
        server = page.server
        for name, end in page.kind.jobs.items():
            path, parameters = _path_and_parameters(server.path + end)
            way = {"__scheme__": f"https-{page.name}" if server.tls.ca else "https"} if server.tls else {}
            login = {"username": page.user, "password_file": f"secrets/{page.secret}"}
            job: ScrapeConfig = {
                "job_name": f"{name}-{server.name}" if server.name else name,
                "metrics_path": path,
                **parameters,
                **({"basic_auth": login} if page.secret in settings.secrets else {}),
                "static_configs": [{"targets": list(server.targets), "labels": {"service": server.service, **way}}],
            }
            named = [{"target_label": "job", "replacement": name}] if server.name else []
            jobs.append({**job, "relabel_configs": [*named, *by_proxy(settings)]})
    return jobs


def _path_and_parameters(path: str) -> tuple[str, dict[str, Any]]:
    """Path and query parameters, separate and decoded, as Prometheus expects them: `/metrics?format=prometheus` →
    `("/metrics", {"params": {"format": ["prometheus"]}})`."""
    parts = urlsplit(path)
    return unquote(parts.path), {"params": parse_qs(parts.query, keep_blank_values=True)} if parts.query else {}


def _probes(settings: Settings) -> list[ScrapeConfig]:
    probes = settings.exporters.probes
    if not probes:
        return []
    targets = [
        {
            "targets": [probe.target],
            "labels": {"probe": probe.name, "service": probe.service or probe.name, "module": probe.module},
        }
        for probe in probes
    ]
    return [
        {
            "job_name": "probe",
            "metrics_path": "/probe",
            "static_configs": targets,
            "relabel_configs": [
                {"source_labels": ["module"], "target_label": "__param_module"},
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {
                    "target_label": "__address__",
                    "replacement": f"{settings.host('blackbox_exporter')}:{METRICS['blackbox_exporter']}",
                },
            ],
        }
    ]


def _applications(settings: Settings) -> list[ScrapeConfig]:
    applications = settings.metrics.applications
    jobs: dict[str, ScrapeConfig] = {}
    for app in applications.static:
        path, parameters = _path_and_parameters(app.path)
        target = {
            "targets": list(app.targets),
            "labels": {"service": app.service, "__metrics_path__": path, "__scheme__": app.scheme},
        }
        # Prometheus supports parameters only per job.
        name = "application" + app.path[app.path.find("?") :] if parameters else "application"
        job = {
            "job_name": name,
            **parameters,
            "static_configs": [],
            "relabel_configs": [_APPLICATION, *by_proxy(settings)],
        }
        jobs.setdefault(name, job)["static_configs"].append(target)
    return [*jobs.values(), *([_discovery(settings)] if applications.discover else [])]


def _discovery(settings: Settings) -> ScrapeConfig:
    """Job for containers that request it by a label, found through the read-only proxy of the Docker socket."""
    # Older engines allow any name. Python does not escape letters, and RE2 allows any other character to be escaped.
    networks = "|".join(re.escape(network) for network in settings.users_networks)
    prefixes = settings.metrics.applications.labels
    # The first prefix is written last, over the others.
    rules: list[ScrapeConfig] = [
        {
            "source_labels": [_CONTAINER_LABEL + discovered_label(prefix + _SEPARATORS[prefix] + key)],
            "regex": values,
            "target_label": target,
        }
        for prefix in reversed(prefixes)
        for key, values, target in (
            ("port", r"(\d+)", "__tmp_port"),
            ("path", "(/.*)", "__tmp_path"),
            ("scheme", "(https?)", "__scheme__"),
        )
    ]
    return {
        "job_name": "application-containers",
        "docker_sd_configs": [
            {
                "host": f"tcp://socket_proxy:{DOCKER_API}",
                "refresh_interval": settings.metrics.scrape_interval,
                # A container in several networks is listed once for each; relabelling keeps the shared one.
                "match_first_network": False,
                "filters": [{"name": "label", "values": [f"{prefix}{_SEPARATORS[prefix]}scrape=true"]}],
            }
            for prefix in prefixes
        ],
        "relabel_configs": [
            {"source_labels": ["__meta_docker_network_name"], "action": "keep", "regex": networks},
            # A restarting container has no address: Prometheus would scrape itself.
            {"source_labels": ["__meta_docker_network_ip"], "action": "keep", "regex": ".+"},
            # `docker compose run` gives a one-off container, such as a migration, the labels of a service that it does
            # not serve.
            {
                "source_labels": [f"{_CONTAINER_LABEL}com_docker_compose_oneoff"],
                "action": "drop",
                "regex": "(?i:true)",
            },
            # Of several shared networks, keeps the one in which the container was started: one target instead of one
            # per network.
            {"source_labels": ["__meta_docker_network_name"], "target_label": "__tmp_network"},
            {
                "source_labels": ["__meta_docker_container_network_mode"],
                "regex": f"({networks})",
                "target_label": "__tmp_network",
            },
            {
                "source_labels": ["__meta_docker_network_name"],
                "action": "keepequal",
                "target_label": "__tmp_network",
            },
            *rules,
            # With a port label, all ports of a container become the same target, which Prometheus scrapes once.
            {
                "source_labels": ["__meta_docker_network_ip", "__tmp_port"],
                "separator": ":",
                "regex": r"(.+:\d+)",
                "target_label": "__address__",
            },
            # A container started in none of these has an address in each. Its name in the engine's DNS is the same in
            # all of them, so by name it is one target. The name of a container in another container's network is that
            # container's id.
            {
                "source_labels": ["__meta_docker_container_network_mode"],
                "regex": networks,
                "target_label": "__tmp_address",
                "replacement": "known",
            },
            {
                "source_labels": ["__tmp_address", "__meta_docker_container_name", "__address__"],
                "regex": r";/(.+);.+:(\d+)",
                "replacement": "$1:$2",
                "target_label": "__address__",
            },
            {
                "source_labels": ["__tmp_address", "__meta_docker_container_network_mode", "__address__"],
                "regex": r";container:(.{12}).*;.+:(\d+)",
                "replacement": "$1:$2",
                "target_label": "__address__",
            },
            {"source_labels": ["__tmp_path"], "regex": r"(/[^?]*)(?:\?.*)?", "target_label": "__metrics_path__"},
            *(
                {
                    "source_labels": ["__tmp_path"],
                    "regex": rf"[^?]*\?(?:[^&]*&){{{before}}}([^&=]+)=([^&]+)(?:&.*)?",
                    "target_label": "__param_$1",
                    "replacement": "$2",
                }
                for before in range(PARAMETERS)
            ),
            # By name, because an address changes at every restart and each would be a new series.
            {
                "source_labels": ["__meta_docker_container_name", "__address__"],
                "separator": ";",
                "regex": r"/(.+);.+:(\d+)",
                "replacement": "$1:$2",
                "target_label": "instance",
            },
            *service_names.rules("__meta_docker_container_name", _CONTAINER_LABEL),
            _APPLICATION,
            *by_proxy(settings),
        ],
    }


def by_proxy(settings: Settings) -> list[ScrapeConfig]:
    """Rules that turn the target into a path of the proxy in your containers' networks:
    `/<scheme>/<host>:<port>/<path>`."""
    return [
        {"source_labels": ["instance", "__address__"], "regex": ";(.+)", "target_label": "instance"},
        {
            "source_labels": ["__scheme__", "__address__", "__metrics_path__"],
            "regex": "(.+?);(.+?);(.+)",
            "target_label": "__metrics_path__",
            "replacement": "/$1/$2$3",
        },
        {"target_label": "__scheme__", "replacement": "http"},
        {"target_label": "__address__", "replacement": f"{settings.host('scrape_proxy')}:{SCRAPES}"},
    ]
