"""The part of the catalogue with servers that serve their own metrics: one row for each kind, which needs no exporter.

Its row gives a kind its setting, its jobs and its group of alerts. scrape_proxy fetches the pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricsPage:
    """One kind of server with pages in Prometheus' format."""

    key: str
    """The key below `exporters` that says where the pages are. `config/alerts/<key>.py` has its alerts."""
    path: str
    """Path of its page by default."""
    jobs: Mapping[str, str]
    """Value of the label `job` → what follows the page's path. Two pages need two jobs, because a target has one `up`."""
    example: str
    """A target, with the port that its documentation suggests."""
    note: str
    """Text for docs/configuration.md."""
    board: str
    """Dashboard to which its alerts link."""


METRICS_PAGES = (
    MetricsPage(
        key="haproxy",
        path="/metrics",
        jobs={"haproxy": ""},
        example="balancer:8405",
        note="HAProxy's own Prometheus endpoint, which replaced the separate exporter.",
        board="overview",
    ),
    MetricsPage(
        key="rabbitmq",
        path="/metrics",
        jobs={
            "rabbitmq_page": "",
            "rabbitmq_queues_page": "/detailed?family=queue_coarse_metrics&family=queue_consumer_count",
        },
        example="mq:15692",
        note="RabbitMQ's plugin `rabbitmq_prometheus` (3.10 or later), on port 15692 of each node. `path` is its setting "
        "`prometheus.path`. The queues are told one by one, by up to six series each.",
        board="databases",
    ),
    MetricsPage(
        key="kafka",
        path="/metrics",
        jobs={"kafka_page": ""},
        example="kafka:9404",
        note="Kafka's brokers and controllers, by Prometheus' Java agent in each of them, and kafka_exporter for the lag of "
        "consumers ([how](exporters.md#kafka)).",
        board="databases",
    ),
    MetricsPage(
        key="traefik",
        path="/metrics",
        jobs={"traefik_page": ""},
        example="proxy:8082",
        note="Traefik's own page (`--metrics.prometheus`). It counts requests too: give such a container no scrape label.",
        board="golden-signals",
    ),
    MetricsPage(
        key="caddy",
        path="/metrics",
        jobs={"caddy_page": ""},
        example="web:9180",
        note="Caddy's own page (the option `metrics`). Let the directive `metrics` serve it on a port of its own: the port of "
        "its administration can do more than tell. It counts requests too: give such a container no scrape label.",
        board="golden-signals",
    ),
    MetricsPage(
        key="php_fpm",
        path="/status?openmetrics",
        jobs={"php_fpm_page": ""},
        example="blog:80",
        note="The status page of one pool of PHP-FPM 8.1 or later (`pm.status_path`), which your web server passes on.",
        board="databases",
    ),
)
