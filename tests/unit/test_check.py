"""The post-deploy check finds what is broken; the services' answers are recorded here, the real ones are in e2e."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from check import containers, metrics
from check.finding import Finding
from config.settings import Settings
from config.units import MIB

SETTINGS = Settings.model_validate({"environment": "test", "prefix": "ns", "metrics": {"retention": {"time": "60d"}}})


def container(**changes: Any) -> dict[str, Any]:
    """What the engine says of a container that keeps every promise, but for `changes`."""
    limit = changes.pop("limit", 2048)
    state = {"Running": True, "Status": "running", "Health": {"Status": "healthy"}, **changes}
    return {"State": state, "HostConfig": {"Memory": limit * MIB, "MemorySwap": limit * MIB}}


class Engine:
    """Stands for the Docker client: one container per service, and one answer per path."""

    def __init__(self, *, answers: dict[str, Any] | None = None, **services: dict[str, Any] | None) -> None:
        self.services, self.answers = services, answers or {}
        self.containers = self

    def get(self, name: str) -> Any:
        service = name.removeprefix("ns-")
        attributes = self.services.get(service, container(limit=SETTINGS.memory_mib(service)))
        if attributes is None:
            raise NotFound(name)
        return SimpleNamespace(attrs=attributes, exec_run=self.exec_run)

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        for path, answer in self.answers.items():
            if path in command[-1]:
                return 0, json.dumps(answer).encode()
        return 1, b"wget: server returned error: HTTP/1.1 404 Not Found"


def broken(found: Any) -> list[str]:
    return [finding.what for finding in found if not finding.kept]


def test_containers_that_keep_every_promise_are_not_complained_of() -> None:
    assert broken(containers.findings(Engine(), SETTINGS)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prometheus", "complaint"),
    [
        (None, "prometheus runs"),
        (container(Running=False, Status="exited"), "prometheus is healthy"),
        (container(Health={"Status": "unhealthy"}), "prometheus is healthy"),
        (container(Health={"Status": "starting"}), "prometheus is healthy"),
        (container(OOMKilled=True), "prometheus is healthy"),
        (container(limit=4096), "prometheus is limited to 2048 MiB"),
        (container(limit=0), "prometheus is limited to 2048 MiB"),
    ],
    ids=["gone", "exited", "unhealthy", "not healthy yet", "killed for memory", "limit raised by hand", "no limit"],
)
def test_a_container_that_breaks_a_promise_is_named(prometheus: dict[str, Any] | None, complaint: str) -> None:
    assert broken(containers.findings(Engine(prometheus=prometheus), SETTINGS)) == [complaint]  # type: ignore[arg-type]


WELL: dict[str, Any] = {
    "/api/v1/targets": {
        "data": {
            "activeTargets": [
                {"labels": {"job": service, "instance": service}, "health": "up", "lastError": ""}
                for service in SETTINGS.services
            ]
        }
    },
    "/api/v1/status/runtimeinfo": {"data": {"storageRetention": "60d or 45GiB"}},
    "/api/v1/rules": {"data": {"groups": [{"rules": [{"name": "Watchdog", "health": "ok"}]}]}},
    "/api/v1/alertmanagers": {"data": {"activeAlertmanagers": [{"url": "http://alertmanager:9093"}]}},
    "/api/v2/alerts": [{"labels": {"alertname": "Watchdog"}}],
    "/api/v1/query": {"data": {"result": [{"metric": {"name": f"ns-{name}"}} for name in SETTINGS.services]}},
}


def complaints(path: str, answer: Any) -> list[str]:
    return broken(metrics.findings(Engine(answers={**WELL, path: answer}), SETTINGS))  # type: ignore[arg-type]


def test_services_that_keep_every_promise_are_not_complained_of() -> None:
    assert broken(metrics.findings(Engine(answers=WELL), SETTINGS)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        ("/api/v1/status/runtimeinfo", {"data": {"storageRetention": "15d or 45GiB"}}, "metrics are kept 60d, at most 45GiB"),
        ("/api/v1/status/runtimeinfo", {"data": {"storageRetention": "60d"}}, "metrics are kept 60d, at most 45GiB"),
        (
            "/api/v1/rules",
            {"data": {"groups": [{"rules": [{"name": "Sick", "health": "err", "lastError": "many-to-many"}]}]}},
            "every rule can be evaluated",
        ),
        ("/api/v1/alertmanagers", {"data": {"activeAlertmanagers": []}}, "Prometheus knows its Alertmanager"),
        ("/api/v2/alerts", [], "the dead man's switch reaches Alertmanager"),
        ("/api/v1/query", {"data": {"result": []}}, "cAdvisor sees every container"),
    ],
    ids=[
        "shorter time", "no size", "a rule that fails", "no Alertmanager", "no Watchdog", "cAdvisor blind",
    ],
)  # fmt: skip
def test_a_promise_that_prometheus_breaks_is_named(path: str, answer: Any, complaint: str) -> None:
    assert complaints(path, answer) == [complaint]


def test_a_target_that_is_down_is_told_with_its_error() -> None:
    targets = [dict(target) for target in WELL["/api/v1/targets"]["data"]["activeTargets"]]
    targets[0] |= {"health": "down", "lastError": "connection refused"}
    answers = {**WELL, "/api/v1/targets": {"data": {"activeTargets": targets}}}
    found = [f for f in metrics.findings(Engine(answers=answers), SETTINGS) if not f.kept]  # type: ignore[arg-type]
    assert found == [Finding("targets of prometheus are up", kept=False, detail="prometheus: connection refused")]


def test_a_prometheus_that_does_not_answer_is_one_broken_promise() -> None:
    assert broken(metrics.findings(Engine(), SETTINGS)) == ["Prometheus and Alertmanager answer"]  # type: ignore[arg-type]
