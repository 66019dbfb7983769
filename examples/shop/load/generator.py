"""Sends the requests of a profile. Each is sent when it is due, even if earlier ones are not answered yet."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from examples.shop.load.faults import HEADER, Fault
from examples.shop.load.profiles import LOGIN, ORDER, Phase, Profile, Route, in_turn, planned
from examples.shop.load.report import NO_ANSWER, NOT_SENT, PhaseReport, Report, Sample, summed_up

USER = {"user": "ada", "password": "lovelace-1815"}
"""The first user in the shop's database."""
AT_ONCE = 64
"""Requests in parallel. Others wait, and the waiting counts as latency."""
LATE_SECONDS = 2
"""How long requests may still wait for their turn after the last phase. Later ones are not sent."""
TIMEOUT_SECONDS = 10
"""Timeout for connecting, and for each pause within an answer. A run ends at most about this long after its last
phase."""


class ShopNotReadyError(Exception):
    """The shop does not answer, or not as expected. The message says what to do."""


class Generator:
    """A run of load against the shop at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy for loopback
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=AT_ONCE))

    def run(self, profile: Profile, *, on_phase: Callable[[str], None] = lambda _: None) -> Report:
        """Send all requests of `profile` and return the report. `on_phase` gets a line of text at the start of each phase.

        Raises:
            ShopNotReadyError: the shop is not ready. Nothing was counted yet.
        """
        self._prepare()
        phases: list[PhaseReport] = []
        calls: list[tuple[Sample, Future[Sample]]] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for phase in profile.phases:
                on_phase(f"{phase.name}: {phase.requests} requests in {phase.seconds:.0f} s")
                started = datetime.now(UTC)
                calls += self._send(phase, pool)
                phases.append(PhaseReport(name=phase.name, started=started, ended=datetime.now(UTC)))
            wait([future for _, future in calls], LATE_SECONDS)
            pool.shutdown(wait=False, cancel_futures=True)
        return summed_up(profile.name, self.url, phases, (_result(future, unsent) for unsent, future in calls))

    def _prepare(self) -> None:
        """Log in, and read the products."""
        try:
            self._token = self._asked("POST", "/login", json=USER)["token"]
            self._products = in_turn({product["id"]: 1.0 for product in self._asked("GET", "/products")["products"]})
        except (KeyError, TypeError, ValueError) as error:
            raise ShopNotReadyError(f"{self.url} answers, but not as the shop does: {error!r}") from None

    def _asked(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._session.request(method, self.url + path, timeout=TIMEOUT_SECONDS, **more)
        except requests.RequestException as error:
            reason = type(error).__name__
            raise ShopNotReadyError(
                f"no answer from the shop at {self.url} ({reason}): deploy it with `make shop`, or say where it is by --url"
            ) from None
        if not answer.ok:
            raise ShopNotReadyError(
                f"the shop at {self.url} answers {method} {path} with {answer.status_code}: `docker logs` of its services say why"
            )
        return answer.json()

    def _send(self, phase: Phase, pool: ThreadPoolExecutor) -> list[tuple[Sample, Future[Sample]]]:
        """Send the requests of a phase. Returns when the phase is over; some requests may still be in progress."""
        begun, calls = time.monotonic(), []
        for number, (route, fault) in enumerate(planned(phase)):
            due = begun + number / phase.rate
            time.sleep(max(0.0, due - time.monotonic()))
            unsent = Sample(phase.name, route.name, fault, NOT_SENT, 0)
            calls.append((unsent, pool.submit(self._one, phase.name, route, fault, next(self._products), due)))
        time.sleep(max(0.0, begun + phase.seconds - time.monotonic()))
        return calls

    def _one(self, phase: str, route: Route, fault: Fault | None, product: Any, due: float) -> Sample:
        headers = {HEADER: str(fault)} if fault else {}
        if route.logged_in:
            headers["Authorization"] = f"Bearer {self._token}"
        body = {LOGIN: USER, ORDER: {"product": product, "quantity": 1}}.get(route)
        try:
            answer = self._session.request(
                route.method,
                self.url + route.path.format(id=product),
                json=body,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException:
            return Sample(phase, route.name, fault, NO_ANSWER, time.monotonic() - due)
        seconds = time.monotonic() - due
        order = None
        if answer.ok and route is LOGIN:
            self._token = answer.json()["token"]  # set before the old one expires
        elif answer.ok and route is ORDER:
            order = str(answer.json()["order"])
        trace_id = answer.headers.get("X-Trace-Id")
        return Sample(phase, route.name, fault, str(answer.status_code), seconds, trace_id, order)


def _result(future: Future[Sample], unsent: Sample) -> Sample:
    try:
        return future.result()
    except CancelledError:
        return unsent
