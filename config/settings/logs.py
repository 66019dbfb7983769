"""Settings of logs."""

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import ByteSize, Field, StringConstraints, field_validator, model_validator

from config.settings import disk_budget, expressions
from config.settings.model import HostFolder, Model, ServiceName, Url
from config.settings.remotes import RemoteLogs
from config.settings.units import Span, seconds
from config.sizes import MIB

Level = Literal["debug", "info", "warn", "error", "fatal", "unknown"]
"""The values of the label `level`, whatever a service calls them."""

LEAST_RETENTION = "1d"
"""The shortest retention that Loki supports: its index has one table a day, and retention deletes whole tables."""


DISK_FULL = 95
"""Percent of its disk in use from which on Loki takes no more lines: the shipper keeps them, and the host keeps going."""


LEAST_LINE = 1024
LEAST_RATE = 64 * 1024
"""Bytes. With less, Loki would cut nearly every line, or lose them: 0 means no limit for one, and nothing for the other."""


class LogRetention(Model):
    """The most specific one ends a line's life: that of its service, else that of its level, else `time`."""

    time: Span = "30d"
    levels: dict[Level, Span] = {}
    """For lines of one level, e.g. `{debug: 3d}`."""
    services: dict[ServiceName, Span] = {}
    """For lines of one service, e.g. `{batch: 7d}`."""

    @model_validator(mode="after")
    def _at_least_a_day(self) -> Self:
        named = {"time": self.time}
        named |= {f"levels.{level}": time for level, time in self.levels.items()}
        named |= {f"services.{service}": time for service, time in self.services.items()}
        for key, time in named.items():
            if seconds(time) < seconds(LEAST_RETENTION):
                msg = f"logs.retention.{key}: {time} is shorter than {LEAST_RETENTION}, the least that Loki can keep"
                raise ValueError(msg)
        return self

    @property
    def longest(self) -> Span:
        """The longest of these retentions. Nothing is stored longer."""
        return max((self.time, *self.levels.values(), *self.services.values()), key=seconds)


class LogBudget(Model):
    """Budgets for alerts: Loki itself has no retention by size."""

    per_day: ByteSize = Field(ByteSize(10**9), ge=MIB)
    """Size of the lines that Loki receives."""
    disk: ByteSize = ByteSize(disk_budget.LOGS)
    """Share of the host's disk for Loki's whole volume."""


class LogLimits(Model):
    """Limits for a noisy service, which protect Loki for all others."""

    streams: int = Field(1000, ge=10)
    """Active streams, that is, combinations of `service`, `level` and `source`. Lines of further streams are lost, and
    counted. OTLP may have ten times as many, which do not count here."""
    line_size: ByteSize = Field(ByteSize(1 * MIB), ge=LEAST_LINE, le=64 * MIB)
    """Longer lines are cut."""
    rate: ByteSize = Field(ByteSize(16 * MIB), ge=LEAST_RATE, le=1024 * MIB)
    """Bytes per second, all services together. What exceeds it is lost, and counted. A shipper sends less."""


class RateFuse(Model):
    """Per service: beyond it, `debug` and `info` lines are dropped and counted. Warnings and errors never are."""

    lines: int = Field(200, ge=1)
    """Lines per second, on average."""
    burst: int = Field(120_000, ge=1)
    """Lines at once. After Loki was away, a service's lines of all that time arrive at once: this is 10 minutes of
    them."""


class S3(Model):
    """Keeps chunks and index in object storage. Its key is the secret `s3_credentials`; without it Loki looks for the
    role of its host."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9_.-]+$")
    endpoint: Url | None = None
    """Address of a store that is not Amazon's, e.g. `https://minio.example.com`."""
    since: date | None = Field(None, gt=date(2024, 1, 1))
    """First day (UTC) whose logs go there, if the stack already has logs on its own disk, which stay. Set a future day,
    e.g. tomorrow, and do not change it afterwards."""

    @field_validator("bucket")
    @classmethod
    def _is_a_name_of_a_bucket(cls, bucket: str) -> str:
        if ".." in bucket or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", bucket):
            msg = "has two dots in a row, or is an address: neither is a name of a bucket"
            raise ValueError(msg)
        return bucket


class Logs(Model):
    """Loki, and the shipper that sends it the lines of every container and of the host."""

    shipper: Literal["alloy", "promtail"] = "alloy"
    """Promtail reached its end of life in March 2026. Use it only if you have to."""
    system: Literal["syslog", "journal", "off"] = "syslog"
    """The host's own log: `/var/log/syslog`, or systemd's journal on hosts without a syslog daemon (Debian 12 and
    later)."""
    files: HostFolder = "/var/log/apps"
    """Folder on the host. Every `*.log` below it is shipped; the first part of the path is its service."""
    retention: LogRetention = LogRetention()
    budget: LogBudget = LogBudget()
    limits: LogLimits = LogLimits()
    fuse: RateFuse = RateFuse()
    mask: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], str] = {}
    """More to mask, beside e-mail addresses, card numbers, bearer tokens and password fields: name → regular expression
    (RE2) with one group. The text that the group matches becomes `<name>`."""
    s3: S3 | None = None
    remote: RemoteLogs | None = None

    @field_validator("mask")
    @classmethod
    def _masks_one_group(cls, mask: dict[str, str]) -> dict[str, str]:
        for name, pattern in mask.items():
            if fault := expressions.fault(pattern):
                msg = f"{name}: {fault}"
                raise ValueError(msg)
            if (groups := re.compile(pattern).groups) != 1:
                msg = (
                    f"{name}: has {groups} groups in parentheses; what is in the one group is masked, others are (?:…)"
                )
                raise ValueError(msg)
            if re.search(pattern, ""):
                msg = f"{name}: fits an empty text too, which is everywhere: write + for *"
                raise ValueError(msg)
        return mask
