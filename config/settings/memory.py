"""Settings of the services' memory limits."""

from typing import Any, Self

from pydantic import ByteSize, TypeAdapter, ValidationError, create_model, model_validator

from config.catalogue import ROWS
from config.settings import sizing
from config.settings.model import ByService
from config.settings.units import Memory, mib
from config.sizes import GIB, MIB

_MEMORY = TypeAdapter(Memory)


class _Host(ByService):
    host: Memory = ByteSize(sizing.REFERENCE)
    """Memory of the host, 4GiB or more (of an edge 1GiB). The ceiling and the limits follow from it (docs/environments.md), unless you
    set them."""
    ceiling: Memory = ByteSize(14 * GIB)
    """The sum of all limits may not exceed it. The rest is for the host's own services."""


_limits: dict[str, Any] = {service: (Memory, ByteSize(row.memory)) for service, row in ROWS.items()}
_ByService = create_model("_ByService", __base__=_Host, **_limits)


class MemoryLimits(_ByService):
    """Hard limits, without swap. The processes inside get their share of the same number (GOMEMLIMIT, caches)."""

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, values: Any) -> Any:
        try:
            host = _MEMORY.validate_python(values["host"])
        except (TypeError, KeyError, ValidationError):  # the field will say what is wrong with it
            return values
        return {**sizing.limits(host), **values}

    @model_validator(mode="after")
    def _fits_the_host(self) -> Self:
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
                msg = f"memory.{service}: below 16MiB no service starts"
                raise ValueError(msg)
        for service, row in ROWS.items():
            if row.most and getattr(self, service) > row.most:
                msg = f"memory.{service}: {row.most // GIB}GiB is the most that it may have on this host"
                raise ValueError(msg)
        return self
