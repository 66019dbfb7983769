"""Streams of the shipper and those that come by OTLP, each with its own bound, by the real Loki with a stack's limits."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running_loki

STREAMS = 10


@pytest.fixture
def loki(tmp_path: Path) -> Iterator[str]:
    settings = settings_of({"logs": {"limits": {"streams": STREAMS}}})
    with running_loki(tmp_path, settings, free_port()) as url:
        yield url


def push(url: str, source: str, names: range) -> int:
    """Status of a request with a line of each service."""
    now = f"{time.time_ns()}"
    streams = [
        {"stream": {"service": f"s{name}", "source": source, "level": "info"}, "values": [[now, "x"]]} for name in names
    ]
    return requests.post(f"{url}/loki/api/v1/push", json={"streams": streams}, timeout=10).status_code


@pytest.mark.parametrize(("full", "other"), [("otlp", "docker"), ("docker", "otlp"), ("file", "otlp")])
def test_full_of_the_streams_of_one_way_it_takes_those_of_the_other(loki: str, full: str, other: str) -> None:
    assert push(loki, full, range(STREAMS * 20)) == requests.codes.too_many_requests
    assert push(loki, full, range(STREAMS * 100, STREAMS * 101)) == requests.codes.too_many_requests
    assert push(loki, other, range(STREAMS)) == requests.codes.no_content
