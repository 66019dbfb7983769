"""What is too long for those who keep it: the bounds fit what Prometheus, Badger and the requests to Jaeger can take."""

from typing import Any

import pytest

from config.services.logs.loki import limits_of
from config.services.traces import otel_collector, otlp_limits
from config.services.traces.otlp_masks import CONTEXTS
from tests.support.program import settings_of

BADGER_KEY = 65_000
"""Bytes (badger v4, `maxKeySize`)."""


def main_file(config: dict[str, Any] | None = None) -> dict[str, Any]:
    return otel_collector.main_file(settings_of(config))


def statements(processor: str, signal: str, config: dict[str, Any] | None = None) -> list[str]:
    groups = main_file(config)["processors"][processor][f"{signal}_statements"]
    return [statement for group in groups for statement in group["statements"]]


def test_what_is_counted_and_what_is_sent_on_is_cut_before() -> None:
    pipelines = main_file()["service"]["pipelines"]
    bounded = {"traces": [], "metrics": ["transform/senders"], "logs": []}
    for signal, more in bounded.items():
        assert pipelines[signal]["processors"] == ["memory_limiter", "transform/received", *more]
    for signal in ("traces", "metrics"):
        assert pipelines[f"{signal}/masked"]["processors"][0] == "transform/lengths"
    assert pipelines["traces/sampled"]["processors"] == ["tail_sampling", "transform/named"]


@pytest.mark.parametrize(("limit", "characters"), [(512, 128), (64, 16)])
def test_a_text_that_becomes_a_label_is_no_longer_than_prometheus_takes(limit: int, characters: int) -> None:
    config = {"metrics": {"limits": {"label_value_length": limit}}}
    traces = statements("transform/lengths", "trace", config)
    assert f"set(span.name, Substring(span.name, 0, {characters}, true)) where Len(span.name) > {limit}" in traces
    service = 'resource.attributes["service.name"]'
    assert any(f"where IsString({service}) and Len({service}) > {limit}" in statement for statement in traces)
    assert f"truncate_all(datapoint.attributes, {limit})" in statements("transform/lengths", "metric", config)


@pytest.mark.parametrize(("limit", "room"), [(40, 27), (20, 7), (10, 1)])
def test_a_metric_has_room_for_the_labels_that_it_gets(limit: int, room: int) -> None:
    metrics = statements("transform/lengths", "metric", {"metrics": {"limits": {"labels": limit}}})
    assert f"limit(datapoint.attributes, {room}, [])" in metrics


def test_what_is_left_of_a_span_is_a_key_for_badger_and_fits_in_one_request() -> None:
    assert otlp_limits.TRACE.whole + 1024 < BADGER_KEY
    assert otel_collector.BATCH["max_size"] > otlp_limits.TRACE.most
    for context in ("resource", "scope", "span", "spanevent"):
        attributes, longer = f"{context}.attributes", f'where Len({context}.cache["attributes"]) > {32 * 1024}'
        assert f"truncate_all({attributes}, {otlp_limits.TRACE.value}) {longer}" in statements(
            "transform/received", "trace"
        )
    assert any('["service.name", ' in one for one in statements("transform/received", "trace"))


def test_what_is_left_of_a_record_is_what_loki_takes() -> None:
    loki = limits_of(settings_of())
    assert sum(room.most for room in otlp_limits.LOG.values()) < otlp_limits.LOKI["size"]
    assert sum(room.count for room in otlp_limits.LOG.values()) < loki["max_structured_metadata_entries_count"] - 20
    assert loki["max_structured_metadata_size"] == "64KB"
    assert loki["max_label_value_length"] == 512
    for context, room in otlp_limits.LOG.items():
        assert any(
            one.startswith(f"limit({context}.attributes, {room.count}, ") and " where " not in one
            for one in statements("transform/received", "log")
        )


def test_no_guard_fails_for_a_number_that_is_none() -> None:
    """Whatever looks at all attributes as one text comes after they can be written as one."""
    for signal in ("trace", "metric", "log"):
        groups = main_file()["processors"]["transform/received"][f"{signal}_statements"]
        for group in groups[-len(CONTEXTS[signal]) :]:
            first, flat, text, again, *_ = group["statements"]
            assert first.startswith("set(")
            assert flat.startswith("flatten(")
            assert text.startswith("stringify_all(")
            assert "== nil" in again


@pytest.mark.parametrize(("line", "length"), [("256KB", 256_000), ("4MiB", 800_000)])
def test_a_long_log_record_fits_in_one_request_to_loki(line: str, length: int) -> None:
    bodies = [
        one
        for one in statements("transform/received", "log", {"logs": {"limits": {"line_size": line}}})
        if one.startswith("set(log.body, Substring(")
    ]
    assert len(bodies) == 2
    assert all(f", 0, {length}, true)) where " in one and f" > {length}" in one for one in bodies)
