"""python -m bench: measure on this machine what a stack costs. Ratios carry over to other machines better than
the figures.

Each part saves its figures in docs/performance/, and writes docs/performance.md from all saved figures.
"""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from bench import (
    actions,
    figures,
    freshness,
    logs,
    many_containers,
    many_edges,
    memory,
    performance_page,
    series,
    slos,
    traces,
)
from bench.figures import Row
from tests.support import machine
from toolchain import images
from toolchain.report import console, readable_errors

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Seconds = Annotated[float, typer.Option(help="For each load.")]


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Each command measures one part. Without a command, all parts are measured."""
    if not context.invoked_subcommand:
        bench_actions()
        bench_memory()
        bench_freshness()
        bench_series()
        bench_logs()
        bench_traces()
        bench_containers()
        bench_edges()
        bench_slos()


def _keep(part: str, rows: Iterable[Row]) -> None:
    rows, words = list(rows), " ".join(sys.argv[1:])
    command = f'make bench ONLY="{words}"' if words else "make bench"
    figures.save(part, rows, command, machine.client(), images.local_images())
    performance_page.write()
    console.print(performance_page.table(performance_page.TITLES[part], rows))


@app.command("actions")
def bench_actions(
    rounds: Annotated[int, typer.Option(help="Of each side.")] = 3,
    *,
    add: Annotated[bool, typer.Option("--add", help="Rounds, to those that are kept.")] = False,
) -> None:
    """What a user does, compared with `docker compose` for the same images and files."""
    rows = actions.run(rounds)
    _keep("actions", figures.load("actions").added(rows) if add else rows)


@app.command("memory")
def bench_memory(
    hosts: Annotated[str, typer.Option(help="Values of memory.host, comma-separated.")] = "4GiB,8GiB,16GiB",
    seconds: Seconds = 60,
) -> None:
    """Memory and CPU of every container, at rest and while the shop is used."""
    _keep("memory", memory.run(hosts.split(","), seconds))


@app.command("freshness")
def bench_freshness() -> None:
    """Time from a log line, a span or a sample until it is visible."""
    _keep("freshness", freshness.run())


@app.command("series")
def bench_series(
    seconds: Seconds = 45, host: Annotated[str, typer.Option(help="memory.host of the stack.")] = "8GiB"
) -> None:
    """Prometheus by number of active series; a target with too many series; bytes per sample."""
    _keep("series", series.run(seconds, host))


@app.command("logs")
def bench_logs(
    seconds: Seconds = 45,
    shippers: Annotated[str, typer.Option(help="Comma-separated.")] = "alloy,promtail",
    *,
    loads: Annotated[bool, typer.Option(help="Or only what is beyond Loki's rate.")] = True,
) -> None:
    """Log shipper and Loki by volume of logs; more than Loki's rate limit."""
    for shipper in shippers.split(","):
        _keep("logs", logs.run(shipper, seconds, loads=loads))


@app.command("traces")
def bench_traces(seconds: Seconds = 45) -> None:
    """Collector with tail sampling, and Jaeger, by rate of spans; more than a small host can take."""
    _keep("traces", traces.run(seconds))


@app.command("containers")
def bench_containers(seconds: Seconds = 45) -> None:
    """The services that watch containers, by number of containers on the host."""
    _keep("containers", many_containers.run(seconds))


@app.command("edges")
def bench_edges(
    seconds: Seconds = 60,
    counts: Annotated[str, typer.Option(help="Numbers of edges, ascending, comma-separated.")] = "1,10,25,50",
) -> None:
    """A centre by the number of its edges: metrics, logs and traces of each, by its door."""
    _keep("edges", many_edges.run(seconds, [int(count) for count in counts.split(",")]))


@app.command("slos")
def bench_slos() -> None:
    """Prometheus by the rules of twenty SLOs."""
    _keep("slos", slos.run())


@app.command("report")
def bench_report() -> None:
    """Write docs/performance.md and its plots from the saved figures."""
    performance_page.write()


if __name__ == "__main__":
    with readable_errors():
        app()
