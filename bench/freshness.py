"""Time until an event is visible, with the default intervals."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import requests
import yaml

from bench.figures import Row, row
from bench.measured_stack import PRODUCTION, created
from tests.support.deployment import Deployment
from tests.support.outside import Outside, gateway
from tests.support.ports import publish
from tests.support.shop import Shop
from tests.support.tracing import Application, exists, trace_id

TIMES = 12
"""Number of log lines, and of spans."""
ALERTS = 6
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 150
SECONDS = "until found"

# Pauses of different lengths, so that lines fall anywhere within the intervals of shipper and reader.
WRITE = "for n in $(seq {times}); do echo probe $n; sleep $((2 + n % 3)).$n; done; sleep 600"


def run() -> list[Row]:
    """Rows with the seconds of each path. Paths that do not disturb each other are measured in parallel."""
    rules = [
        {"alert": f"Bench{number}", "expr": f'bench{{n="{number}"}} > 0', "labels": {"severity": "warning"}}
        for number in range(ALERTS)
    ]
    listens = publish("prometheus", "alertmanager", "loki", "otlp_http", "jaeger")
    config: dict[str, Any] = {**PRODUCTION, "publish": listens, "alerts": {"rule_files": ["bench.yml"]}}
    with created(**config) as stack, ExitStack() as end:
        (stack.folder / "bench.yml").write_text(yaml.safe_dump({"groups": [{"name": "bench", "rules": rules}]}))
        # First only the network, because the receiver listens in it.
        stack.up("--target", f"urn:pulumi:{stack.stack}::nervous-system::docker:index/network:Network::network")
        outside = end.enter_context(Outside(gateway(stack.client, stack.prefix), metrics=_page(0)))
        stack.config["metrics"] = {"applications": {"static": [{"service": "bench", "targets": [outside.host_port]}]}}
        stack.secret("slack_webhook", outside.url("/slack"))
        stack.up()
        with ThreadPoolExecutor(3) as pool:
            alerts, spans, lines = pool.submit(_alerts, outside), pool.submit(_spans, stack), pool.submit(_lines, stack)
            return [
                row("log line written → found in Loki", SECONDS, "s", *lines.result()),
                row("span ended → trace found in Jaeger", SECONDS, "s", *spans.result()),
                row("sample exposed → alert at the webhook", SECONDS, "s", *alerts.result()),
            ]


def _seen(look: Callable[[], Iterator[str]], begun: dict[str, float], enough: Callable[[], bool]) -> list[float]:
    """Poll until everything in `begun` is seen and `enough` says that no more will come. Returns how long each took, in
    seconds.

    `begun`: name → time it began, in seconds since 1970. `look` yields the names that are visible now.

    Raises:
        RuntimeError: something is not seen within `PATIENCE_SECONDS`.
    """
    took: dict[str, float] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not enough() or begun.keys() - took.keys():
        for name in look():
            if name in begun and name not in took:
                took[name] = time.time() - begun[name]
        if time.monotonic() > deadline:
            raise RuntimeError(f"never seen: {sorted(begun.keys() - took.keys())}")
        time.sleep(POLL_SECONDS)
    return list(took.values())


def _lines(stack: Deployment) -> list[float]:
    """Seconds from a log line's timestamp until Loki finds it. The engine sets the timestamp, from the clock of this
    host."""
    begun: dict[str, float] = {}
    with Shop(stack.client, f"{stack.prefix}-lines") as shop:
        start = time.time_ns()
        shop.start("writer", stack.config["images"]["busybox"], ["sh", "-c", WRITE.format(times=TIMES)])

        def look() -> Iterator[str]:
            query = {"query": f'{{service="{shop.name}-writer"}}', "start": str(start), "limit": "100"}
            answer = requests.get(f"{stack.url('loki')}/loki/api/v1/query_range", params=query, timeout=10)
            for stream in answer.json()["data"]["result"]:
                for at, text in stream["values"]:
                    begun.setdefault(text, int(at) / 1e9)
                    yield text

        return _seen(look, begun, lambda: len(begun) == TIMES)


def _spans(stack: Deployment) -> list[float]:
    """Seconds from the end of a span until its trace is found. The spans are failed ones, which are all kept, and are
    sent at once. The time that an SDK waits before it sends (5 s by default) comes on top."""
    begun: dict[str, float] = {}
    with Application("bench", stack.url("otlp_http")) as application, ThreadPoolExecutor(1) as pool:

        def send() -> None:
            for number in range(TIMES):
                span = application.span("GET /bench", 20, error=True)
                begun[trace_id(span)] = time.time()
                application.flush()
                time.sleep(1 + number % 3 / 2)

        sender = pool.submit(send)
        traces: set[str] = set()

        def look() -> Iterator[str]:
            for name in list(begun.keys() - traces):
                if exists(stack, name):
                    traces.add(name)
                    yield name

        return _seen(look, begun, sender.done)


def _alerts(outside: Outside) -> list[float]:
    """Seconds from a sample until its alert reaches the webhook. Each alert is a separate group, and waits
    `group_wait`. The rules have no `for`."""
    begun: dict[str, float] = {}
    with ThreadPoolExecutor(1) as pool:

        def expose() -> None:
            for number in range(ALERTS):
                time.sleep(7)  # not a divisor of 15, the interval in seconds
                outside.metrics = _page(number + 1)
                begun[f"Bench{number}"] = time.time()

        exposed = pool.submit(expose)
        names = [f"Bench{number}" for number in range(ALERTS)]
        return _seen(lambda: iter([name for name in names if outside.messages_about(name)]), begun, exposed.done)


def _page(firing: int) -> str:
    """The metrics page of the application, on which the first `firing` alerts fire."""
    return "".join(f'bench{{n="{number}"}} {int(number < firing)}\n' for number in range(ALERTS))
