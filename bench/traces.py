"""The collector and Jaeger by rate of spans, with the default tail sampling, and with more than a small host can take.

The load comes from telemetrygen, the generator of the OpenTelemetry project. It runs on the host, so its CPU is not
counted.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench import measure
from bench.figures import Row, row
from bench.measured_stack import running
from check import pages
from tests.support.deployment import Deployment
from tests.support.ports import publish
from toolchain import golang

GENERATOR = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"
LOADS = {"at rest": 0, "x1: 1,000 spans/s": 1000, "x3": 3000, "x10": 10_000}
"""Name of a load → spans per second that are intended. The rows say how many arrive."""
BEYOND = 10_000
SMALL = "4GiB"
SPANS = 10
"""Spans of a trace: a request through a handful of services, with their databases."""
ATTRIBUTES = [f'--telemetry-attributes=attribute.{number}="a text of middle length"' for number in range(18)]
"""With the two that the generator always sets, a span has twenty, as in the collector's published figures."""
FAILED = 0.02
"""Share of traces that are errors. All of these are kept, and a tenth of the rest."""
WORKERS = 4
"""Workers of the generator. A single one does not reach its rate."""
WARM_UP_SECONDS = 30
"""After this, traces are decided as fast as they arrive: it is twice the default waiting time."""


def run(seconds: float) -> list[Row]:
    """Rows for each load."""
    listens = publish("prometheus", "otlp_grpc", "jaeger")
    with running(publish=listens) as stack:
        result = [one for load, spans in LOADS.items() for one in _loaded(stack, load, spans, seconds)]
        stack.config["memory"] = {"host": SMALL}
        stack.up()
        return result + _beyond(stack, seconds)


def _loaded(stack: Deployment, load: str, spans: int, seconds: float) -> list[Row]:
    containers = {service: stack.container(service) for service in ("otel_collector", "jaeger")}
    with _load(stack.config["publish"]["otlp_grpc"], spans):
        time.sleep(WARM_UP_SECONDS if spans else 0)
        before, start = _counted(stack), time.monotonic()
        costs = measure.cost(containers, seconds)
        took = time.monotonic() - start
        came = {name: (value - before[name]) / took for name, value in _counted(stack).items()}
    collector, jaeger = costs["otel_collector"], costs["jaeger"]
    result = [
        row(load, "received", "spans/s", came["received"]),
        row(load, "kept", "spans/s", came["kept"]),
        row(load, "CPU", "% of a core", 100 * collector.cores),
        row(load, "memory", "MiB", collector.peak_mib),
        row(load, "limit", "MiB", collector.limit_mib),
        row(load, "Jaeger CPU", "% of a core", 100 * jaeger.cores),
        row(load, "Jaeger memory", "MiB", jaeger.peak_mib),
        row(load, "refused", "spans/s", came["refused"]),
        row(load, "dropped too early", "traces/s", came["dropped too early"]),
    ]
    if spans:
        result.insert(2, row(load, "per core", "spans/s", came["received"] / collector.cores))
    return result


def _beyond(stack: Deployment, seconds: float) -> list[Row]:
    """Send more than a small host's limit of waiting traces. The excess is refused and counted; the collector and all
    others keep running."""
    load = f"{BEYOND:,} spans/s on a host of {SMALL}"
    result = _loaded(stack, load, BEYOND, seconds)
    state = stack.container("otel_collector").attrs
    return [
        *result,
        row(load, "restarts", "", state["RestartCount"]),
        row(load, "targets down", "", len(stack.query("up == 0"))),
    ]


@contextmanager
def _load(endpoint: str, spans: int) -> Iterator[None]:
    """Send `spans` per second while the context lasts."""
    program = golang.tool("telemetrygen", GENERATOR)
    running = []
    for status, share in (("Unset", 1 - FAILED), ("Error", FAILED)) if spans else ():
        workers = WORKERS if share > FAILED else 1
        options = {
            "otlp-endpoint": endpoint,
            "duration": "inf",
            "service": f"bench-{status.lower()}",
            "status-code": status,
            "child-spans": SPANS - 1,
            "rate": spans * share / workers,
            "workers": workers,
        }
        command = [str(program), "traces", "--otlp-insecure", *ATTRIBUTES]
        command += [f"--{name}={value}" for name, value in options.items()]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        yield
        if ended := [process.args for process in running if process.poll() is not None]:
            raise RuntimeError(f"the generator has given up, so nothing was measured: {ended}")
    finally:
        for process in running:
            process.terminate()
            process.wait()


def _counted(stack: Deployment) -> Mapping[str, float]:
    """The collector's counters of spans and traces."""
    names = {
        "received": "otelcol_receiver_accepted_spans_total",
        "refused": "otelcol_receiver_refused_spans_total",
        "kept": "otelcol_exporter_sent_spans_total",
        "dropped too early": "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total",
    }
    settings = stack.settings
    return {name: pages.metric(stack.client, settings, "otel_collector", metric) for name, metric in names.items()}
