"""What a service says it cannot read is set aside, and nothing else, and only while the service does not start."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from config.settings import Settings
from operate import damaged_data, volume_helper
from tests.support.program import settings_of

NOTES = 'level=ERROR msg="error creating notification log" err="proto: illegal wireType 7"'
NOTES_SINCE_0_34 = (
    'level=ERROR msg="alertmanager exited with error" err="error creating notification log: unexpected EOF"'
)
POSITIONS = (
    "invalid yaml positions file [/var/lib/alloy/data/loki.source.docker.containers/positions.yml]: yaml: control"
)
BOLT = """panic: assertion failed: Page expected to be: 3, but self identifies as 0

goroutine 38 [running]:
go.etcd.io/bbolt/internal/common.(*Page).FastCheck(0x7f76687ce000, 0x0?)
"""


@dataclass
class FakeContainer:
    words: str = ""
    restarting: bool = True
    restarts: int = 3
    seconds: float = 0.1
    calls: list[str] = field(default_factory=list)

    @property
    def attrs(self) -> dict[str, Any]:
        began = datetime.now(UTC) - timedelta(seconds=self.seconds)
        state = {"Restarting": self.restarting, "Running": True, "StartedAt": f"{began:%Y-%m-%dT%H:%M:%S}.123456789Z"}
        return {"State": state, "RestartCount": self.restarts}

    def reload(self) -> None:
        self.seconds += damaged_data.SETTLED_SECONDS

    def logs(self, *, since: int) -> bytes:
        assert since
        return self.words.encode()

    def stop(self, *, timeout: int) -> None:
        self.calls.append(f"stop {timeout}")

    def start(self) -> None:
        self.calls.append("start")
        self.restarting, self.restarts = False, 0


class FakeEngine:
    def __init__(self, **containers: FakeContainer) -> None:
        self._containers = {f"nervous-dev-{service}": container for service, container in containers.items()}
        self.containers = SimpleNamespace(get=self._get)
        self.images = SimpleNamespace(get=lambda _: None)

    def _get(self, name: str) -> FakeContainer:
        if name not in self._containers:
            raise NotFound(name)
        return self._containers[name]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that ran beside a volume."""
    scripts: list[str] = []

    @contextmanager
    def helper(*_: object, volume: str, **__: object) -> Iterator[str]:
        yield volume

    def execute(helper: str, command: list[str]) -> tuple[int, str]:
        scripts.append(f"{helper}: {command[-1]}")
        return 0, ""

    monkeypatch.setattr(volume_helper, "helper", helper)
    monkeypatch.setattr(volume_helper, "execute", execute)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return scripts


def settings() -> Settings:
    return settings_of({"traces": {"storage": "badger"}}, stack="dev")


@pytest.mark.parametrize(
    ("service", "words", "moved"),
    [
        ("alertmanager", NOTES, "mv nflog nflog.damaged-"),
        ("alertmanager", NOTES_SINCE_0_34, "mv nflog nflog.damaged-"),
        ("alloy", POSITIONS, "mv loki.source.docker.containers/positions.yml "),
        (
            "jaeger",
            "Error: failed to initialize storage 'traces': manifest has unsupported version: 2069 (we support 8).",
            "mv keys keys.damaged-",
        ),
        ("otel_collector", BOLT, "mv exporter_otlp_grpc_jaeger_traces "),
        (
            "otel_collector",
            'failed to start "otlp_grpc/jaeger" exporter: invalid database',
            "mv exporter_otlp_http_loki_logs ",
        ),
    ],
)
def test_what_a_service_that_does_not_start_names_is_set_aside_in_its_volume(
    service: str, words: str, moved: str, ran: list[str]
) -> None:
    container = FakeContainer(f"starting\n{words}\n")
    damaged_data.set_aside(settings(), FakeEngine(**{service: container}))  # type: ignore[arg-type]
    assert container.calls == ["stop 0", "start"]
    [script] = ran
    assert script.startswith(f"nervous-dev-{service}: cd /data && ")
    assert moved in script


@pytest.mark.parametrize(
    ("service", "container"),
    [
        ("alertmanager", FakeContainer(NOTES, restarting=False, restarts=0)),
        ("alertmanager", FakeContainer(NOTES, restarting=False)),
        ("alertmanager", FakeContainer("level=ERROR err='no route to host'")),
        ("alertmanager", FakeContainer(POSITIONS)),
        ("otel_collector", FakeContainer("panic: nil map\n\ngoroutine 1 [running]:\nmain.run()")),
    ],
    ids=[
        "it runs",
        "it runs again, and goes on",
        "it says something else",
        "these are another one's words",
        "it panics",
    ],
)
def test_a_service_is_left_alone_when(service: str, container: FakeContainer, ran: list[str]) -> None:
    damaged_data.set_aside(settings(), FakeEngine(**{service: container}))  # type: ignore[arg-type]
    assert not container.calls
    assert not ran


def test_no_path_leads_out_of_the_volume(ran: list[str]) -> None:
    container = FakeContainer("invalid yaml positions file [/var/lib/alloy/data/../../etc/passwd]: no")
    damaged_data.set_aside(settings(), FakeEngine(alloy=container))  # type: ignore[arg-type]
    assert not ran
