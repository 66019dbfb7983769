"""Remote stores, by the real collector with a stack's settings: traces, and records that came by OTLP."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import DockerClient

from check import queues
from config.services.traces import otel_collector, remote_otlp
from config.settings import Settings
from config.yaml_text import dollars_doubled, dump
from tests.support.collector import group, record, span
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from tests.support.services import running
from tests.support.store import Store
from tests.support.wait import until
from toolchain import images

SECRET = "hunter2 $HOME ${env:HOME} '\""
LEAST_QUEUE = 16 * 2**20
Check = Callable[[str], queues.Delivery]
EXPORTERS = {"traces": "otlp_http/remote_traces", "logs": remote_otlp.LOGS_EXPORTER}


@contextmanager
def collector(folder: Path, settings: Settings, near: Store, far: Store) -> Iterator[str]:
    """URL of the collector of a stack, whose own stores are `near`, and whose remote store is `far`."""
    otlp, own = free_port(), free_port()
    queue = folder / "queue"
    (folder / "secrets").mkdir(exist_ok=True)
    queue.mkdir(exist_ok=True)
    main = otel_collector.main_file(settings)
    main["extensions"]["file_storage"] |= {"directory": str(queue)}
    main["extensions"]["file_storage"]["compaction"]["directory"] = str(queue)
    main["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{otlp}"}}
    main["service"]["telemetry"]["metrics"]["readers"] = [otel_collector.own_metrics(own)]
    for name in ("prometheus/otlp", "prometheus/spans"):
        main["exporters"][name]["endpoint"] = f"127.0.0.1:{free_port()}"
    jaeger = main["exporters"].pop("otlp_grpc/jaeger")
    main["exporters"]["otlp_http/jaeger"] = {key: jaeger[key] for key in jaeger if key not in ("tls", "endpoint")}
    for name, exporter in main["exporters"].items():
        if name.startswith("otlp_http/"):
            away = exporter.get("endpoint", "").replace("far.internal", f"127.0.0.1:{far.port}")
            endpoint = away if "remote" in name else f"http://127.0.0.1:{near.port}"
            exporter |= {"endpoint": endpoint, "encoding": "json", "compression": "none"}
            exporter["retry_on_failure"] |= {"max_interval": "1s"}
    sampled = main["service"]["pipelines"]["traces/sampled"]
    sampled["exporters"] = ["otlp_http/jaeger" if one == "otlp_grpc/jaeger" else one for one in sampled["exporters"]]
    (folder / "collector.yml").write_text(dump(dollars_doubled(main), width=1_000_000))
    command: list[object] = [images.binary("otelcol-contrib"), f"--config={folder / 'collector.yml'}"]
    delivered = remote_otlp.secrets(settings)
    for name, secret in delivered.items():
        (folder / "secrets" / name).write_text(secret.render(SECRET))
        command.append(f"--config={folder / 'secrets' / name}")
    (folder / "page").write_text(f"http://127.0.0.1:{own}/metrics")
    with running(command, f"http://127.0.0.1:{own}/metrics", folder / "log", seconds=60):
        url = f"http://127.0.0.1:{otlp}"
        until(lambda: requests.get(url, timeout=1) is not None)
        yield url


def send(url: str, kind: str, name: str, *, parts: int = 1, size: int = 0) -> int:
    """The status of a request with so many spans or records of this name, each of so many bytes more."""
    more = {"fill": "x" * size} if size else {}
    items = [span(name, more) if kind == "traces" else record(name, more) for _ in range(parts)]
    key = "resourceSpans" if kind == "traces" else "resourceLogs"
    body = {key: [group(kind, {"service.name": "shop"}, *items)]}
    return requests.post(f"{url}/v1/{kind}", json=body, timeout=30).status_code


def settings(secrets: tuple[str, ...] = (), **ends: Any) -> Settings:
    """With remote stores: `logs`, `traces`."""
    config: dict[str, Any] = {"traces": {"sampling": {"rest": 100, "decision_wait": "1s"}}, "logs": {}}
    for kind, end in ends.items():
        config[kind] |= {"remote": {"url": "http://far.internal", **end}}
    return settings_of(config, secrets=secrets)


def counted(folder: Path, metric: str, exporter: str) -> float:
    text = requests.get((folder / "page").read_text(), timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith(f"{metric}{{") and f'exporter="{exporter}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def waiting(folder: Path, kind: str) -> float:
    """Bytes in the queue of the remote store."""
    return counted(folder, "otelcol_exporter_queue_size", EXPORTERS[kind])


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """What the check says of the queue of the remote store of a signal."""
    monkeypatch.setattr(queues, "page", lambda *_: requests.get((tmp_path / "page").read_text(), timeout=10).text)
    return lambda kind: queues.delivery(DockerClient, settings_of(), EXPORTERS[kind])  # type: ignore[arg-type] # nobody asks it


@pytest.fixture
def stores() -> Iterator[tuple[Store, Store]]:
    near, far = Store(), Store()
    with near():
        yield near, far


@pytest.mark.parametrize("kind", ["traces", "logs"])
def test_an_end_that_was_away_has_everything_afterwards_and_the_stack_goes_on_meanwhile(
    tmp_path: Path, stores: tuple[Store, Store], check: Check, kind: str
) -> None:
    near, far = stores
    ends = settings(traces={}, logs={})
    with collector(tmp_path, ends, near, far) as url:
        with far():
            assert send(url, kind, "before") == requests.codes.ok
            until(lambda: far.has("before") and near.has("before"))
        for number in range(20):
            assert send(url, kind, f"meanwhile-{number}") == requests.codes.ok
        until(lambda: all(near.has(f"meanwhile-{number}") for number in range(20)))
        until(lambda: waiting(tmp_path, kind))
        assert check(kind).stuck
        assert not far.has("meanwhile-0")
    # What waits is on disk, and outlives the collector.
    assert {*remote_otlp.queues(ends)} <= {file.name for file in (tmp_path / "queue").iterdir()}
    with collector(tmp_path, ends, near, far) as url, far():
        until(lambda: all(far.has(f"meanwhile-{number}") for number in range(20)))
        assert send(url, kind, "after") == requests.codes.ok
        until(lambda: far.has("after") and near.has("after"))


def _sent_steadily(url: str, kind: str) -> set[int]:
    """The statuses of ten seconds' requests."""
    statuses = set()
    for _ in range(100):
        statuses.add(send(url, kind, "steady"))
        time.sleep(0.1)
    return statuses


@pytest.mark.parametrize("kind", ["traces", "logs"])
def test_an_end_for_which_something_waits_at_many_moments_is_not_stuck(
    tmp_path: Path, stores: tuple[Store, Store], check: Check, kind: str
) -> None:
    near, far = stores
    with collector(tmp_path, settings(traces={}, logs={}), near, far) as url, far(), ThreadPoolExecutor(1) as sender:
        until(lambda: send(url, kind, "first") == requests.codes.ok and far.has("first"))
        steady = sender.submit(_sent_steadily, url, kind)
        waits, looks = 0, []
        for _ in range(50):
            time.sleep(0.1)
            waits += waiting(tmp_path, kind) > 0
        while not steady.done():
            looks.append(check(kind))
        assert steady.result() == {requests.codes.ok}
        assert waits > 20  # of 50: so it says little that something waits
        assert looks
        assert not any(look.stuck or look.lost for look in looks)


@pytest.mark.parametrize("kind", ["traces", "logs"])
def test_a_queue_that_is_full_costs_the_copy_alone(tmp_path: Path, stores: tuple[Store, Store], kind: str) -> None:
    near, far = stores
    name = EXPORTERS[kind]
    lost = f"otelcol_exporter_enqueue_failed_{'spans' if kind == 'traces' else 'log_records'}_total"
    least: dict[str, Any] = {kind: {"queue": LEAST_QUEUE}}
    ends = settings(**least)
    with collector(tmp_path, ends, near, far) as url:
        count = 0
        end = time.monotonic() + 90
        while not counted(tmp_path, lost, name) and time.monotonic() < end:
            assert send(url, kind, f"large-{count}", parts=25, size=30_000) == requests.codes.ok
            count += 1
        assert counted(tmp_path, lost, name)
        until(lambda: all(near.has(f"large-{number}") for number in range(count)))
        with far():
            until(lambda: far.has("large-0"))
            until(lambda: not waiting(tmp_path, kind))
            assert send(url, kind, "after") == requests.codes.ok
            until(lambda: far.has("after"))


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        ({"user": "me"}, {"Authorization": f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"}),
        ({"tenant": "shop"}, {"Authorization": f"Bearer {SECRET}", "X-Scope-OrgID": "shop"}),
        ({"header": "x-team"}, {"x-team": SECRET}),
    ],
    ids=["a user's password", "a token, and a tenant", "a header of one's own"],
)
def test_the_secret_reaches_the_end_and_is_in_no_other_file(
    tmp_path: Path, stores: tuple[Store, Store], end: dict[str, str], wanted: dict[str, str]
) -> None:
    near, far = stores
    of_both = {"traces": end, "logs": end} if "header" not in end else {"traces": end}
    ends = settings(tuple(f"remote_{kind}" for kind in of_both), **of_both)
    with collector(tmp_path, ends, near, far) as url, far():
        send(url, "traces", "a-span")
        send(url, "logs", "a-record")
        until(lambda: far.has("a-span") and ("logs" not in of_both or far.has("a-record")))
        page = requests.get((tmp_path / "page").read_text(), timeout=10).text
    assert all(had == wanted for had in far.request_headers(wanted))
    assert {*far.paths} == {"/v1/traces", "/otlp/v1/logs"} if "logs" in of_both else {"/v1/traces"}
    files = [path.read_text() for path in (tmp_path / "collector.yml", tmp_path / "log")]
    delivered = config_of("otel_collector", ends)
    assert "hunter2" not in "".join([page, *files, json.dumps(dict(delivered.files))])


@pytest.mark.parametrize("url", ["https://far.example.com:4317", "http://far.internal:4317"])
def test_the_collector_takes_the_file_of_a_stack_that_sends_by_grpc(tmp_path: Path, url: str) -> None:
    ends = settings(("remote_traces",), traces={"url": url, "protocol": "grpc"})
    delivered = config_of("otel_collector", ends)
    (tmp_path / "secrets").mkdir()
    for name, text in delivered.files.items():
        (tmp_path / name).write_text(text)
    for name, secret in delivered.secrets.items():
        (tmp_path / "secrets" / name).write_text(secret.render(SECRET))
    binary = str(images.binary("otelcol-contrib"))
    files = ["collector.yml", *(f"secrets/{name}" for name in delivered.secrets)]
    for selection in (files[:1], files):  # the validator has no secrets
        command = [binary, "validate", *(f"--config={file}" for file in selection)]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
