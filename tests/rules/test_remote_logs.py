"""A second copy of the logs, by the real Alloy with a stack's settings, and real Lokis near and far."""

import base64
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from config.container import DIRECTORY
from config.metric_names import ACCESS_LOG_PREFIX
from config.services.logs import alloy, remote_logs, shipper
from config.settings import Settings
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from tests.support.services import running, running_loki
from tests.support.store import Store
from tests.support.wait import until
from tests.unit.relabel import relabelled
from toolchain import images

SECRET = "hunter2 '\""
HOST = "far.internal"
FAR = f"http://{HOST}"
ACCESS = '10.0.0.9 - - [30/Nov/2026:04:00:00 +0000] "GET /orders HTTP/1.1" 200 12 "-" "curl/8"'
"""A line of an access log, in whose requests the pipeline counts."""


def settings(logs: Path, secrets: tuple[str, ...] = (), **end: Any) -> Settings:
    config = {"files": str(logs), "system": "off", "remote": {"url": FAR, **end}}
    return settings_of({"logs": config}, secrets=secrets)


@contextmanager
def shipping(
    folder: Path, stack: Settings, near: int, far: int, moved: Mapping[str, str] | None = None
) -> Iterator[str]:
    """URL of the stack's Alloy, which sends to these two ports. `moved`: host and port of other services → where they are."""
    (folder / "secrets").mkdir(parents=True, exist_ok=True)
    (folder / "secrets" / remote_logs.SECRET).write_text(SECRET)
    text = alloy.config_file(stack).replace(DIRECTORY, str(folder))
    for there, here in (moved or {}).items():
        text = text.replace(there, here)
    text = text.replace(shipper.PUSH_URL, f"http://127.0.0.1:{near}/loki/api/v1/push")
    (folder / "config.alloy").write_text(text.replace(HOST, f"127.0.0.1:{far}"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    flags = [flag for flag in alloy.container(stack).command if flag.startswith(("--disable", "--stability"))]
    command = [images.binary("alloy"), "run", folder / "config.alloy", f"--storage.path={folder / 'data'}", *flags]
    with running(
        [*command, f"--server.http.listen-addr=127.0.0.1:{port}"], f"{url}/-/ready", folder / "log", seconds=60
    ):
        yield url


def lines(loki: str) -> set[str]:
    """All that it has. A line of a file that a killed shipper reads again has another time, so it is there twice."""
    query = {"query": '{source="file"}', "limit": "5000", "since": "1h"}
    streams = requests.get(f"{loki}/loki/api/v1/query_range", params=query, timeout=10).json()["data"]["result"]
    return {text for stream in streams for _, text in stream["values"]}


def series(url: str) -> list[tuple[str, str]]:
    """(name, labels) of all that the shipper counts, as Prometheus stores it with the stack's rules."""
    rules = remote_logs.metric_relabel_configs(settings(Path("/var/log/apps")))
    names = []
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", requests.get(f"{url}/metrics", timeout=10).text, re.MULTILINE):
        plain = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
        if own_labels := relabelled({"__name__": name, **plain}, rules):
            names.append((own_labels["__name__"], own_labels.get("component_id", "")))
    return names


def test_a_store_that_was_away_has_every_line_afterwards_and_the_stack_goes_on_meanwhile(tmp_path: Path) -> None:
    logs, near_port, far_port = tmp_path / "logs", free_port(), free_port()
    (logs / "shop").mkdir(parents=True)
    stack, all_texts = settings(logs), set[str]()

    def write(*texts: str) -> None:
        all_texts.update(texts)
        with (logs / "shop" / "a.log").open("a") as file:
            file.write("".join(f"{text}\n" for text in texts))

    with ExitStack() as whole:
        near = whole.enter_context(running_loki(tmp_path / "near", stack, near_port))
        with shipping(tmp_path / "alloy", stack, near_port, far_port) as url:
            with running_loki(tmp_path / "far", stack, far_port) as far:
                write("before", ACCESS)
                until(lambda: lines(near) == lines(far) == all_texts)
                counted = series(url)
            write(*(f"meanwhile {number:04}" for number in range(1500)))  # more than the shipper's queue of one batch
            until(lambda: lines(near) == all_texts)
        # It is killed while the store is away.
        with shipping(tmp_path / "alloy", stack, near_port, far_port):
            write("after the kill")
            until(lambda: lines(near) == all_texts)
            with running_loki(tmp_path / "far", stack, far_port) as far:
                until(lambda: lines(far) == all_texts)
                write("at last")
                until(lambda: lines(near) == lines(far) == all_texts)
    # Alerts and dashboards count each line and each request once.
    requests_of = {component for name, component in counted if name.startswith(ACCESS_LOG_PREFIX)}
    assert requests_of == {"loki.process.pipeline"}
    assert (f"{remote_logs.METRICS_PREFIX}sent_entries_total", "loki.write.remote") in counted
    assert {component for name, component in counted if name.startswith("loki_write_")} == {"loki.write.loki"}
    assert {component for name, component in counted if name.startswith("loki_source_file_")} == {
        "loki.source.file.files"
    }


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        ({"user": "me"}, {"Authorization": f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"}),
        ({"tenant": "shop"}, {"Authorization": f"Bearer {SECRET}", "X-Scope-OrgID": "shop"}),
    ],
    ids=["a user's password", "a token, and a tenant"],
)
def test_the_secret_reaches_the_store_and_shows_nowhere(
    tmp_path: Path, end: dict[str, str], wanted: dict[str, str]
) -> None:
    logs = tmp_path / "logs"
    (logs / "shop").mkdir(parents=True)
    (logs / "shop" / "a.log").write_text("a line\n")
    stack = settings(logs, (remote_logs.SECRET,), **end)
    far = Store()
    with far(), shipping(tmp_path / "alloy", stack, free_port(), far.port) as url:
        until(lambda: "/loki/api/v1/push" in far.paths)
        pages = [requests.get(f"{url}{path}", timeout=10).text for path in ("/metrics", "/api/v0/web/components")]
    assert far.request_headers(wanted)[far.paths.index("/loki/api/v1/push")] == wanted
    files = [(tmp_path / "alloy" / name).read_text() for name in ("config.alloy", "log")]
    assert "hunter2" not in "".join([*pages, *files, *config_of("alloy", stack).files.values()])


@pytest.mark.parametrize("system", ["journal", "off"])
def test_its_own_validator_accepts_the_config(tmp_path: Path, system: str) -> None:
    authority = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    stack = Settings.model_validate(
        {
            "environment": "test",
            "prefix": "ns",
            "secrets": [remote_logs.SECRET],
            "logs": {"system": system, "remote": {"url": "https://far.example.com", "user": "me", "ca": authority}},
        }
    )
    (tmp_path / "config.alloy").write_text(alloy.config_file(stack))
    command = [str(images.binary("alloy")), "validate", "--stability.level=experimental", "config.alloy"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
