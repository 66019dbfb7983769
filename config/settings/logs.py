"""What a stack may say of its logs."""

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import ByteSize, Field, StringConstraints, field_validator, model_validator

from config.settings import disk_budget
from config.settings.model import HostFolder, Model, Url
from config.settings.units import MIB, Span, seconds

Level = Literal["debug", "info", "warn", "error", "fatal", "unknown"]
"""The values of the label `level`, whatever a service calls them."""

ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")]
"""A value of the label `service`."""

LEAST_RETENTION = "1d"
"""Of Loki: its index has one table a day, and a table is what retention works on."""


DISK_FULL = 95
"""Percent of its disk in use from which on Loki takes no more lines: the shipper keeps them, and the host keeps going."""


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
        """After this nothing is kept."""
        return max((self.time, *self.levels.values(), *self.services.values()), key=seconds)


class LogBudget(Model):
    """What alerts compare with: Loki itself has no retention by size."""

    per_day: ByteSize = ByteSize(10**9)
    """Of lines, as Loki receives them."""
    disk: ByteSize = ByteSize(disk_budget.LOGS)
    """Of the host's disk, for Loki's whole volume."""


class LogLimits(Model):
    """What a noisy service runs into, instead of everybody's Loki."""

    streams: int = Field(1000, ge=10)
    """Active ones, that is combinations of `service`, `level` and `source`. Lines of further ones are lost, and counted.
    By OTLP ten times as many may come, and they do not count here."""
    line_size: ByteSize = ByteSize(1 * MIB)
    """Longer lines are cut."""
    rate: ByteSize = ByteSize(16 * MIB)
    """Per second, all services together; what comes beyond it is lost, and counted. A shipper sends less."""


class RateFuse(Model):
    """Per service: beyond it, `debug` and `info` lines are dropped and counted. Warnings and errors never are."""

    lines: int = Field(200, ge=1)
    """Per second, on average."""
    burst: int = Field(120_000, ge=1)
    """At once. When Loki was away, a service's lines of all that time come at once: these are 10 minutes of them."""


class S3(Model):
    """Keeps chunks and index in object storage. The key to it is the secret `s3_credentials`; without one Loki looks for
    the role of its host."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9_.-]+$")
    endpoint: Url | None = None
    """Of a store that is not Amazon's, e.g. `https://minio.example.com`."""
    since: date | None = None
    """First day (UTC) whose logs go there, for a stack that has logs on its own disk, which stay: a day to come, e.g.
    tomorrow. Keep it as it is afterwards."""


class Logs(Model):
    """Loki, and the shipper that brings it the lines of every container and of the host."""

    shipper: Literal["alloy", "promtail"] = "alloy"
    """Promtail has reached its end of life (March 2026): for those who still have to use it."""
    system: Literal["syslog", "journal", "off"] = "syslog"
    """The host's own log: `/var/log/syslog`, or systemd's journal where there is no syslog daemon (Debian 12 and later)."""
    files: HostFolder = "/var/log/apps"
    """Folder on the host; every `*.log` below it is shipped, its service being the first part of the path."""
    retention: LogRetention = LogRetention()
    budget: LogBudget = LogBudget()
    limits: LogLimits = LogLimits()
    fuse: RateFuse = RateFuse()
    mask: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], str] = {}
    """More to mask, beside e-mail addresses, card numbers, bearer tokens and password fields: name → regular expression
    (RE2). What its one group matches becomes `<name>`."""
    s3: S3 | None = None

    @field_validator("mask")
    @classmethod
    def _masks_one_group(cls, mask: dict[str, str]) -> dict[str, str]:
        for name, pattern in mask.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                msg = f"{name}: is no regular expression: {error}"
                raise ValueError(msg) from None
            if groups != 1:
                msg = (
                    f"{name}: has {groups} groups in parentheses; what is in the one group is masked, others are (?:…)"
                )
                raise ValueError(msg)
            if re.search(r"\(\?<?[=!]|\\[1-9]", pattern):
                msg = f"{name}: looks around or back, which RE2 cannot"
                raise ValueError(msg)
        return mask
