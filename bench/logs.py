"""Log shipper and Loki by volume of logs: at rest, at 10 GB a day, at three and ten times that, and at more than gets
through. Then Loki with more than its rate limit."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from bench import measure
from bench.figures import Row, row
from bench.measured_stack import running
from config.sizes import MIB
from tests.support.deployment import Deployment
from tests.support.ports import publish
from tests.support.shop import Shop
from tests.support.wait import until

SERVICES = 5
DAY_SECONDS = 86_400
GB_A_DAY = 10**9 / DAY_SECONDS
"""The rate of 1 GB a day, in bytes per second."""
WARM_UP_SECONDS = 15

LOADS = {"at rest": 0, "x1: 10 GB a day": 10, "x3": 30, "x10": 100, "x40": 400}
"""Name of a load → GB per day that are written. The rows say how much arrives."""
FUSE = {"lines": 100_000, "burst": 1_000_000}
"""Limits of the shipper, raised: by default it would drop most of this load."""

# JSON lines of about 220 bytes, like those of a web service. They are written every tenth of a second.
WRITE = r"""
awk -v per_tick="$1" 'BEGIN {
  srand()
  for (;;) {
    while (owed >= 1) {
      roll = rand()
      level = roll < .05 ? "debug" : roll < .95 ? "info" : roll < .99 ? "warn" : "error"
      printf "{\"level\":\"%s\",\"msg\":\"request served\",\"method\":\"GET\",\"route\":\"/orders/{id}\",\"status\":%d," \
        "\"duration_ms\":%.2f,\"order\":%d,\"trace_id\":\"%08x%08x%08x%08x\",\"span_id\":\"%08x%08x\"}\n", \
        level, level == "error" ? 500 : 200, rand() * 300, rand() * 1e6, \
        rand() * 2147483647, rand() * 2147483647, rand() * 2147483647, rand() * 2147483647, rand() * 2147483647, rand() * 2147483647
      owed--
    }
    fflush(); system("sleep 0.1"); owed += per_tick
  }
}'
"""
LINE_BYTES = 205
RATE = "1MiB"
"""Rate limit of Loki per second (`logs.limits.rate`) in the last step. A busy machine may not reach the default of 16
MiB."""
PUSHED = 64
"""MiB that are pushed at once."""
CALM_LINES = 20
"""Most lines within two seconds that count as calm."""
TOLD = 20
"""Lines that another service writes meanwhile, one every half second."""


def run(shipper: str, seconds: float, *, loads: bool) -> list[Row]:
    """Rows for each load, unless `loads` is false, and for more than Loki's rate limit."""
    logs: dict[str, Any] = {"shipper": shipper, "fuse": FUSE, "system": "off"}
    with running(logs=logs, publish=publish("prometheus", "loki")) as stack:
        wanted = LOADS.items() if loads else ()
        result = [one for load, gb in wanted for one in _loaded(stack, shipper, load, gb, seconds)]
        # Promtail still reads old lines of removed containers, faster than new lines come.
        until(lambda: _calm(stack), seconds=300)
        stack.config["logs"] = {**logs, "limits": {"rate": RATE}}
        stack.up()
        return result + _beyond(stack, shipper)


@contextlib.contextmanager
def _written(stack: Deployment, gb_a_day: float) -> Iterator[None]:
    with Shop(stack.client, f"{stack.prefix}-shop") as shop:
        per_tick = gb_a_day * GB_A_DAY / SERVICES / LINE_BYTES / 10
        for number in range(SERVICES if per_tick else 0):
            command = ["sh", "-c", WRITE, "sh", f"{per_tick:.4f}"]
            shop.start(f"service{number}", stack.config["images"]["busybox"], command)
        yield


def _loaded(stack: Deployment, shipper: str, load: str, gb_a_day: float, seconds: float) -> list[Row]:
    containers = {service: stack.container(service) for service in ("loki", shipper)}
    with _written(stack, gb_a_day):
        time.sleep(WARM_UP_SECONDS)
        before, start = _counted(stack), time.monotonic()
        costs = measure.cost(containers, seconds)
        took = time.monotonic() - start
        came = {name: (value - before[name]) / took for name, value in _counted(stack).items()}
    of_shipper, of_loki = costs[shipper], costs["loki"]
    subject = f"{shipper}, {load}"
    result = [
        row(subject, "arrived", "MiB/s", came["bytes"] / MIB),
        row(subject, "lines", "per s", came["lines"]),
        row(subject, "shipper CPU", "% of a core", 100 * of_shipper.cores),
        row(subject, "shipper memory", "MiB", of_shipper.peak_mib),
        row(subject, "Loki CPU", "% of a core", 100 * of_loki.cores),
        row(subject, "Loki memory", "MiB", of_loki.peak_mib),
    ]
    if gb_a_day:
        result.append(row(subject, "shipper", "MiB/s per core", came["bytes"] / MIB / of_shipper.cores))
    return result


def _counted(stack: Deployment) -> dict[str, float]:
    """Loki's counters since its start: bytes and lines received, and lines refused because of the rate limit."""
    page = requests.get(stack.url("loki") + "/metrics", timeout=10).text.splitlines()

    def total(name: str) -> float:
        return sum(float(line.rsplit(" ", 1)[1]) for line in page if line.startswith(f"{name}{{"))

    return {
        "bytes": total("loki_distributor_bytes_received_total"),
        "lines": total("loki_distributor_lines_received_total"),
        "refused": sum(
            float(line.rsplit(" ", 1)[1])
            for line in page
            if line.startswith("loki_discarded_samples_total{") and "rate_limited" in line
        ),
    }


def _calm(stack: Deployment) -> bool:
    """Whether only the stack's own lines arrive."""
    before = _counted(stack)["lines"]
    time.sleep(2)
    return _counted(stack)["lines"] - before < CALM_LINES


def _beyond(stack: Deployment, shipper: str) -> list[Row]:
    """Push more than Loki's rate limit. Lines that a container writes meanwhile must still arrive through the
    shipper."""
    before = _counted(stack)["refused"]
    with Shop(stack.client, f"{stack.prefix}-shop") as shop, ThreadPoolExecutor(8) as pool:
        shop.start(
            "calm",
            stack.config["images"]["busybox"],
            ["sh", "-c", f"for n in $(seq {TOLD}); do echo calm $n; sleep 0.5; done; sleep 600"],
        )
        answers = list(pool.map(lambda number: _push(stack, number), range(PUSHED)))

        def found() -> int:
            query = {"query": f'{{service="{shop.name}-calm"}}', "limit": "100", "since": "10m"}
            answer = requests.get(f"{stack.url('loki')}/loki/api/v1/query_range", params=query, timeout=10).json()
            return sum(len(stream["values"]) for stream in answer["data"]["result"])

        until(lambda: found() == TOLD, seconds=120)
    subject = f"{shipper}, {PUSHED} MiB pushed at once, {RATE}/s allowed"
    return [
        row(subject, "answered 429", "pushes of 1 MiB", answers.count(429)),
        row(subject, "counted as rate_limited", "lines", _counted(stack)["refused"] - before),
        row(subject, "found of a calm service", f"of {TOLD} lines", TOLD),
    ]


def _push(stack: Deployment, number: int) -> int:
    now = time.time_ns()
    lines = [[str(now + line), f"{number} {line} " + "x" * 1000] for line in range(1024)]
    body = {
        "streams": [{"stream": {"service": f"pusher{number % 8}", "level": "info", "source": "bench"}, "values": lines}]
    }
    return requests.post(f"{stack.past_front('loki')}/loki/api/v1/push", json=body, timeout=60).status_code
