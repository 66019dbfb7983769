"""Prometheus on an edge, in agent mode: scrapes as on a centre, and sends the samples there. It stores only its queue."""

from typing import Any

from config.additions import NONE, Additions
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.services.metrics import prometheus
from config.settings import Settings
from config.settings.secret_keys import CENTRE_PASSWORD
from config.yaml_text import digest, dollars_doubled, dump

PORT = prometheus.PORT
WRITE = "/api/v1/write"
"""Path of remote write at the centre's door, which is Prometheus' own."""
QUEUE = {
    # The number of shards never changes: when Prometheus changes it while the centre is away, it ends the old ones after a minute
    # with all that they hold (`Failed to flush all samples on shutdown`). A shard holds two requests. Two shards send 4,000 samples
    # in the time of one answer. If that is 0.4 s, what has waited for six hours (of 400 samples a second) is there within a
    # quarter of an hour.
    "capacity": 4000,
    "max_samples_per_send": 2000,
    "min_shards": 2,
    "max_shards": 2,
    "max_backoff": "10s",
    # The door answers 429 above the edge's rate: what it refuses is sent again.
    "retry_on_http_429": True,
}


def container(settings: Settings, additions: Additions = NONE) -> Container:
    """Requires `centre`."""
    centre = settings.centre
    assert centre is not None  # noqa: S101 - settings.edges
    return Container(
        service="prometheus",
        command=(
            "--agent",
            f"--config.file={DIRECTORY}/prometheus.yml",
            "--storage.agent.path=/prometheus",
            f"--storage.agent.retention.max-time={centre.outage}",
            f"--web.external-url={settings.url('prometheus')}",
            "--web.route-prefix=/",
            "--web.cors.origin=-",
            f"--web.max-connections={prometheus.CONNECTIONS}",
            "--auto-gomemlimit.ratio=0.85",
            "--auto-gomemlimit.refresh-interval=15s",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/ready"),
        grace_seconds=60,  # at its end it sends what it has in memory
        go_memory_percent=0,
        data="/prometheus",
        config=_config(settings, additions),
    )


def _config(settings: Settings, additions: Additions) -> ConfigFiles:
    main = main_file(settings, additions)
    version = f"nervous-system-{digest({'': dump(main)})}"
    # A job without targets: an agent has no rules that could show which file is live, and a name of its own for the queue
    # would begin a new queue with each file.
    main["scrape_configs"].append({"job_name": version, "static_configs": []})
    return ConfigFiles(
        files={"prometheus.yml": dump(main)},
        validate="promtool check config --agent prometheus.yml",
        secrets={
            CENTRE_PASSWORD: Secret(CENTRE_PASSWORD),
            **{key: Secret(key) for job in additions.jobs for key in sorted(job.secrets)},
        },
        reload="SIGHUP",
        expect={
            f"http://127.0.0.1:{PORT}/api/v1/status/config": version,
            f"http://127.0.0.1:{PORT}/metrics": "prometheus_config_last_reload_successful 1",
        },
    )


def main_file(settings: Settings, additions: Additions = NONE) -> dict[str, Any]:
    """The content of `prometheus.yml`: the jobs are those of a centre on this host."""
    main = prometheus.main_file(settings, additions.jobs)
    of_all = {
        key: value for key, value in main["global"].items() if key not in {"evaluation_interval", "external_labels"}
    }
    if own := settings.metrics.external_labels:
        of_all["external_labels"] = dollars_doubled(own)
    return {
        "global": of_all,
        "storage": {"tsdb": {"out_of_order_time_window": "10m"}},  # cAdvisor's samples have times of their own
        "scrape_configs": main["scrape_configs"],
        "remote_write": [_to_the_centre(settings)],
    }


def _to_the_centre(settings: Settings) -> dict[str, Any]:
    centre = settings.centre
    assert centre is not None  # noqa: S101 - settings.edges
    return {
        "name": "centre",
        "url": centre.url + WRITE,
        "remote_timeout": "30s",
        "send_exemplars": True,
        "send_native_histograms": True,
        "basic_auth": {"username": settings.name_of_host, "password_file": f"secrets/{CENTRE_PASSWORD}"},
        **({"tls_config": {"ca": centre.ca}} if centre.ca else {}),
        "follow_redirects": False,  # a credential goes to no other address
        "queue_config": dict(QUEUE),
    }
