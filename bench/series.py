"""Prometheus by number of series, and beyond its limits: the limit of one target, and its memory limit.

The series are histograms of requests. This process serves them as an application does, and the rules and dashboards
query them.
"""

import itertools
import json
import random
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import requests

from bench import measure
from bench.figures import Row, row
from bench.measured_stack import running
from engine.docker_api import execute
from tests.support.dashboard_queries import queries
from tests.support.deployment import Deployment
from tests.support.outside import gateway
from tests.support.ports import publish
from tests.support.wait import until

TARGETS = 100
"""Services, with one target each."""
TIMES = (1, 3, 10)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0)
"""Bounds of a histogram in seconds, nearly those of OpenTelemetry's SDKs."""
PER_HISTOGRAM = len(BOUNDS) + 3
"""Series of a histogram: the buckets, the `+Inf` bucket, sum and count."""
HISTOGRAMS = 7
"""Histograms of one target at x1: about 100 series."""
METRIC = "http_server_request_duration_seconds"
BLOCK_SERIES = 2_000
BLOCK_HOURS = 2
INTERVAL = 15
LEAST_SAMPLES = 10
SMALL = "4GiB"
"""`memory.host` of the stack whose Prometheus runs out of memory. It has twice the number of targets."""
STEPS = (9, 11, 13, 15, 17, 19)
"""Multiples of `HISTOGRAMS` on the way there."""
KILLED_SECONDS = 60
"""How long the number of series that killed Prometheus is kept up."""
QUERIES = 5
"""How often the dashboard is loaded."""
ACTIVE = "active series"


class Synthetic:
    """The metrics page of an application with a histogram for each route. A third of the routes get requests between
    two scrapes."""

    def __init__(self, histograms: int) -> None:
        self._random = random.Random(histograms)  # noqa: S311 - not a secret; every run has the same values
        self._counts = [[0] * (len(BOUNDS) + 1) for _ in range(histograms)]
        self._sums = [0.0] * histograms

    @property
    def series(self) -> int:
        return len(self._counts) * PER_HISTOGRAM

    def page(self) -> bytes:
        """The page at the next scrape."""
        lines = [f"# TYPE {METRIC} histogram"]
        for route, counts in enumerate(self._counts):
            if self._random.random() < 1 / 3:
                self._asked(route)
            labels = f'http_route="/route/{route}",http_request_method="GET",http_response_status_code="200"'
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), counts, strict=True):
                total += count
                lines.append(f'{METRIC}_bucket{{{labels},le="{bound}"}} {total}')
            lines += [f"{METRIC}_sum{{{labels}}} {self._sums[route]:.6f}", f"{METRIC}_count{{{labels}}} {total}"]
        return "\n".join([*lines, ""]).encode()

    def _asked(self, route: int) -> None:
        for _ in range(self._random.randrange(1, 20)):
            took = self._random.lognormvariate(-3, 1)
            self._counts[route][bisect(BOUNDS, took)] += 1
            self._sums[route] += took


@contextmanager
def served(address: str, count: int = TARGETS) -> Iterator[tuple[list[str], dict[str, Synthetic]]]:
    """Serve pages on `count` ports. Yields the targets (`host:port`), and target → its page, which may be changed."""
    by_target: dict[str, Synthetic] = {}

    class Handler(BaseHTTPRequestHandler):
        pages: ClassVar[dict[str, Synthetic]] = by_target

        def do_GET(self) -> None:
            body = self.pages[self.headers["Host"]].page() if self.headers["Host"] in self.pages else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    servers = [ThreadingHTTPServer((address, 0), Handler) for _ in range(count)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield [f"{address}:{server.server_port}" for server in servers], by_target
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def run(seconds: float, host: str) -> list[Row]:
    """Rows for each multiple; for the disk space of a sample; and for a target with too many series."""
    with running(memory={"host": host}, publish=publish("prometheus")) as stack:
        with served(gateway(stack.client, stack.prefix)) as (targets, by_target):
            stack.config["metrics"] = _services(targets)
            stack.up()
            result = [one for times in TIMES for one in _loaded(stack, targets, by_target, times, seconds)]
            result += _beyond(stack, targets, by_target)
        result += [*_per_series(result), *_on_disk(stack)]
    return result + _until_killed()


def _services(targets: Sequence[str]) -> dict[str, Any]:
    """`metrics` of a stack in which each target is a service."""
    static = [{"service": f"bench-{number}", "targets": [target]} for number, target in enumerate(targets)]
    return {"applications": {"static": static}}


def _loaded(
    stack: Deployment, targets: Sequence[str], by_target: dict[str, Synthetic], times: int, seconds: float
) -> list[Row]:
    by_target.update({target: Synthetic(HISTOGRAMS * times) for target in targets})
    until(lambda: _scraped(stack) == _served(by_target), seconds=120)
    cost = measure.cost({"prometheus": stack.container("prometheus")}, seconds, warm_up=INTERVAL)["prometheus"]
    subject = f"x{times}"
    return [
        row(subject, ACTIVE, "", _value(stack, "prometheus_tsdb_head_series")),
        row(subject, "memory", "MiB", cost.peak_mib),
        row(subject, "of its limit", "%", 100 * cost.peak_mib / cost.limit_mib),
        row(subject, "CPU", "% of a core", 100 * cost.cores),
        row(subject, "golden signals", "% of a core", 100 * _value(stack, _golden_signals(seconds))),
        row(subject, "slowest scrape", "s", _value(stack, 'max(scrape_duration_seconds{job="application"})')),
        row(subject, "overview dashboard", "s", *(_dashboard(stack) for _ in range(QUERIES))),
    ]


def _golden_signals(seconds: float) -> str:
    """PromQL: the part of the time in which the rules of the golden signals are evaluated. One core evaluates them."""
    groups = '{rule_group=~".*/(applications|response-times).yml;.*"}'
    took = f"avg_over_time(prometheus_rule_group_last_duration_seconds{groups}[{seconds:.0f}s])"
    return f"sum({took} / prometheus_rule_group_interval_seconds{groups})"


def _value(stack: Deployment, promql: str) -> float:
    return float(stack.query(promql)[0]["value"][1])


def _dashboard(stack: Deployment) -> float:
    """Seconds for all queries of the overview dashboard over the last hour, one after another."""
    end = time.time()
    start = time.monotonic()
    for query in queries():
        if query.board == "overview" and query.source == "prometheus" and query.json.get("expr"):
            parameters: dict[str, Any] = {"query": query.filled_in(), "start": end - 3600, "end": end, "step": INTERVAL}
            requests.get(
                f"{stack.url('prometheus')}/api/v1/query_range", params=parameters, timeout=60
            ).raise_for_status()
    return time.monotonic() - start


def _per_series(rows: Sequence[Row]) -> list[Row]:
    """Memory for each additional series."""
    medians = {(one.subject, one.figure): one.median for one in rows}
    least, most = f"x{TIMES[0]}", f"x{TIMES[-1]}"
    more = medians[most, "memory"] - medians[least, "memory"]
    return [row("each further series", "memory", "KiB", 1024 * more / (medians[most, ACTIVE] - medians[least, ACTIVE]))]


def _beyond(stack: Deployment, targets: Sequence[str], by_target: dict[str, Synthetic]) -> list[Row]:
    """One target has more than `metrics.limits.samples`: only its own scrape fails."""
    limit = stack.settings.metrics.limits.samples
    by_target[targets[0]] = too_much = Synthetic(limit // PER_HISTOGRAM + 1)
    counted = "prometheus_target_scrapes_exceeded_sample_limit_total"
    until(lambda: stack.query(f"{counted} > 0"), seconds=120)
    until(lambda: stack.query(f'up{{instance="{targets[0]}"}} == 0'))
    subject = f"one target with {too_much.series:,} series"
    return [
        row(subject, "targets down", "", _value(stack, "count(up == 0)")),
        row(subject, "other targets up", "", _value(stack, "sum(up)")),
        row(subject, "scrapes refused by sample_limit", "", _value(stack, counted)),
    ]


def _until_killed() -> list[Row]:
    """Add series until the kernel kills Prometheus. Measures the alerts about it, and how Prometheus recovers once the
    series are gone."""
    with (
        running(memory={"host": SMALL}, publish=publish("prometheus")) as stack,
        served(gateway(stack.client, stack.prefix), 2 * TARGETS) as (targets, by_target),
    ):
        stack.config["metrics"] = _services(targets)
        stack.up()
        result = _filled(stack, targets, by_target)
        time.sleep(KILLED_SECONDS)
        kills = _killed(stack)
        by_target.update({target: Synthetic(HISTOGRAMS) for target in targets})
        begun = time.monotonic()
        until(lambda: _scraped(stack) == _served(by_target), seconds=300)
        took = time.monotonic() - begun
        alerts = until(lambda: stack.query('count(ALERTS{alertname="ContainerOomKilled",alertstate="firing"})'))
        subject = "one step more"
        return [
            *result,
            row(subject, "kills within a minute", "", kills),
            row(subject, "all is scraped, once there are less", "s", took),
            row(subject, "alerts that tell of it then", "", float(alerts[0]["value"][1])),
        ]


def _filled(stack: Deployment, targets: Sequence[str], by_target: dict[str, Synthetic]) -> list[Row]:
    """Rows of the last step that Prometheus survives. The next one kills it."""
    result: list[Row] = []
    for times in STEPS:
        by_target.update({target: Synthetic(HISTOGRAMS * times) for target in targets})
        until(lambda: _killed(stack) or _scraped(stack) == _served(by_target), seconds=120)
        cost = measure.cost({"prometheus": stack.container("prometheus")}, 2 * INTERVAL)["prometheus"]
        if _killed(stack):
            return result
        subject = f"the most that a host of {SMALL} holds"
        result = [
            row(subject, ACTIVE, "", _value(stack, "prometheus_tsdb_head_series")),
            row(subject, "memory", "MiB", cost.peak_mib),
            row(subject, "of its limit", "%", 100 * cost.peak_mib / cost.limit_mib),
            row(subject, "CPU", "% of a core", 100 * cost.cores),
            row(subject, "overview dashboard", "s", *(_dashboard(stack) for _ in range(QUERIES))),
        ]
    raise RuntimeError(f"{_served(by_target):,} series have not filled the memory of a host of {SMALL}: add a step")


def _killed(stack: Deployment) -> int:
    """How often the engine has restarted Prometheus."""
    return int(stack.container("prometheus").attrs["RestartCount"])


def _scraped(stack: Deployment) -> float:
    """Series of the targets at their last scrape; 0 if Prometheus does not answer."""
    try:
        answer = stack.query('sum(scrape_samples_scraped{job="application"} and up == 1)')
    except requests.RequestException:
        return 0
    return float(answer[0]["value"][1]) if answer else 0


def _served(by_target: Mapping[str, Synthetic]) -> int:
    """Series that the targets serve."""
    return sum(one.series for one in by_target.values())


def continued(values: Sequence[float], steps: int) -> list[float]:
    """Extend `values` to `steps` values. A counter continues with the same increments, anything else runs back and
    forth.

    Example: `[1, 2, 4], 5` → `[1, 2, 4, 5, 7]`; `[3, 1, 2], 5` → `[3, 1, 2, 1, 3]`.
    """
    grows = all(earlier <= later for earlier, later in itertools.pairwise(values))
    last, more = len(values) - 1, values[-1] - values[0]
    result = []
    for step in range(steps):
        turn, at = divmod(step, last)
        result.append(values[at] + turn * more if grows else values[at if turn % 2 == 0 else last - at])
    return [round(value, 9) for value in result]


def _on_disk(stack: Deployment) -> list[Row]:
    """Bytes of a block for each sample in it, with the index. The stack's own series of the last minutes are extended
    to two hours, and promtool makes a block of them."""
    steps = BLOCK_HOURS * 3600 // INTERVAL
    begin = int(time.time()) // 7200 * 7200 - BLOCK_HOURS * 3600
    own = [
        one
        for one in stack.query('{__name__=~".+",job!="application"}[4m]')
        if len(one.get("values", ())) >= LEAST_SAMPLES
    ]  # native histograms have no values
    own = own[:: max(1, len(own) // BLOCK_SERIES)]
    of_metric: dict[str, list[str]] = {}
    for one in own:
        labels = dict(one["metric"])
        name = labels.pop("__name__")
        series = f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}"
        values = continued([float(value) for _, value in one["values"]], steps)
        of_metric.setdefault(name, []).extend(
            f"{series} {value!r} {begin + step * INTERVAL}" for step, value in enumerate(values)
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples"
        with file.open("w") as out:
            for name, lines in of_metric.items():
                out.write(f"# TYPE {name} unknown\n" + "\n".join(lines) + "\n")
            out.write("# EOF\n")
        return [row("block of two hours", "bytes per sample", "", _block(stack, file) / (len(own) * steps))]


def _block(stack: Deployment, file: Path) -> int:
    """Size in bytes of the block that promtool makes from `file`.

    Raises:
        RuntimeError: promtool fails.
    """
    maker: Any = stack.client.containers.create(
        stack.settings.image("prometheus"),
        entrypoint=["sleep", "600"],
        user="0",
        volumes={str(file.parent): {"bind": "/samples", "mode": "ro"}},
    )
    try:
        maker.start()
        build = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "/samples/samples", "/tmp/blocks"]  # noqa: S108
        for command in (build, ["du", "-sk", "/tmp/blocks"]):  # noqa: S108 - inside the container
            code, out = execute(maker, command)
            if code:
                raise RuntimeError(out)
        return int(out.split()[0]) * 1024
    finally:
        maker.remove(force=True, v=True)
