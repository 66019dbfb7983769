"""Memory limits for a host of another size than the defaults are made for: all out of one number.

The arithmetic: a service that works the more the more there is gets `default x host / 16 GiB` (Grafana: 8), and not less
than its least; the others (exporters, Alertmanager, the proxy) need the same on every host. All of it has to fit under the host's
memory without an eighth of it, or without 1 GiB where that is more, which is left to the engine, the kernel and the
host's own services: 14 of 16 GiB, 7 of 8, 3 of 4.

The least limits are from this project's own measurements (docs/performance.md): Prometheus takes 74 MiB under the
shop's load, Loki 165 MiB for 46 GB of logs a day, Jaeger 255 MiB for 2,260 spans/s into Badger and the collector 200
MiB for them; half of a search engine's limit is heap. Not measured here: Grafana 13.2.3, of which a user published
(rankedvote.app on Render, October 2026) 169 MiB with one data source, 293 MiB under load, and 22 to 38 MB for each
further one, a process of its own; there are two more here. So Grafana has its default from 8 GiB on: its processes
are as many on every host.
"""

from config.catalogue import ROWS
from config.settings.units import MIB

GIB = 1024 * MIB
REFERENCE = 16 * GIB
"""The host that the defaults are made for. On a larger one the limits stay: more is of use only where it is asked for."""
SMALLEST = 4 * GIB


def ceiling(host: int) -> int:
    """What all limits together may come to on a host with so much memory, in bytes."""
    return (host - max(host // 8, GIB)) // MIB * MIB


def limits(host: int) -> dict[str, int]:
    """The limits that differ from those of the reference, and the ceiling; all in bytes."""
    grown = {
        service: max(row.least, row.memory * min(host, row.full_on) // row.full_on // MIB * MIB)
        for service, row in ROWS.items()
        if row.least
    }
    return {"ceiling": ceiling(host), **grown}
