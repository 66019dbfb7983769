"""What is too long for those who keep it: the bounds fit what Prometheus, Badger and the requests to Jaeger can take."""

from typing import Any

import pytest

from config import otel_collector, otlp_limits
from tests.unit.conftest import settings_of

BADGER_KEY = 65_000
"""Bytes (badger v4, `maxKeySize`)."""
KEY_NAME = 256
"""Bytes of an attribute's name at most, where it is looked at."""


def main_file(config: dict[str, Any] | None = None) -> dict[str, Any]:
    return otel_collector.main_file(settings_of(config))


def statements(processor: str, signal: str, config: dict[str, Any] | None = None) -> list[str]:
    groups = main_file(config)["processors"][processor][f"{signal}_statements"]
    return [statement for group in groups for statement in group["statements"]]


def test_what_is_counted_and_what_is_sent_on_is_cut_before() -> None:
    pipelines = main_file()["service"]["pipelines"]
    for signal in ("traces", "metrics"):
        assert pipelines[signal]["processors"][:5] == [
            "memory_limiter",
            "transform/unmasked",
            "redaction",
            "transform/masked",
            "transform/lengths",
        ]
    assert pipelines["traces/sampled"]["processors"] == ["tail_sampling", "transform/stored", "transform/named"]


@pytest.mark.parametrize(("limit", "characters"), [(512, 128), (64, 16)])
def test_a_text_that_becomes_a_label_is_no_longer_than_prometheus_takes(limit: int, characters: int) -> None:
    config = {"metrics": {"limits": {"label_value_length": limit}}}
    traces = statements("transform/lengths", "trace", config)
    assert f"set(span.name, Substring(span.name, 0, {characters}, true)) where Len(span.name) > {limit}" in traces
    service = 'resource.attributes["service.name"]'
    assert any(f"where IsString({service}) and Len({service}) > {limit}" in statement for statement in traces)
    assert f"truncate_all(datapoint.attributes, {limit})" in statements("transform/lengths", "metric", config)


@pytest.mark.parametrize(("limit", "left"), [(40, 27), (20, 7), (10, 1)])
def test_a_metric_has_room_for_the_labels_that_it_gets(limit: int, left: int) -> None:
    metrics = statements("transform/lengths", "metric", {"metrics": {"limits": {"labels": limit}}})
    assert f"limit(datapoint.attributes, {left}, [])" in metrics


def test_what_is_left_of_a_span_is_a_key_for_badger_and_fits_in_one_request() -> None:
    assert otlp_limits.WHOLE + 1024 < BADGER_KEY
    assert otel_collector.BATCH["max_size"] > otlp_limits.ATTRIBUTES * (otlp_limits.VALUE + KEY_NAME)
    groups = main_file()["processors"]["transform/stored"]["trace_statements"]
    whole = {group["context"]: group["statements"] for group in groups if "conditions" in group}
    assert whole.keys() == {"resource", "span", "spanevent"}
    for context, said in whole.items():
        assert said[:3] == [
            f'delete_matching_keys({context}.attributes, "^.{{256}}")',
            f"stringify_all({context}.attributes)",
            f"truncate_all({context}.attributes, {otlp_limits.VALUE})",
        ]
    assert '["service.name", ' in whole["resource"][-1]


@pytest.mark.parametrize(("line", "length"), [("256KB", 256_000), ("4MiB", 800_000)])
def test_a_long_log_record_fits_in_one_request_to_loki(line: str, length: int) -> None:
    [first, *_] = statements("transform/labels", "log", {"logs": {"limits": {"line_size": line}}})
    assert first.startswith(f"set(log.body, Substring(log.body, 0, {length})) where IsString(log.body)")
