"""Memory limits for hosts of other sizes, all derived from one number.

A service that needs more memory for more load gets `default x host / 16 GiB` (Grafana: 8), but not less than its
minimum. The others (exporters, Alertmanager, the proxies) need the same on every host. All limits must fit below the
ceiling, which leaves an eighth of the host's memory, or 1 GiB if that is more, to the engine, the kernel and the host's
own services: 14 of 16 GiB, 7 of 8, 3 of 4.

The minimums are from this project's own measurements (docs/performance.md): Prometheus takes 74 MiB under the shop's
load, Loki 165 MiB for 46 GB of logs a day, Jaeger 255 MiB for 2,260 spans/s into Badger, and the collector 200 MiB for
these. Half of a search engine's limit is heap. Grafana 13.2.3 was not measured here. A user published (rankedvote.app
on Render, October 2026) 169 MiB with one data source, 293 MiB under load, and 22 to 38 MB for each further one, which
is a process of its own; there are two more here. Grafana runs the same processes on every host, so it has its default
from 8 GiB on.
"""

from config.catalogue import ROWS
from config.sizes import GIB, MIB

REFERENCE = 16 * GIB
"""The host that the defaults are made for. On a larger one the limits stay: more is of use only where it is asked for."""
SMALLEST = 4 * GIB


EDGE, SMALLEST_EDGE = 2 * GIB, GIB
"""Hosts that an edge's limits are made for (`on_edge` in `config/catalogue.py`): the second has a gigabyte."""


def edge_ceiling(*, small: bool) -> int:
    """Maximum sum of all limits of an edge, in bytes. The rest is for the services that it watches."""
    return (512 if small else 1024) * MIB


def ceiling(host: int) -> int:
    """Maximum sum of all limits on a host with `host` bytes of memory, in bytes."""
    return (host - max(host // 8, GIB)) // MIB * MIB


def limits(host: int) -> dict[str, int]:
    """Limits that differ from those of the reference host, and the ceiling; all in bytes."""
    grown = {
        service: max(row.least, row.memory * min(host, row.full_on) // row.full_on // MIB * MIB)
        for service, row in ROWS.items()
        if row.least
    }
    return {"ceiling": ceiling(host), **grown}
