"""Streams of the shipper and those that come by OTLP, each with its own bound, by the real Loki with a stack's limits."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from config.services.logs.loki import LIMITS, MAIN, container
from config.yaml_text import dump
from tests.rules.services import running
from tests.support.ports import free_port
from tests.support.program import settings_of
from toolchain import images

STREAMS = 10


@pytest.fixture
def loki(tmp_path: Path) -> Iterator[str]:
    http, grpc = free_port(), free_port()
    settings = settings_of({"logs": {"limits": {"streams": STREAMS}}})
    delivered = container(settings).config
    assert delivered
    for name, text in delivered.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    main = yaml.safe_load(delivered.files[MAIN])
    main["common"]["path_prefix"] = str(tmp_path)
    main["storage_config"]["filesystem"]["directory"] = str(tmp_path / "chunks")
    main["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": http}
    main["server"] |= {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": grpc}
    main["runtime_config"]["file"] = str(tmp_path / LIMITS)
    main["ruler"] = {"storage": {"type": "local", "local": {"directory": str(tmp_path / "rules")}}}
    (tmp_path / MAIN).write_text(dump(main))
    url, command = f"http://127.0.0.1:{http}", [images.binary("loki"), f"-config.file={tmp_path / MAIN}"]
    with running(command, f"{url}/ready", tmp_path / "log", seconds=60):
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
