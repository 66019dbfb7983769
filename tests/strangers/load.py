"""Requests to many services at once, at a steady and known rate."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import requests

RATE = 5
"""Requests per second to each service."""
FAILING_EACH = 5
"""Every so many-th request to a service that fails asks for its failure."""
NO_ANSWER = 0
"""Instead of a status."""


@dataclass(frozen=True)
class Request:
    """One that was sent."""

    at: float
    """In seconds since 1970."""
    status: int
    seconds: float
    late: float
    """Seconds for which a busy machine let the load generator wait for its turn: about as much of `seconds` is not the
    service's."""


@dataclass
class Load:
    """`with Load(urls, failing) as load`: from now until the end. `urls` are by service, `failing` are the services that get
    requests which fail."""

    urls: Mapping[str, str]
    failing: frozenset[str]
    _requests: dict[str, list[Request]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._requests = {service: [] for service in self.urls}
        self._threads = [threading.Thread(target=self._send, args=(service,), daemon=True) for service in self.urls]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def of(self, service: str, since: float, until: float) -> list[Request]:
        """The requests to a service that were sent between two moments."""
        return [request for request in self._requests[service] if since <= request.at < until]

    def _send(self, service: str) -> None:
        """One after another: a request that takes long makes the next ones late, and they follow at once."""
        begun, number = time.monotonic(), 0
        with requests.Session() as session:
            session.trust_env = False  # no proxy for this machine
            while not self._over.wait(early := max(0.0, begun + number / RATE - time.monotonic())):
                late = max(0.0, time.monotonic() - begun - number / RATE) if early else 0.0
                number += 1
                path = "/fail" if service in self.failing and number % FAILING_EACH == 0 else "/"
                at = time.time()
                try:
                    status = session.get(self.urls[service] + path, timeout=30).status_code
                except requests.RequestException:
                    status = NO_ANSWER
                self._requests[service].append(Request(at, status, time.time() - at, late))
