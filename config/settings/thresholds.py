"""Thresholds of the alerts: every number that you may want to change, in one place.

A percentage is a plain number (``80``), a span is written as in Prometheus (``2m``).

The first seven defaults come from the project's specification. The others name their source.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.settings.units import Span, seconds

Percent = Annotated[float, Field(gt=0, le=100)]


class Thresholds(BaseModel):
    """Stack config ``alerts.thresholds``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # From the specification.
    cpu: Percent = Field(default=80, description="Host CPU in use, percent of all cores.")
    memory: Percent = Field(default=85, description="Host memory that new work cannot use, percent.")
    disk: Percent = Field(default=90, description="File system in use, percent as `df` counts it: a warning.")
    target_down: Span = Field(default="2m", description="How long a scrape target or application may be down.")
    error_ratio: Percent = Field(default=5, description="HTTP requests of one application answered with 5xx, percent.")
    latency_p95: Span = Field(
        default="1s",
        description="95th percentile of an application's response time. The histogram's buckets limit its precision.",
    )
    db_connections: Percent = Field(default=80, description="Connections of a database in use, percent of its maximum.")

    # Host.
    disk_critical: Percent = Field(default=95, description="File system in use, percent: critical.")
    disk_fills: Span = Field(default="24h", description="Warn if a disk will be full sooner than this.")
    disk_fills_critical: Span = Field(default="4h", description="Critical if a disk will be full sooner than this.")
    memory_critical: Percent = Field(
        default=95, description="The same, percent: critical, if the kernel does not measure pressure (PSI)."
    )
    inodes: Percent = Field(default=90, description="Inodes of a file system in use, percent.")
    cpu_steal: Percent = Field(
        default=10, description="CPU time that the hypervisor gave to other guests while this host needed it, percent."
    )
    memory_stalled: Percent = Field(
        default=10,
        description="Time in which no process made progress because all waited for memory (PSI `full`), percent. Healthy hosts: 0.",
    )
    io_stalled: Percent = Field(
        default=30,
        description="Time in which no process made progress because all waited for disk I/O (PSI `full`), percent.",
    )
    swap_pages: float = Field(
        default=250,
        gt=0,
        description="Pages per second swapped in and out at the same time. 250 pages are about 1 MiB.",
    )
    file_descriptors: Percent = Field(default=80, description="File handles of the kernel in use, percent.")
    clock_offset: Span = Field(default="50ms", description="How far the clock may be from its time source.")
    network_errors: Percent = Field(default=1, description="Packets of an interface with errors or dropped, percent.")
    network_used: Percent = Field(default=90, description="Traffic of a network card, percent of its speed.")
    conntrack: Percent = Field(default=80, description="Connections in the kernel's table, percent of its size.")
    tcp_retransmits: Percent = Field(
        default=5, description="TCP segments of the host that are sent again, percent. Healthy networks: below 1."
    )
    listen_drops: float = Field(
        default=0.1, gt=0, description="New connections per second that the host drops, because nobody accepts them."
    )
    unit_restarts: int = Field(default=3, ge=1, description="Restarts of a service of systemd in 15 minutes.")
    threads: Percent = Field(
        default=80, description="Processes and threads of the host, percent of the kernel's limit."
    )

    # Containers.
    container_memory: Percent = Field(default=90, description="Working set of a container, percent of its limit.")
    container_throttled: Percent = Field(
        default=50, description="Scheduling periods in which a container hit its CPU quota, percent."
    )
    container_restarts: int = Field(default=3, ge=1, le=100, description="Restarts of a container in 15 minutes.")

    # Applications.
    min_requests: float = Field(
        default=0.1,
        ge=0,
        description="Requests per second below which the alerts ignore errors, latency and traffic of an application.",
    )
    traffic_left: Percent = Field(
        default=10,
        description="Traffic of an application, percent of its mean in the hour before. Below this it has dropped.",
    )

    # Probes.
    probe_duration: Span = Field(default="3s", description="Mean duration of a probe over five minutes.")
    certificate: Span = Field(
        default="10d",
        description="Warn if a TLS certificate expires sooner than this. A certificate of 90 d is renewed 30 d before its end, one "
        "of 45 d 15 d before.",
    )
    certificate_critical: Span = Field(
        default="3d", description="Critical if a TLS certificate expires sooner than this."
    )

    # Databases.
    postgres_deadlocks: int = Field(default=3, ge=1, description="Deadlocks of one database in 15 minutes.")
    postgres_transaction: Span = Field(default="15m", description="Age of the oldest open transaction.")
    postgres_lock_waits: int = Field(default=5, ge=1, description="Sessions of one database that wait for a lock.")
    postgres_replication_lag: Span = Field(default="30s", description="How far a replica may be behind.")
    postgres_cache_hits: Percent = Field(
        default=90,
        description="Blocks found in shared buffers, percent. The alert fires below this if PostgreSQL reads much.",
    )
    postgres_dead_rows: Percent = Field(
        default=20, description="Deleted rows that still take space, percent of all rows of a large table."
    )
    mysql_replication_lag: Span = Field(default="30s", description="How far a replica of MySQL may be behind.")
    redis_memory: Percent = Field(default=90, description="Memory of Redis in use, percent of `maxmemory`.")
    redis_evictions: float = Field(default=10, gt=0, description="Keys per second that Redis evicts to make room.")
    elasticsearch_heap: Percent = Field(default=90, description="Heap of Elasticsearch in use, percent.")

    # Queues and web servers.
    rabbitmq_messages: int = Field(
        default=1000, ge=1, description="Messages of one queue from which on it is judged whether it grows."
    )
    kafka_lag: int = Field(
        default=10_000,
        ge=1,
        description="Messages of one topic that a group of Kafka's consumers has not read yet, from which on it is judged whether "
        "they grow.",
    )
    php_slow_requests: int = Field(
        default=10,
        ge=1,
        description="Requests of one pool of PHP-FPM in 15 minutes that took longer than its `request_slowlog_timeout`.",
    )

    # Traces.
    telemetry_queue: Percent = Field(
        default=50, description="The collector's queues on disk in use, percent. A full queue loses new data."
    )

    # Prometheus itself.
    scrape_duration: Span = Field(
        default="5s", description="Duration of one scrape. Keep it below `metrics.scrape_timeout`."
    )
    series: int = Field(
        default=200_000,
        ge=1_000,
        description="Series in memory, at 3 to 9 kB each (Robust Perception 2020, Cardinality Cloud 2025). A full host of this kind has 30 to 45 thousand.",
    )
    disk_budget: Percent = Field(
        default=80, description="Disk budget in use, percent, before the data reaches its retention time."
    )

    # Logs.
    log_errors: int = Field(
        default=100, ge=1, description="Lines of the levels error and fatal from one service in 5 minutes."
    )
    log_silence: Span = Field(default="30m", description="How long a service that logs steadily may log nothing.")
    log_steady: int = Field(
        default=60,
        ge=1,
        description="Lines in the hour before, half of them in each half. A service that logs less may be silent for any time.",
    )
    log_streams: Percent = Field(default=80, description="Streams in Loki's memory, percent of `logs.limits.streams`.")
    log_backlog: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Bytes of log files that the shipper has not read yet."
    )
    log_fuse: Span = Field(
        default="30m", description="How long the rate fuse of a service may drop lines without an alert."
    )

    @model_validator(mode="after")
    def _warning_before_critical(self) -> Self:
        for warning, critical in (("disk", "disk_critical"), ("memory", "memory_critical")):
            low, high = getattr(self, warning), getattr(self, critical)
            if high <= low:
                msg = f"{critical}: {high:g} must be above {warning} ({low:g})"
                raise ValueError(msg)
        for warning, critical in (("disk_fills", "disk_fills_critical"), ("certificate", "certificate_critical")):
            early, late = getattr(self, warning), getattr(self, critical)
            if seconds(late) >= seconds(early):
                msg = f"{critical}: {late} must be shorter than {warning} ({early})"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _spans_are_positive(self) -> Self:
        for name in type(self).model_fields:
            span = getattr(self, name)
            if isinstance(span, str) and seconds(span) <= 0:
                msg = f"{name}: {span} must be longer than zero"
                raise ValueError(msg)
        return self
