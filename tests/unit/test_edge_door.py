"""The program of the door for edges: bytes in, bytes out. Messages are made and read by Google's library."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cramjam
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

from config.services.correlation.edge_door.program import edges_file, lines, samples, snappy
from config.services.correlation.edge_door.program.known_series import HALF, KnownSeries
from config.services.correlation.edge_door.program.server import SAMPLES, Door
from config.services.correlation.edge_door.program.wire import BadRequestError, encoded, field

FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "Label": {"name": (1, "string"), "value": (2, "string")},
    "Sample": {"value": (1, "double"), "timestamp": (2, "int64")},
    "TimeSeries": {
        "labels": (1, "Label"),
        "samples": (2, "Sample"),
        "exemplars": (3, "bytes"),
        "histograms": (4, "bytes"),
    },
    "WriteRequest": {"timeseries": (1, "TimeSeries"), "metadata": (3, "bytes")},
    "Entry": {"timestamp": (1, "bytes"), "line": (2, "string"), "structured": (3, "Label")},
    "Stream": {"labels": (1, "text"), "entries": (2, "Entry"), "hash": (3, "uint64")},
    "PushRequest": {"streams": (1, "Stream")},
}
"""Message → field → number and kind: the parts that are used of Prometheus' prompb and of Loki's push.proto."""


def _messages() -> dict[str, Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", syntax="proto3")
    for message, fields in FIELDS.items():
        descriptor = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            once = kind in {"double", "int64", "uint64", "text"} or name in {"name", "value", "line", "timestamp"}
            one = descriptor.field.add(name=name, number=number, label=1 if once else 3)
            if kind in FIELDS:
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".test.{kind}"
            else:
                one.type = getattr(kinds, f"TYPE_{'STRING' if kind == 'text' else kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}")) for name in FIELDS}


MADE = _messages()


def request(*labels: dict[str, str], **more: Any) -> bytes:
    series = [
        {
            "labels": [{"name": name, "value": value} for name, value in sorted(one.items())],
            "samples": [{"value": 1.5, "timestamp": 1_700_000_000_123}],
            "exemplars": [b"an exemplar"],
            "histograms": [b"a histogram"],
        }
        for one in labels
    ]
    content: bytes = MADE["WriteRequest"](timeseries=series, **more).SerializeToString()
    return content


def passed(content: bytes, admits: Callable[[bytes], bool] = lambda _: True) -> list[Any]:
    out, _ = samples.under("web-2", content, admits)
    return [*MADE["WriteRequest"].FromString(out).timeseries]


def labels_of(series: Any) -> dict[str, str]:
    assert len({one.name for one in series.labels}) == len(series.labels)
    return {one.name: one.value for one in series.labels}


def test_a_series_has_the_edges_name_and_is_otherwise_as_it_came() -> None:
    [series] = passed(request({"__name__": "up", "job": "shop"}))
    assert labels_of(series) == {"__name__": "up", "job": "shop", "host": "web-2"}
    [one] = series.samples
    assert (one.value, one.timestamp) == (1.5, 1_700_000_000_123)
    assert ([*series.exemplars], [*series.histograms]) == ([b"an exemplar"], [b"a histogram"])


def test_what_came_in_bits_leaves_in_the_same_bits() -> None:
    """As Prometheus marks a stale series: a NaN of its own."""
    marker = b"\x02\x00\x00\x00\x00\x00\xf0\x7f"
    series = field(1, field(1, b"__name__") + field(2, b"up")) + field(2, b"\x09" + marker + b"\x10\x01")
    assert marker in samples.under("web-2", field(1, series), lambda _: True)[0]


@pytest.mark.parametrize("host", ["db-1", "", "web-2"])
def test_a_name_that_the_sender_claims_is_replaced(host: str) -> None:
    [series] = passed(request({"__name__": "up", "host": host, "zone": "a"}))
    assert labels_of(series) == {"__name__": "up", "host": "web-2", "zone": "a"}


@pytest.mark.parametrize("name", ["ALERTS", "ALERTS_FOR_STATE", "service:requests:rate5m", ":x"])
def test_series_that_rules_record_do_not_come_in(name: str) -> None:
    assert [labels_of(one)["__name__"] for one in passed(request({"__name__": name}, {"__name__": "up"}))] == ["up"]


def test_nothing_but_series_comes_in() -> None:
    content = request({"__name__": "up"}, metadata=[b"metadata"])
    assert b"metadata" not in samples.under("web-2", content, lambda _: True)[0]


NAME, OTHER = field(1, b"host"), field(1, b"x")
HIDDEN = {
    "a label that is named twice, of which readers take the last": field(1, OTHER + NAME + field(2, b"db-1")),
    "a label with more than a name and a value": field(1, OTHER + field(3, b"x")),
    "a label whose name is a number": field(1, b"\x08\x01" + field(2, b"db-1")),
    "a label that ends too late": b"\x0a\x7f" + OTHER,
    "a number that does not end": b"\xff" * 11,
    "a group": b"\x0b\x0c",
}


@pytest.mark.parametrize("case", HIDDEN)
def test_no_name_can_be_hidden_from_the_door(case: str) -> None:
    with pytest.raises(BadRequestError):
        samples.under("web-2", field(1, HIDDEN[case]), lambda _: True)


def test_a_name_in_a_number_that_is_longer_than_need_be_is_seen() -> None:
    """`8a 00` says the same as `0a`: field 1, with a length."""
    label = NAME + field(2, b"db-1")
    series = b"\x8a\x00" + encoded(len(label)) + label + field(1, field(1, b"__name__") + field(2, b"up"))
    [result] = passed(field(1, series))
    assert labels_of(result) == {"__name__": "up", "host": "web-2"}


def test_series_above_the_bound_are_left_out_and_counted() -> None:
    register = KnownSeries(2)
    out, refused = samples.under("web-2", request(*({"__name__": f"m{n}"} for n in range(5))), register.admits)
    assert [labels_of(one)["__name__"] for one in MADE["WriteRequest"].FromString(out).timeseries] == ["m0", "m1"]
    assert (refused, register.refused, len(register)) == (3, 3, 2)


def test_a_series_makes_room_when_it_has_not_come_for_an_hour() -> None:
    now = 0.0
    register = KnownSeries(2, lambda: now)
    assert register.admits(b"old")
    assert register.admits(b"kept")
    now = 1.2 * HALF
    assert register.admits(b"kept")
    assert not register.admits(b"new")  # the old one came half an hour ago
    now = 2.1 * HALF
    assert register.admits(b"kept")
    assert register.admits(b"new")
    assert not register.admits(b"old")
    assert len(register) == 2
    now = 9 * HALF
    assert len(register) == 0


# Lines


def push(*labels: str) -> bytes:
    entry = {"timestamp": b"t", "line": "a line", "structured": [{"name": "trace_id", "value": "1"}]}
    streams = [{"labels": one, "entries": [entry], "hash": 7} for one in labels]
    content: bytes = MADE["PushRequest"](streams=streams).SerializeToString()
    return content


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ('{service="shop"}', '{host="web-2", service="shop"}'),
        ('{host="db-1", level="info", pod="x"}', '{host="web-2", level="info"}'),
        ("{}", '{host="web-2"}'),
        ('{service="a, host=\\"b\\"}"}', '{host="web-2", service="a, host=\\"b\\"}"}'),
        ('{service="ü{}"}', '{host="web-2", service="ü{}"}'),
    ],
)
def test_a_stream_has_the_edges_name_and_the_labels_that_lines_may_have(came: str, goes: str) -> None:
    out = lines.under("web-2", push(came), {"service", "level"})
    [stream] = MADE["PushRequest"].FromString(out).streams
    assert stream.labels == goes
    [entry] = stream.entries
    assert (entry.line, entry.timestamp, entry.structured[0].name) == ("a line", b"t", "trace_id")


@pytest.mark.parametrize(
    "came", ["", "x", '{service="shop"', '{a="b"}{c="d"}', '{a="b" or c="d"}', '{a=~"b"}', "{a='b'}"]
)
def test_labels_in_another_form_are_refused(came: str) -> None:
    with pytest.raises(BadRequestError):
        lines.under("web-2", push(came), {"a"})


def test_a_stream_with_its_labels_twice_is_refused() -> None:
    with pytest.raises(BadRequestError):
        lines.under("web-2", field(1, field(1, b"{}") + field(1, b'{host="db-1"}')), ())


# Snappy, as another library makes and reads it.

TEXTS = {
    "nothing": b"",
    "a word": b"hello",
    "one sign often": b"x" * 100_000,
    "labels": b"".join(b"__name__=metric_%d,instance=host:%d,job=shop;" % (n % 50, n) for n in range(5000)),
    "noise": random.Random(1).randbytes(200_000),  # noqa: S311 - no secret
    "noise that comes again far away": random.Random(2).randbytes(66_000) * 3,  # noqa: S311 - no secret
}


@pytest.mark.parametrize("case", TEXTS)
def test_snappy_of_others_is_read_and_ours_is_read_by_others(case: str) -> None:
    text = TEXTS[case]
    assert snappy.decoded(bytes(cramjam.snappy.compress_raw(text)), len(text)) == text
    assert bytes(cramjam.snappy.decompress_raw(snappy.stored(text))) == text


@pytest.mark.parametrize("seed", range(20))
def test_broken_snappy_is_refused_and_never_longer_than_it_says(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    good = bytearray(cramjam.snappy.compress_raw(TEXTS["labels"][:4000]))
    for _ in range(3):
        good[dice.randrange(2, len(good))] = dice.randrange(256)
    with suppress(BadRequestError):
        assert len(snappy.decoded(bytes(good), 4000)) == 4000


def test_copies_are_read() -> None:
    # "abcd", then four bytes from four back, then five from one back: offsets of one, two and four bytes.
    data = b"\x11" + b"\x0cabcd" + b"\x01\x04" + b"\x12\x01\x00" + b"\x0f\x04\x00\x00\x00"
    assert snappy.decoded(data, 100) == b"abcdabcd" + b"ddddd" + b"dddd"


@pytest.mark.parametrize("size", [0, 1, 59, 60, 61, 255, 256, 70_000])
def test_what_is_stored_is_read_again(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert snappy.decoded(snappy.stored(data), size) == data


def test_a_long_request_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequestError, match="it has 101 bytes, and 100 are taken"):
        snappy.decoded(snappy.stored(bytes(101)), 100)


# The file


def test_a_file_that_cannot_be_used_leaves_the_edges_that_there_were(tmp_path: Path) -> None:
    file = tmp_path / "edges.json"
    config = {"bounds": {"web-2": 10}, "labels": [], "samples": "127.0.0.1:1", "lines": "127.0.0.1:1"}
    file.write_text(json.dumps(config))
    door = Door(file)
    door.series["web-2"].admits(b"known")
    file.write_text("{}")
    door.again()
    assert "edge_door_config_last_reload_successful 0" in door.metrics()
    file.write_text(json.dumps({**config, "bounds": {"web-2": 20, "db-1": 5}}))
    door.again()
    page = door.metrics().splitlines()
    assert "edge_door_config_last_reload_successful 1" in page
    assert 'edge_door_series{edge="web-2"} 1' in page
    assert 'edge_door_series_bound{edge="web-2"} 20' in page
    assert 'edge_door_series_bound{edge="db-1"} 5' in page


def test_a_request_that_nobody_stores_is_to_be_sent_again(tmp_path: Path) -> None:
    file = tmp_path / "edges.json"
    file.write_text(
        json.dumps({"bounds": {"web-2": 10}, "labels": [], "samples": "127.0.0.1:1", "lines": "127.0.0.1:1"})
    )
    door = Door(file)
    status, _ = door.passes("web-2", SAMPLES, snappy.stored(request({"__name__": "up"})))
    assert status == 503
    assert 'edge_door_requests_total{edge="web-2",signal="metrics",code="503"} 1' in door.metrics()
    assert door.passes("db-1", SAMPLES, b"")[0] == 404


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"bounds": [], "labels": [], "samples": "", "lines": ""}'])
def test_the_validator_refuses_what_is_no_file_of_edges(text: str) -> None:
    with pytest.raises(edges_file.EdgesError):
        edges_file.read(text)
