"""Networks of a stack, and the addresses in the one between the services that store data and your containers.

A service that is also in your networks would look up names in both, and any container there may choose its name. So in
the network between, each service has an address that is known before it starts, and listens only on that one.
"""

import ipaddress
from dataclasses import dataclass
from hashlib import sha256

from config.catalogue import MOST_SERVERS, ROWS, place_of, row_of

_FIRST = 2  # the first is the engine's own
_FIRST_EXPORTER = min(row.edge_address for row in ROWS.values() if row.board and row.edge_address is not None)
_MORE = 30
"""Index of the first address of exporters that are not their kind's first. They lie in the upper half, of which the
engine needs few."""
SIZE = 26
"""Bits of the network's part: 62 addresses. The upper half is for containers without a fixed address (a probe of the check)."""
_POOL = ipaddress.IPv4Network("198.18.0.0/15")
"""For measurements between networks (RFC 2544), so that neither a provider nor Docker gives addresses out of it."""


def own_networks(prefix: str) -> tuple[str, str, str, str]:
    """Names of the networks that the stack creates: `inside`, `edge`, the one for your containers, and `door`, which only a
    stack with `actions` has."""
    return prefix, f"{prefix}-edge", f"{prefix}-apps", f"{prefix}-door"


@dataclass(frozen=True)
class Edge:
    """The network `<prefix>-edge`."""

    name: str
    subnet: ipaddress.IPv4Network

    def address(self, service: str) -> str:
        """Address of a service in this network.

        Raises:
            KeyError: the service is not in this network (`config/catalogue.py`).
        """
        first, more = row_of(service).edge_address, place_of(service)
        if first is None:
            raise KeyError(service)
        # The place in the list decides, not the name: so a container that takes another's address also takes its name,
        # and is made after the other has gone.
        place = _MORE + (MOST_SERVERS - 1) * (first - _FIRST_EXPORTER) + more - 1 if more else first
        return str(self.subnet[_FIRST + place])

    @property
    def given_out(self) -> str:
        """The range from which the engine assigns addresses."""
        return str(list(self.subnet.subnets(prefixlen_diff=1))[1])


def subnet_of(prefix: str) -> ipaddress.IPv4Network:
    """One of the pool's 2048 subnets, chosen by the stack's prefix: two stacks on one engine collide once in 2048
    cases."""
    number = int.from_bytes(sha256(prefix.encode()).digest()[:4]) % 2 ** (SIZE - _POOL.prefixlen)
    first = int(_POOL.network_address) + number * 2 ** (32 - SIZE)
    return ipaddress.IPv4Network((first, SIZE))
