"""Spans and sizes: written by people, read by services."""

import pytest
from pydantic import TypeAdapter, ValidationError

from config.settings.units import Memory, Span, go_duration, mib, prometheus_size, seconds

MIB = 2**20


@pytest.mark.parametrize("span", ["15s", "5m", "1h30m", "60d", "1w", "1y", "500ms", "1d12h", "0s", "1h0m0s"])
def test_a_span_is_kept_as_written(span: str) -> None:
    assert TypeAdapter[str](Span).validate_python(span) == span


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "1.5h", "-5m", "5min", "30m1h", "5m5m", "1us", "60 days", "5M", " 5m"]
)
def test_what_prometheus_would_not_read_is_no_span(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a time span: write it like 15s"):
        TypeAdapter[str](Span).validate_python(text)


@pytest.mark.parametrize(
    ("span", "length"),
    [
        ("0s", 0),
        ("250ms", 0.25),
        ("15s", 15),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("1w", 7 * 86_400),
        ("1y", 365 * 86_400),
        ("1m500ms", 60.5),
        ("1d12h", 129_600),
    ],
)
def test_a_span_has_a_length(span: str, length: float) -> None:
    assert seconds(span) == pytest.approx(length)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0s"),
        (5, "5s"),
        (30, "30s"),
        (59, "59s"),
        (60, "1m0s"),
        (90, "1m30s"),
        (600, "10m0s"),
        (3600, "1h0m0s"),
        (3601, "1h0m1s"),
        (5400, "1h30m0s"),
        (86_400, "24h0m0s"),
        (1.5, "1.5s"),
        (90.5, "1m30.5s"),
    ],
)
def test_a_duration_is_spelt_as_go_spells_it(length: float, text: str) -> None:
    assert go_duration(length) == text


@pytest.mark.parametrize(
    ("text", "whole"),
    [("512MiB", 512), ("2GiB", 2048), ("1.5GiB", 1536), ("1048576", 1), (3 * MIB, 3), ("2gib", 2048), ("1TiB", MIB)],
)
def test_memory_counts_in_whole_mib(text: str | int, whole: int) -> None:
    assert mib(TypeAdapter[int](Memory).validate_python(text)) == whole


@pytest.mark.parametrize("text", ["1000MB", "1.3MiB", "512", 1])
def test_memory_that_docker_would_round_is_refused(text: str | int) -> None:
    with pytest.raises(ValidationError, match="not a whole number of MiB"):
        TypeAdapter[int](Memory).validate_python(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (1023, "1023B"),
        (1024, "1KB"),
        (20 * MIB, "20MB"),
        (1536 * MIB, "1536MB"),
        (45 * 2**30, "45GB"),
        (2 * 2**40, "2TB"),
        (45 * 10**9, "45000000000B"),
    ],
)
def test_a_size_is_spelt_in_prometheus_units_without_rounding(size: int, text: str) -> None:
    assert prometheus_size(size) == text
