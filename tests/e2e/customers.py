"""Customers of the shop, as long as a test needs them."""

import threading
from dataclasses import dataclass, field
from typing import Self

from examples.shop.load.generator import Generator
from examples.shop.load.profiles import Phase, Profile
from examples.shop.load.report import NOT_SENT, Report


@dataclass
class Customers:
    """`with Customers(url, rate)`: so many requests per second, from now until the end."""

    url: str
    rate: float
    reports: list[Report] = field(default_factory=list)
    """One for every few seconds that are over."""

    def __enter__(self) -> Self:
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._come_and_go, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self._thread.join()

    def _come_and_go(self) -> None:
        generator, profile = Generator(self.url), Profile("customers", "", (Phase("customers", 3, self.rate),))
        while not self._gone.is_set():
            self.reports.append(generator.run(profile))

    @property
    def orders(self) -> set[str]:
        """Trace ids of what was ordered."""
        return {order.trace_id for report in self.reports for order in report.orders}

    @property
    def answers(self) -> set[str]:
        """Statuses of all requests but those that a busy machine did not send any more when their seconds were over."""
        statuses = {status for report in self.reports for status in report.phase("customers").statuses}
        return statuses - {NOT_SENT}
