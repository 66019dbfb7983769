"""A centre and an edge on two hosts: the link is cut, either host loses its power, the edge's credential is stolen."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests

from drills.centre_and_edge import COUNTED, NAME, SERIES, CentreAndEdge, Numbers, OnBoth, number, order
from drills.frame import Drill
from drills.ground import DECISION_SECONDS, PATIENCE_SECONDS, reached
from tests.support.edge_requests import PROTOBUF, push_request, write_request

AWAY_SECONDS, CUT_SECONDS = 60, 600
"""Length of a fault of a host, and of one of the link."""
CATCH_UP_SECONDS = 300
UNSENT_SECONDS = 8
"""Samples of this time before an edge is killed may be lost: a sample waits up to five seconds for its request
(`batch_send_deadline`), and is then on its way."""
SCRAPE_SECONDS = 2


@dataclass(frozen=True)
class Fault:
    """A fault of one of the two hosts, or of the link."""

    name: str
    cause: str
    disturbance: Any
    """Function from `CentreAndEdge` to a context manager: the fault lasts as long as its block."""
    seconds: int = AWAY_SECONDS
    unsent: bool = False
    """Whether samples that were not sent yet may be lost."""
    undecided: bool = False
    """Whether spans may be lost that waited for the decision about their trace."""

    @property
    def promise(self) -> str:
        unsent = f" but those of the last {UNSENT_SECONDS} s before" if self.unsent else ""
        undecided = " but those that waited for their decision" if self.undecided else ""
        return f"every sample{unsent}, every line, every span{undecided}, all of them once; check of both green"


def _cut(both: CentreAndEdge) -> AbstractContextManager[None]:
    return both.hosts.cut()


@contextmanager
def _without_power(host: str, both: CentreAndEdge) -> Iterator[None]:
    away = getattr(both.hosts, host)
    away.lose_power()
    try:
        yield
    finally:
        away.start()


FAULTS = (
    Fault("edge-link-cut", "the link between the two hosts is cut for {seconds} s", _cut, seconds=CUT_SECONDS),
    Fault(
        "edge-centre-restarted",
        "the centre's host loses its power, and is back after {seconds} s",
        partial(_without_power, "centre"),
        undecided=True,
    ),
    Fault(
        "edge-killed",
        "the edge's host loses its power, and is back after {seconds} s",
        partial(_without_power, "edge"),
        unsent=True,
    ),
)


def carried_out(both: CentreAndEdge, *, fault: Fault) -> str:
    """Makes the fault in the middle of steady input, and counts what has arrived afterwards."""
    begun = time.time()
    first_sample, first_line = max(both.samples()), both.line()
    time.sleep(10)
    struck, last_known = time.time(), both.page.count
    with fault.disturbance(both):
        time.sleep(fault.seconds)
    healed = time.time()
    samples = range(first_sample, both.page.count + 1)
    reached("samples arrive again", lambda: max(both.samples()) > samples[-1], CATCH_UP_SECONDS)
    ended, last_line = time.time() - 5, both.line()
    spans = {trace for trace, at in both.spans.taken.items() if begun <= at < ended}
    if fault.undecided:
        spans -= {trace for trace in spans if struck - DECISION_SECONDS <= both.spans.taken[trace] < struck}
    line_numbers = [n for n in _written(both, begun) if first_line <= n <= last_line]
    window = time.time() - begun + 60

    def arrived() -> bool:
        there = both.lines(window + CATCH_UP_SECONDS)
        return all(there[n] for n in line_numbers) and spans <= both.traces().keys()

    late = ""
    try:
        reached("all of it is there", arrived, CATCH_UP_SECONDS)
    except AssertionError as error:  # told below, with numbers
        late = f"; {error}"
    caught_up = time.time() - healed
    lines, traces = both.lines(window + CATCH_UP_SECONDS), both.traces()
    of_samples = Numbers.of(samples, both.samples(window + CATCH_UP_SECONDS))
    unsent = range(last_known - UNSENT_SECONDS // SCRAPE_SECONDS, last_known + 2) if fault.unsent else range(0)
    summary = (
        f"{of_samples.many} samples: {len(of_samples.missing)} missing, {len(of_samples.doubled)} doubled; "
        f"{len(line_numbers)} lines: {sum(not lines[n] for n in line_numbers)} missing, {sum(lines[n] > 1 for n in line_numbers)} doubled; "
        f"{len(spans)} spans: {len(spans - traces.keys())} missing, {sum(traces.get(t, 1) > 1 for t in spans)} doubled; "
        f"all there {caught_up:.0f} s after the end of the fault, which lasted {healed - struck:.0f} s{late}"
    )
    assert set(of_samples.missing) <= set(unsent), summary
    assert not of_samples.doubled, summary
    assert all(lines[n] == 1 for n in line_numbers), summary
    assert all(traces.get(trace) == 1 for trace in spans), summary
    both.green()
    return summary


def _written(both: CentreAndEdge, since: float) -> list[int]:
    text = both.writer.logs(since=int(since) - 5).decode()
    counts = Counter(number(line) for line in text.splitlines())
    return sorted(counts)


def shop_on_both(both: CentreAndEdge) -> str:
    """One order: Orders takes it on the edge, and asks Products at the centre across the link."""
    with both.shop() as address:

        def ordered() -> str:
            with both.hosts.edge.network():
                return order(address)

        reached("an order is taken", ordered, PATIENCE_SECONDS)
        trace = ordered()
        hosts: dict[str, str] = {}

        def whole() -> bool:
            with both.hosts.centre.network():
                [answer] = both.centre.get("jaeger", f"/api/traces/{trace}")["data"]
                for process in answer["processes"].values():
                    tags = {tag["key"]: tag["value"] for tag in process["tags"]}
                    hosts[process["serviceName"]] = tags["host"]
                assert hosts == {"orders": NAME, "products": "centre"}, hosts
                for service, host in hosts.items():
                    labels = f'service="{service}",host="{host}"'
                    assert both.centre.query(f"up{{{labels}}} == 1"), f"no metrics of {service}"
                    lines = both.centre.get("loki", "/loki/api/v1/query_range", query=f"{{{labels}}}")["data"]["result"]
                    assert lines, f"no lines of {service}"
                assert both.centre.query(f'container_memory_working_set_bytes{{service="orders",host="{NAME}"}}')
                spans = len(answer["spans"])
            return spans > 1

        reached("the trace has spans of both hosts, and both services their metrics and lines", whole, PATIENCE_SECONDS)
        both.green()
    return "one trace: " + ", ".join(f"{service} on {host}" for service, host in sorted(hosts.items()))


READS = (
    "/api/v1/query?query=up",
    '/loki/api/v1/query_range?query={host=~".+"}',
    "/api/traces?service=orders",
    "/metrics",
)


def stolen(both: CentreAndEdge) -> str:
    """Whoever has the edge's credential reads nothing, writes under its name alone, and does not fill the centre."""
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would be stronger than `verify`
    session.verify = str(both.ca)

    def send(path: str, body: bytes, user: str = NAME) -> int:
        answer = session.post(f"{both.door}{path}", body, auth=(user, both.credential), headers=PROTOBUF, timeout=30)
        return answer.status_code

    with both.hosts.edge.network():
        read = [
            session.get(f"{both.door}{path}", auth=(NAME, both.credential), timeout=30).status_code for path in READS
        ]
        assert set(read) == {403}, read
        strangers = [send("/api/v1/write", b"", "edge-2") for _ in range(30)]
        assert set(strangers) == {401}, strangers
        now = time.time()
        forged = write_request(({"__name__": "up", "host": "centre", "job": "forged"}, 0.0, now))
        assert send("/api/v1/write", forged) == 204
        assert send("/loki/api/v1/push", push_request(({"service": "forged", "host": "centre"}, ["a line"]))) == 204
        for batch in range(2 * SERIES // 1000):
            names = range(1000 * batch, 1000 * batch + 1000)
            flood = write_request(*(({"__name__": "flood", "number": str(n)}, 1.0, time.time()) for n in names))
            reached("the flood is answered", partial(lambda body: send("/api/v1/write", body) == 204, flood), 60)
    newest = max(both.samples())
    reached("the edge's own samples go on", lambda: max(both.samples()) > newest + 2, 60)
    with both.hosts.centre.network():
        hosts = {one["metric"]["host"] for one in both.centre.query('up{job="forged"}')}
        assert hosts == {NAME}, hosts
        streams = both.centre.get("loki", "/loki/api/v1/query_range", query='{service="forged"}')["data"]["result"]
        assert [one["stream"]["host"] for one in streams] == [NAME]

        def counted(query: str) -> float:
            [one] = both.centre.query(query)
            return float(one["value"][1])

        flood_kept = counted("count(last_over_time(flood[10m]))")
        reached("the door tells of it", lambda: counted(f'edge_door_samples_above_bound_total{{edge="{NAME}"}}') > 0)
        refused = counted(f'edge_door_samples_above_bound_total{{edge="{NAME}"}}')
        series = counted(f'edge_door_series{{edge="{NAME}"}}')
        assert series <= SERIES
        assert flood_kept + refused == 2 * SERIES
        assert counted(f'count({COUNTED}{{host="{NAME}"}})') == 1
        for alert in ("EdgesRefused", "EdgeManySeries"):
            reached(f"{alert} is raised", partial(both.centre.query, f'ALERTS{{alertname="{alert}"}}'), 60)
    return (
        f"{len(read)} reads: 403; 30 requests of an unknown edge: 401; of {2 * SERIES} series in a flood {flood_kept:.0f} came in, "
        f"{refused:.0f} were refused and counted"
    )


def drills() -> list[OnBoth]:
    """All of them, on one pair of hosts."""
    shop = (
        "an order at the edge's shop asks a service at the centre; between the hosts only the edge can begin to speak"
    )
    return [
        Drill(
            "edge-shop",
            shop,
            "one trace over both hosts; metrics and lines carry their host; check of both green",
            shop_on_both,
        ),
        *(
            Drill(
                fault.name, fault.cause.format(seconds=fault.seconds), fault.promise, partial(carried_out, fault=fault)
            )
            for fault in FAULTS
        ),
        Drill(
            "edge-stolen",
            "somebody has the edge's credential: reads, sends under other names, floods; somebody else has none",
            "nothing is read, no other host's data change, series end at the bound, both are counted and told",
            stolen,
        ),
    ]
