"""Prometheus: scrapes and stores metrics, and evaluates alert rules."""

from collections.abc import Sequence
from typing import Any

from config import alerts
from config.additions import NONE, Additions
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.own_jobs import OwnJob
from config.ports import METRICS
from config.services.metrics import kept_metrics, own_scrapes, remote_write, scrape
from config.settings import Settings
from config.settings.edges import LONGEST_OUTAGE
from config.settings.units import prometheus_size
from config.yaml_text import digest, dollars_doubled, dump

PORT = METRICS["prometheus"]
VERSION_RULES = "rules/version.yml"
CONNECTIONS = 32
"""Concurrent connections to Prometheus: the health check, its scrape of itself, and clients."""


def container(settings: Settings, additions: Additions = NONE) -> Container:
    return Container(
        service="prometheus",
        command=(
            f"--config.file={DIRECTORY}/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--enable-feature=exemplar-storage",
            f"--web.external-url={settings.url('prometheus')}",
            "--web.route-prefix=/",
            # Without it, any web page in a browser may read Prometheus' answers.
            "--web.cors.origin=-",
            # 5 million samples are about 80 MB for one query (16 bytes each). The default is 800 MB.
            "--query.max-samples=5000000",
            "--query.timeout=30s",
            # Rules and queries share one queue (promql/engine.go, `queueActive`). A query needs a connection, so half
            # of the places are always free for rules. `api_proxy` bounds the number of queries.
            f"--query.max-concurrency={2 * CONNECTIONS}",
            f"--web.max-connections={CONNECTIONS}",
            # For `edge_door`, within the stack's network. `api_proxy` lets nobody else to its path.
            *(("--web.enable-remote-write-receiver",) if settings.edges else ()),
            # Remote read is unused in the stack, and cannot be switched off.
            "--storage.remote.read-concurrent-limit=1",
            "--storage.remote.read-sample-limit=10000",
            "--storage.remote.read-max-bytes-in-frame=65536",
            # Prometheus detects the container's limit. The rest is for the page cache of its blocks.
            "--auto-gomemlimit.ratio=0.85",
            "--auto-gomemlimit.refresh-interval=15s",  # the limit may change while it runs
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/ready"),
        grace_seconds=60,  # at every stop, the head is written to the log
        go_memory_percent=0,
        data="/prometheus",
        config=_config(settings, additions),
    )


def _config(settings: Settings, additions: Additions) -> ConfigFiles:
    own = {f"rules/own-{name}": text for name, text in additions.rules.items()}
    rules = alerts.render(settings, scrape.watched(settings))
    main = main_file(settings, additions.jobs)
    if settings.metrics.keep == "used":
        relabelling = kept_metrics.relabel_config(
            kept_metrics.patterns([*rules.values(), *own.values()], (one.text for one in additions.dashboards.values()))
        )
        for job in main["scrape_configs"]:
            job["metric_relabel_configs"] = [*job.get("metric_relabel_configs", ()), relabelling]
    files = {"prometheus.yml": dump(main), **rules, **own}
    version = digest(files)
    files[VERSION_RULES] = dump(_version_rule(version))
    return ConfigFiles(
        files=files,
        validate="promtool check config prometheus.yml",
        secrets={key: Secret(key) for key in _passwords(settings, additions.jobs)} | remote_write.secrets(settings),
        reload="SIGHUP",  # not the lifecycle URL: any web page could post to its /-/quit on a loopback port
        expect={
            f"http://127.0.0.1:{PORT}/api/v1/rules": f'"version":"{version}"',
            f"http://127.0.0.1:{PORT}/metrics": "prometheus_config_last_reload_successful 1",
        },
    )


def _passwords(settings: Settings, own_jobs: Sequence[OwnJob]) -> list[str]:
    """Names of the secrets that scrapes need."""
    of_pages = [page.secret for page in settings.exporters.pages if page.secret in settings.secrets]
    return [*(key for job in own_jobs for key in sorted(job.secrets)), *of_pages]


def _version_rule(version: str) -> dict[str, Any]:
    """A rule that shows which files are live, because Prometheus shows loaded rules but not their files."""
    rule = {"record": "nervous_system_config_info", "expr": "vector(1)", "labels": {"version": version}}
    return {"groups": [{"name": "version", "rules": [rule]}]}


def main_file(settings: Settings, own_jobs: Sequence[OwnJob] = ()) -> dict[str, Any]:
    """The content of `prometheus.yml`."""
    metrics = settings.metrics
    limits = metrics.limits
    far_away = remote_write.ends(settings)
    return {
        "global": {
            "scrape_interval": metrics.scrape_interval,
            "scrape_timeout": metrics.scrape_timeout,
            "evaluation_interval": metrics.evaluation_interval,
            "external_labels": dollars_doubled({"environment": settings.environment, **metrics.external_labels}),
            # Keeps both forms: classic buckets for exemplars and simple queries, native ones if an application serves
            # them.
            "scrape_native_histograms": True,
            "always_scrape_classic_histograms": True,
            "body_size_limit": prometheus_size(limits.body_size),
            "sample_limit": limits.samples,
            "keep_dropped_targets": 50,
        },
        "storage": {
            "tsdb": {
                # In the file instead of flags, so that a change needs no restart (Prometheus >= 3.11).
                "retention": {"time": metrics.retention.time, "size": prometheus_size(metrics.retention.size)},
                # What an edge sends after an outage is older than what is scraped here.
                "out_of_order_time_window": LONGEST_OUTAGE if settings.edges else "10m",
            },
            "exemplars": {"max_exemplars": metrics.exemplars},
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
        **({"remote_write": far_away} if far_away else {}),
        "scrape_configs": scrape.of_host(settings, [*scrape.jobs(settings), *own_scrapes.jobs(settings, own_jobs)]),
    }
