"""Samples from the future are set aside in Prometheus' volume, once, and nothing else is touched."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from check import pages
from config.settings import Settings
from operate import clock_ahead, volume_helper
from tests.support.program import settings_of
from toolchain.report import ToolchainError

NOW = 1_790_000_000.0
TIME = "2026-09-21T14:13:20.123456789Z"
HOUR = 3600


class Host:
    """An engine with a stack, and the order in which its containers were touched."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        sample: float | None = None,
        exemplars: tuple[float, ...] = (),
        code: int = 0,
    ) -> None:
        self.calls: list[str] = []
        self.containers = SimpleNamespace(get=self._get)
        self.images = SimpleNamespace(get=lambda _: None)

        def metric(_: object, __: object, service: str, name: str) -> float:
            assert (service, name) == ("prometheus", clock_ahead.NEWEST_SAMPLE)
            if sample is None:
                raise LookupError("no container")
            return sample

        def ask(_: object, __: object, service: str, path: str) -> Any:
            assert service == "prometheus"
            query = parse_qs(urlsplit(path).query)
            begin, end = float(query["start"][0]), float(query["end"][0])
            matches = [{"timestamp": at} for at in exemplars if begin <= at <= end]
            return {"data": [{"exemplars": matches}]}

        @contextmanager
        def helper(*_: object, volume: str, **__: object) -> Iterator[str]:
            yield volume

        def execute(helper: str, command: list[str]) -> tuple[int, str]:
            self.calls.append(f"{helper}: {command[-1]}")
            return code, "no space left\n"

        monkeypatch.setattr(pages, "metric", metric)
        monkeypatch.setattr(pages, "ask", ask)
        monkeypatch.setattr(volume_helper, "helper", helper)
        monkeypatch.setattr(volume_helper, "execute", execute)

    def info(self) -> dict[str, str]:
        return {"SystemTime": TIME}

    def _get(self, name: str) -> Any:
        return SimpleNamespace(
            stop=lambda timeout: self.calls.append(f"stop {name} within {timeout}"),
            restart=lambda timeout: self.calls.append(f"restart {name} within {timeout}"),
            start=lambda: self.calls.append(f"start {name}"),
        )


def settings() -> Settings:
    return settings_of({}, stack="dev")


@pytest.mark.parametrize(
    "newest",
    [{"sample": NOW + HOUR}, {"sample": NOW, "exemplars": (NOW - 5, NOW + HOUR)}],
    ids=["a sample", "an exemplar"],
)
def test_what_is_an_hour_ahead_is_set_aside_and_the_collector_forgets_it_before_prometheus_asks(
    newest: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(monkeypatch, **newest)
    clock_ahead.set_aside(settings(), host)  # type: ignore[arg-type]
    stop, moved, restart, start = host.calls
    assert stop == "stop nervous-dev-prometheus within 60"
    assert moved.startswith("nervous-dev-prometheus: cd /data && mkdir ahead-")
    assert "wal wbl chunks_head" in moved
    assert restart.startswith("restart nervous-dev-otel_collector within ")
    assert start == "start nervous-dev-prometheus"
    assert "1.0 h ahead" in capsys.readouterr().out


@pytest.mark.parametrize(
    "newest",
    [{}, {"sample": -1e9}, {"sample": NOW - 5, "exemplars": (NOW - HOUR,)}, {"sample": NOW + 14 * 60}],
    ids=["it does not run", "it has nothing yet", "it is up to date", "it is over soon"],
)
def test_nothing_is_touched_when(newest: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, **newest)
    clock_ahead.set_aside(settings(), host)  # type: ignore[arg-type]
    assert not host.calls


def test_what_cannot_be_moved_is_told_and_prometheus_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, sample=NOW + HOUR, code=1)
    with pytest.raises(ToolchainError, match="in its volume nervous-dev-prometheus: no space left"):
        clock_ahead.set_aside(settings(), host)  # type: ignore[arg-type]
    assert host.calls[-1] == "start nervous-dev-prometheus"
