"""What leaves the collector's queues: a page after another, as the collector would answer."""

from collections.abc import Iterator, Sequence

import pytest
from docker import DockerClient

from check import queues
from tests.support.program import settings_of

CENTRE = "otlp_http/centre"

PAGE = """\
otelcol_exporter_queue_size{{data_type="traces",exporter="otlp_http/centre"}} {traces_wait}
otelcol_exporter_queue_size{{data_type="logs",exporter="otlp_http/centre"}} {logs_wait}
otelcol_exporter_queue_size{{data_type="traces",exporter="otlp_grpc/jaeger"}} 800
otelcol_exporter_sent_spans_total{{exporter="otlp_http/centre"}} {spans}
otelcol_exporter_sent_log_records_total{{exporter="otlp_http/centre"}} {records}
otelcol_exporter_sent_spans_total{{exporter="otlp_grpc/jaeger"}} 9
otelcol_exporter_send_failed_spans_total{{exporter="otlp_http/centre"}} {lost}
"""
NOTHING = {"traces_wait": 0, "logs_wait": 0, "spans": 0, "records": 0, "lost": 0}


def delivery(monkeypatch: pytest.MonkeyPatch, pages: Sequence[dict[str, int]]) -> queues.Delivery:
    """`pages`: what is not as in `NOTHING`. The last one is answered for ever."""

    def answers() -> Iterator[str]:
        for page in pages:
            yield PAGE.format(**NOTHING | page)
        while True:
            yield PAGE.format(**NOTHING | pages[-1])

    answer, clock = answers(), [0.0]
    monkeypatch.setattr(queues, "page", lambda *_: next(answer))
    monkeypatch.setattr("check.queues.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("check.queues.time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    return queues.delivery(DockerClient, settings_of(), CENTRE)  # type: ignore[arg-type] # nobody asks it


@pytest.mark.parametrize(
    ("pages", "stuck"),
    [
        ([{}], False),
        ([{"traces_wait": 206}, {"traces_wait": 412, "spans": 1}], False),
        ([{"traces_wait": 206, "spans": 7}] * 8 + [{"traces_wait": 412, "spans": 8}], False),
        ([{"traces_wait": 206}, {"traces_wait": 0}], False),
        ([{"traces_wait": 206, "spans": 7}], True),
        ([{"logs_wait": 300, "spans": 7, "records": 4}, {"logs_wait": 300, "spans": 8, "records": 4}], True),
    ],
    ids=[
        "nothing waits",
        "spans always wait, and leave",
        "spans leave slowly",
        "what waited has left",
        "spans wait and do not leave",
        "logs wait while spans leave",
    ],
)
def test_a_queue_is_stuck_only_if_nothing_leaves_it(
    monkeypatch: pytest.MonkeyPatch, pages: list[dict[str, int]], *, stuck: bool
) -> None:
    assert delivery(monkeypatch, pages).stuck is stuck


def test_the_counts_are_those_of_one_exporter_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    says = str(delivery(monkeypatch, [{"traces_wait": 206, "spans": 5, "records": 2, "lost": 3}]))
    assert says == "7 sent since the collector's start, 3 lost, 206 bytes wait, none has left for 5 s"
