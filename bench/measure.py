"""What containers cost, by the engine's counters."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container

from config.sizes import MIB

SAMPLE_SECONDS = 2


@dataclass(frozen=True)
class Cost:
    """The cost of one container during a measurement."""

    peak_mib: float
    """Peak memory, in MiB, without page cache that the kernel can reclaim: it is what fills the limit."""
    limit_mib: int
    cores: float
    """CPU seconds per second."""


def _memory(container: Container) -> int:
    """Memory in bytes, as in `docker stats`: usage without `inactive_file` (cgroup v2) or `total_inactive_file`
    (v1)."""
    memory = _stats(container)["memory_stats"]
    cache = memory["stats"].get("inactive_file", memory["stats"].get("total_inactive_file", 0))
    return int(memory["usage"] - cache)


def cost(containers: Mapping[str, Container], seconds: float, *, warm_up: float = 0) -> dict[str, Cost]:
    """Service → its cost during the next `seconds`, after `warm_up` seconds that do not count."""
    time.sleep(warm_up)
    peaks = dict.fromkeys(containers, 0)
    begun = {service: _cpu(container) for service, container in containers.items()}
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        for service, container in containers.items():
            peaks[service] = max(peaks[service], _memory(container))
        time.sleep(SAMPLE_SECONDS)
    took = time.monotonic() - start
    return {
        service: Cost(
            peak_mib=peaks[service] / MIB,
            limit_mib=container.attrs["HostConfig"]["Memory"] // MIB,
            cores=(_cpu(container) - begun[service]) / 1e9 / took,
        )
        for service, container in containers.items()
    }


def _cpu(container: Container) -> int:
    """CPU time since the container's start, in nanoseconds."""
    return int(_stats(container)["cpu_stats"]["cpu_usage"]["total_usage"])


def _stats(container: Container) -> Any:
    return container.stats(stream=False, one_shot=True)
