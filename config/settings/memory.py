"""Memory limits of the services."""

from typing import Any, Self

from pydantic import (
    ByteSize,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from config.settings import sizing
from config.settings.model import (
    Model,
)
from config.settings.units import MIB, Memory, mib

GIB = 1024 * MIB
_MEMORY = TypeAdapter(Memory)


class MemoryLimits(Model):
    """Hard limits, without swap. The processes inside get their share of the same number (GOMEMLIMIT, caches)."""

    host: Memory = ByteSize(sizing.REFERENCE)
    """Memory of the host, 4GiB or more. The ceiling and the limits follow from it (docs/environments.md), unless you
    set them."""
    ceiling: Memory = ByteSize(14 * GIB)
    """The sum of all limits may not exceed it. The rest is for the host's own services."""
    prometheus: Memory = ByteSize(2 * GIB)
    alertmanager: Memory = ByteSize(96 * MIB)
    node_exporter: Memory = ByteSize(64 * MIB)
    cadvisor: Memory = ByteSize(192 * MIB)
    socket_proxy: Memory = ByteSize(48 * MIB)
    scrape_proxy: Memory = ByteSize(24 * MIB)
    api_proxy: Memory = ByteSize(32 * MIB)
    postgres_exporter: Memory = ByteSize(64 * MIB)
    redis_exporter: Memory = ByteSize(48 * MIB)
    nginx_exporter: Memory = ByteSize(24 * MIB)
    blackbox_exporter: Memory = ByteSize(64 * MIB)
    mongodb_exporter: Memory = ByteSize(96 * MIB)
    elasticsearch_exporter: Memory = ByteSize(64 * MIB)
    loki: Memory = ByteSize(2 * GIB)
    alloy: Memory = ByteSize(384 * MIB)
    promtail: Memory = ByteSize(256 * MIB)
    otel_collector: Memory = ByteSize(1024 * MIB)
    elasticsearch: Memory = ByteSize(3 * GIB)
    opensearch: Memory = ByteSize(3 * GIB)
    jaeger: Memory = ByteSize(768 * MIB)
    jaeger_es_index_cleaner: Memory = ByteSize(32 * MIB)
    grafana: Memory = ByteSize(GIB)
    caddy: Memory = ByteSize(64 * MIB)

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, values: Any) -> Any:
        try:
            host = _MEMORY.validate_python(values["host"])
        except (TypeError, KeyError, ValidationError):  # the field will say what is wrong with it
            return values
        return {**sizing.limits(host, {name: field.default for name, field in cls.model_fields.items()}), **values}

    @model_validator(mode="after")
    def _fits_the_host(self) -> Self:
        if self.host < sizing.SMALLEST:
            msg = f"memory.host: below {sizing.SMALLEST // GIB}GiB metrics, logs and traces do not fit"
            raise ValueError(msg)
        if self.ceiling > self.host:
            msg = (
                f"memory.ceiling: {mib(self.ceiling)} MiB is more than the host has, which is {mib(self.host)} MiB as "
                "memory.host says: raise that, and the ceiling follows"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _enough_to_start(self) -> Self:
        for service, limit in self:
            if limit < 16 * MIB:
                msg = f"memory.{service}: below 16MiB nothing here starts"
                raise ValueError(msg)
        most = {"prometheus": 4, "loki": 4, "jaeger": 2, "elasticsearch": 4, "opensearch": 4, "grafana": 1}
        for service, gib in most.items():
            if getattr(self, service) > gib * GIB:
                msg = f"memory.{service}: {gib}GiB is the most that it may have on this host"
                raise ValueError(msg)
        return self
