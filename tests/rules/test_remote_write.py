"""Remote stores, by the real Prometheus with a stack's settings, and a second one as the end."""

import base64
import http.server
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from config.container import DIRECTORY
from config.services.metrics import long_term, prometheus
from config.settings import Settings
from config.yaml_text import dump
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from tests.support.services import running
from tests.support.store import Store
from tests.support.wait import until
from toolchain import golang, images

SECRET = "hunter2"
SERIES = 200
"""Number of series on the page that is scraped each second."""


class Page(http.server.BaseHTTPRequestHandler):
    """A counter that counts how often it was asked for."""

    scrapes = 0

    def do_GET(self) -> None:
        Page.scrapes += 1
        body = "".join(f'asked_total{{n="{n}"}} {Page.scrapes}\n' for n in range(SERIES)) + f"unwanted {Page.scrapes}\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(handler: type[http.server.BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def stack(folder: Path, settings: Settings, ends: dict[str, str], page: str) -> Iterator[str]:
    """URL of the stack's Prometheus. `ends`: name → the address that stands for the one in the settings."""
    (folder / "secrets").mkdir(parents=True)
    delivered = config_of("prometheus", settings)
    for name in delivered.secrets:
        (folder / "secrets" / name).write_text(f"{SECRET}\n")
    main = yaml.safe_load(delivered.files["prometheus.yml"])
    for end in main["remote_write"]:
        end["url"] = ends[end["name"]]
    main["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    main["scrape_configs"] = [{"job_name": "page", "static_configs": [{"targets": [page]}]}]
    main["rule_files"], main["alerting"] = ["rules.yml"], {}
    recorded = [{"record": "service:requests:rate5m", "expr": "asked_total * 0 + 7"}]
    (folder / "rules.yml").write_text(dump({"groups": [{"name": "recorded", "rules": recorded}]}))
    (folder / "prometheus.yml").write_text(dump(main))
    subprocess.run([str(images.binary("promtool")), "check", "config", "prometheus.yml"], cwd=folder, check=True)
    flags = [one for one in prometheus.container(settings).command if one.startswith("--query")]
    with _prometheus(folder, free_port(), *flags) as url:
        yield url


@contextmanager
def kept_here(folder: Path, settings: Settings, port: int) -> Iterator[str]:
    """URL of the stack's VictoriaMetrics, as its container has it but for folder and port."""
    command = [
        part.replace(long_term.DATA, str(folder / "storage"))
        .replace(f":{long_term.PORT}", f"127.0.0.1:{port}")
        .replace(DIRECTORY, str(folder))
        for part in long_term.container(settings).command
    ]
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(exist_ok=True)
    delivered = config_of("long_term", settings)
    for name, text in delivered.files.items():
        (folder / name).write_text(text)
    binary = images.binary("victoria-metrics-prod")
    validate = [str(binary), *shlex.split(delivered.validate or "")[1:]]
    subprocess.run(validate, cwd=folder, check=True, timeout=60)
    with running([binary, *command], f"{url}/health", folder / "log", seconds=30):
        yield url


@contextmanager
def _prometheus(folder: Path, port: int, *flags: str) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    config = folder / "prometheus.yml"
    if not config.exists():
        config.write_text("")
    url = f"http://127.0.0.1:{port}"
    command = [images.binary("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", *flags]
    with running(command, f"{url}/-/ready", folder / "log", seconds=30):
        yield url


def far_away(folder: Path, port: int) -> Any:
    """A Prometheus that takes remote write."""
    return _prometheus(folder, port, "--web.enable-remote-write-receiver")


def values(url: str, query: str) -> list[float]:
    answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=10).json()
    return [float(one["value"][1]) for one in answer["data"]["result"]]


def samples(url: str, name: str, start: float, end: float) -> set[tuple[float, float]]:
    """(time, value) of one series."""
    span = f"{int((end - start) * 1000)}ms"
    query = {"query": f'{name}{{n="0"}}[{span}]', "time": str(end)}
    series = requests.get(f"{url}/api/v1/query", params=query, timeout=10).json()["data"]["result"]
    return {(float(at), float(value)) for one in series for at, value in one["values"]}


def test_an_end_that_was_away_has_every_sample_afterwards_and_the_stack_goes_on_meanwhile(tmp_path: Path) -> None:
    port = free_port()
    write = f"http://127.0.0.1:{port}/api/v1/write"
    config = {"remote_write": [{"name": "far", "url": "http://far.internal/w", "drop": ["unwanted"]}]}
    began = time.time()
    with ExitStack() as whole:
        page = whole.enter_context(served(Page))
        near = whole.enter_context(stack(tmp_path / "near", settings_of({"metrics": config}), {"far": write}, page))
        with far_away(tmp_path / "far", port) as far:
            until(lambda: values(far, "count(asked_total)") == [SERIES])
            assert values(far, 'asked_total{n="0",environment="test"}')  # the stack's own label
            assert not values(far, "unwanted")
        time.sleep(15)  # it is killed, and away
        assert values(near, "time() - timestamp(up)")[0] < 5  # scraped as before
        with far_away(tmp_path / "far", port) as far:
            end = time.time() - 1
            of_near = samples(near, "asked_total", began, end)
            until(lambda: of_near <= samples(far, "asked_total", began, time.time()))
            assert len(of_near) > 15
        text = requests.get(f"{near}/metrics", timeout=10).text
    assert 'prometheus_remote_storage_samples_failed_total{remote_name="far"' in text
    [failed] = [
        line for line in text.splitlines() if line.startswith("prometheus_remote_storage_samples_failed_total{")
    ]
    assert failed.endswith(" 0")


def test_what_waits_for_an_end_that_hangs_is_bounded(tmp_path: Path) -> None:
    class Hangs(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            released.wait(120)

        def log_message(self, *_: object) -> None:
            pass

    released = threading.Event()
    queue = {"shards": 1, "samples": 100}
    config = {"remote_write": [{"name": "hangs", "url": "http://far.internal/w", "queue": queue}]}
    with served(Page) as page, served(Hangs) as hanging:
        near_stack = stack(tmp_path / "near", settings_of({"metrics": config}), {"hangs": f"http://{hanging}/w"}, page)
        with near_stack as near:
            name = "prometheus_remote_storage_samples_pending"
            until(lambda: _metric(near, name) >= 500)
            time.sleep(5)
            assert _metric(near, name) <= 5 * 100 + 2 * 100
            assert values(near, "time() - timestamp(up)")[0] < 5
        released.set()


def _metric(url: str, name: str) -> float:
    text = requests.get(f"{url}/metrics", timeout=10).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name}{{"))


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        ({"user": "me"}, {"Authorization": f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"}),
        ({"tenant": "shop"}, {"Authorization": f"Bearer {SECRET}", "X-Scope-OrgID": "shop"}),
    ],
    ids=["a user's password", "a token, and a tenant"],
)
def test_the_secret_reaches_the_end_and_shows_nowhere(
    tmp_path: Path, end: dict[str, str], wanted: dict[str, str]
) -> None:
    config = {"remote_write": [{"name": "far", "url": "https://far.example.com/w", **end}]}
    settings = settings_of({"metrics": config}, secrets=["remote_far"])
    far = Store()
    with (
        served(Page) as page,
        far(),
        stack(tmp_path / "near", settings, {"far": f"http://127.0.0.1:{far.port}/w"}, page) as near,
    ):
        until(lambda: far.paths)
        pages = [requests.get(f"{near}{path}", timeout=10).text for path in ("/api/v1/status/config", "/metrics")]
    assert far.request_headers(wanted)[0] == wanted
    assert SECRET not in "".join([*pages, (tmp_path / "near" / "log").read_text()])


def test_an_end_for_the_long_term_gets_the_selection_only(tmp_path: Path) -> None:
    port = free_port()
    store = {"url": "http://far.internal/w", "query": "http://far.internal"}
    settings = settings_of({"metrics": {"long_term": store}})
    write = {"long-term": f"http://127.0.0.1:{port}/api/v1/write"}
    with served(Page) as page, far_away(tmp_path / "far", port) as far, stack(tmp_path / "near", settings, write, page):
        until(lambda: values(far, "count(service:requests:rate5m)") == [SERIES])
        names = requests.get(f"{far}/api/v1/label/__name__/values", timeout=10).json()["data"]
    assert names == ["service:requests:rate5m"]


def test_the_store_beside_prometheus_keeps_the_selection_and_outlives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    settings = settings_of({"metrics": {"long_term": {"local": True, "months": 13}}})
    write = {"long-term": f"http://127.0.0.1:{port}/api/v1/write"}
    with served(Page) as page, stack(tmp_path / "near", settings, write, page) as near:
        with kept_here(tmp_path / "kept", settings, port) as url:
            until(lambda: values(url, "count(service:requests:rate5m)") == [SERIES])
            assert requests.post(f"{url}/api/v1/import/prometheus", data="up 1", timeout=10).ok  # kept by nobody
            time.sleep(6)  # what is younger than five seconds may be in memory only
        killed = time.time()
        with kept_here(tmp_path / "kept", settings, port) as url:
            until(lambda: values(url, f"count(service:requests:rate5m @ {killed - 6:.3f})") == [SERIES])
            # Prometheus sends what it could not send meanwhile, and goes on.
            until(lambda: values(url, "time() - max(timestamp(service:requests:rate5m))")[0] < 5)
            names = requests.get(f"{url}/api/v1/label/__name__/values", timeout=10).json()["data"]
            assert names == ["service:requests:rate5m"]
            page_of_kept = requests.get(f"{url}/metrics", timeout=10).text
        text = requests.get(f"{near}/metrics", timeout=10).text
    [failed] = [
        line for line in text.splitlines() if line.startswith("prometheus_remote_storage_samples_failed_total{")
    ]
    assert failed.endswith(" 0")
    # What alerts read is there.
    assert {"vm_data_size_bytes", "vm_storage_is_read_only", "vm_hourly_series_limit_rows_dropped_total"} <= {
        line.split("{")[0].split(" ")[0] for line in page_of_kept.splitlines()
    }


VM = "github.com/VictoriaMetrics/VictoriaMetrics/app"


@contextmanager
def replicated(folder: Path, stores: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Addresses to write to, and to ask, of two stores: each gets everything, and the first that answers is asked."""
    folder.mkdir()
    urls = [f"http://127.0.0.1:{port}" for port in stores]
    write, ask = free_port(), free_port()
    routes = {"unauthorized_user": {"url_prefix": urls, "load_balancing_policy": "first_available"}}
    (folder / "auth.yml").write_text(dump(routes))
    agent: list[object] = [golang.tool("images/long_term", f"{VM}/vmagent"), f"-httpListenAddr=127.0.0.1:{write}"]
    agent += [f"-remoteWrite.tmpDataPath={folder}/queue", *(f"-remoteWrite.url={url}/api/v1/write" for url in urls)]
    auth: list[object] = [golang.tool("images/long_term", f"{VM}/vmauth"), f"-httpListenAddr=127.0.0.1:{ask}"]
    auth += [f"-auth.config={folder}/auth.yml"]
    with (
        running(agent, f"http://127.0.0.1:{write}/health", folder / "agent", seconds=30),
        running(auth, f"http://127.0.0.1:{ask}/health", folder / "auth", seconds=30),
    ):
        yield f"http://127.0.0.1:{write}/api/v1/write", f"http://127.0.0.1:{ask}"


def test_a_long_term_in_two_stores_answers_while_one_is_killed_and_has_everything_in_both_afterwards(
    tmp_path: Path,
) -> None:
    """Two of VictoriaMetrics with vmagent and vmauth before them. Its cluster is in no module that can be had."""
    local = settings_of({"metrics": {"long_term": {"local": True}}})
    far = settings_of({"metrics": {"long_term": {"url": "http://far.internal/w", "query": "http://far.internal"}}})
    ports = (free_port(), free_port())
    one, other = (partial(kept_here, tmp_path / f"store-{port}", local, port) for port in ports)
    answers: list[int] = []
    with ExitStack() as whole:
        page = whole.enter_context(served(Page))
        write, ask = whole.enter_context(replicated(tmp_path / "before", ports))
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        whole.enter_context(other())

        def query_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                answer = requests.get(f"{ask}/api/v1/query", {"query": "count(service:requests:rate5m)"}, timeout=10)
                answers.append(answer.status_code)
                assert answer.json()["data"]["result"], "nothing is found"
                time.sleep(0.1)

        with one():
            whole.enter_context(stack(tmp_path / "near", far, {"long-term": write}, page))
            until(
                lambda: [values(url, "count(service:requests:rate5m)") for url in urls] == [[SERIES], [SERIES]],
                seconds=120,
            )
            query_for(3)
        query_for(8)  # the one that is asked first is killed
        with one():
            query_for(3)
            end = time.time() - 3
            counted = f"sum(count_over_time(service:requests:rate5m[30s] @ {end:.0f}))"
            until(lambda: values(urls[0], counted) == values(urls[1], counted) != [], seconds=120)
    assert {*answers} == {200}
    assert len(answers) > 40


def test_no_store_beside_prometheus_answers_its_remote_read(tmp_path: Path) -> None:
    """Why Grafana has a data source of its own for it (`config/services/correlation/long_term.py`)."""
    settings = settings_of({"metrics": {"long_term": {"local": True}}})
    with kept_here(tmp_path, settings, free_port()) as url:
        assert requests.post(f"{url}/api/v1/read", timeout=10).status_code == requests.codes.bad_request
