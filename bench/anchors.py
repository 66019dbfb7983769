"""Figures that others publish, or that this project has promised, each with the measured figure to compare."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Anchor:
    """A row of the first table in `docs/performance.md`."""

    what: str
    published: str
    source: str
    part: str
    subject: str
    figure: str
    remark: str = ""


ANCHORS = (
    Anchor(
        "from the command to an alert rule that is live, in multiples of `docker compose` with the same files",
        "1",
        "Compose makes Prometheus anew, which misses scrapes",
        "actions",
        "one alert rule",
        "ratio",
        "slower: the files are validated before and read back after, and the whole program runs",
    ),
    Anchor(
        "scrapes missed meanwhile",
        "0",
        "promised in docs/architecture.md",
        "actions",
        "one alert rule",
        "missed scrapes: here",
    ),
    Anchor(
        "scrapes missed while a memory limit changes",
        "0",
        "promised in docs/architecture.md",
        "actions",
        "a memory limit",
        "missed scrapes: here",
    ),
    Anchor(
        "memory of everything on a host of 16 GB, used by the shop",
        "at least 4 GB for Docker",
        "SigNoz and HyperDX, what they ask for at least: signoz.io/docs/install/docker, README of hyperdxio/hyperdx",
        "memory",
        "16GiB: all",
        "memory under load",
    ),
    Anchor(
        "the same on a host of 4 GB",
        "Prometheus, Loki and Grafana within 1 GB",
        "hackernoon.com: 1 GB observability stack",
        "memory",
        "4GiB: all",
        "memory under load",
        "traces, exporters and cAdvisor too",
    ),
    Anchor(
        "cAdvisor",
        "0.9 to 5 % of a core after tuning, 13 to 25 % before",
        "stefanprodan/dockprom pull request 288, google/cadvisor issue 2523",
        "memory",
        "16GiB: cadvisor",
        "CPU at rest",
    ),
    Anchor(
        "memory of Prometheus for each further series",
        "3 kB in the head; planners count 7.5 KiB with queries",
        "robustperception.io: why does Prometheus use so much RAM; prometheus-alert-generator.com",
        "series",
        "each further series",
        "memory",
    ),
    Anchor(
        "disk of Prometheus for each sample",
        "1 to 2 bytes; 1.77 measured, index and all",
        "docs/storage.md of Prometheus; robustperception.io: how much disk space",
        "series",
        "block of two hours",
        "bytes per sample",
    ),
    Anchor(
        "Alloy for logs",
        "1 MiB/s per core, 120 MiB",
        "Grafana's docs: estimate resource usage of Alloy",
        "logs",
        "alloy, x3",
        "shipper",
    ),
    Anchor(
        "collector with tail sampling",
        "9,000 spans/s per core (8,000 are recommended), 2 GB",
        "docs/performance.md of open-telemetry/opentelemetry-collector, at 06e74e6: version 0.1.3, spans of twenty attributes",
        "traces",
        "x3",
        "per core",
    ),
)
