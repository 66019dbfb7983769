"""The check of what the stack may do by itself; the engine's answers are recorded here."""

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from check import healing
from check.finding import Finding
from config.container import STACK_LABEL
from tests.support.program import settings_of

LIVE = {"alert": "ApplicationDown", "restart": "shop-orders-1", "at_most": "2 per 1h", "dry_run": False}
SILENCE = {
    "alert": "ApplicationDown",
    "silence": {"alert": "ApplicationErrorsHigh", "service": "orders"},
    "at_most": "1 per 1h",
}


class Engine:
    """Stands for the Docker client."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self._labels = {name.replace("_", "-"): container_labels for name, container_labels in labels.items()}
        self.containers = self

    def get(self, name: str) -> Any:
        if name == "nervous-test-healer":
            return SimpleNamespace(name=name)
        if name not in self._labels:
            raise NotFound(name)
        return SimpleNamespace(labels=self._labels[name])


def findings_of(
    engine: Engine,
    *actions: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    statuses: tuple[str, ...] = ("403", "403"),
) -> list[Finding]:
    answers = iter(statuses)
    monkeypatch.setattr(healing, "execute", lambda *_: (0, f"{next(answers)}\n"))
    settings = settings_of({"notifications": {"incidents": {}}, "actions": [*actions]})
    return [*healing.findings(engine, settings)]  # type: ignore[arg-type]


def test_a_stack_that_may_do_nothing_promises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings_of(Engine(), monkeypatch=monkeypatch) == []


@pytest.mark.parametrize(
    ("engine", "action", "detail"),
    [
        (Engine(shop_orders_1={}), LIVE, "live; 2 per 1h"),
        (Engine(shop_orders_1={}), {**LIVE, "dry_run": True}, "dry run; 2 per 1h"),
        (Engine(), LIVE, "live; 2 per 1h; there is no container shop-orders-1 now"),
        (Engine(shop_orders_1={STACK_LABEL: "x"}), LIVE, "live; 2 per 1h; denied: shop-orders-1 is a container of the stack x"),
        (Engine(shop_orders_1={"com.docker.compose.service": "orders"}), LIVE, "live; 2 per 1h; only for alerts that name the container: its service is orders, so set service: orders"),
        (Engine(shop_orders_1={"com.docker.compose.service": "orders"}), {**LIVE, "service": "orders"}, "live; 2 per 1h"),
        (Engine(shop_orders_1={"com.docker.compose.service": "shop-orders"}), LIVE, "live; 2 per 1h"),
    ],
)  # fmt: skip
def test_each_action_is_told_with_its_mode_and_what_it_lacks(
    engine: Engine, action: dict[str, Any], detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding, _ = findings_of(engine, action, monkeypatch=monkeypatch)
    assert (finding.what, finding.kept) == ("when ApplicationDown fires: restart shop-orders-1", True)
    assert finding.detail == detail


@pytest.mark.parametrize(
    ("statuses", "outcome", "detail"),
    [
        (("403", "403"), True, "2 other requests refused"),
        (("404", "403"), False, "POST /containers/nervous-test-nobody/restart: 404"),
        (("403", "200"), False, "GET /info: 200"),
        (("403", ""), False, "GET /info: exit code 0"),
    ],
    ids=["shut", "open for restarts", "open for reading", "no answer"],
)
def test_a_door_that_lets_something_else_through_is_told(
    statuses: tuple[str, ...], detail: str, monkeypatch: pytest.MonkeyPatch, *, outcome: bool
) -> None:
    *_, door = findings_of(Engine(), LIVE, monkeypatch=monkeypatch, statuses=statuses)
    assert (door.kept, door.detail) == (outcome, detail)


@pytest.mark.parametrize(
    ("labels", "detail"),
    [
        ({"com.docker.compose.project": "shop", "com.docker.compose.service": "shop-orders"}, "live; 2 per 1h"),
        ({}, "live; 2 per 1h; denied: shop-orders-1 was not made by Docker Compose"),
    ],
    ids=["of Compose", "of somebody else"],
)
def test_a_roll_back_is_told_and_its_door_is_knocked_at(
    labels: dict[str, str], detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = {**{key: value for key, value in LIVE.items() if key != "restart"}, "roll_back": "shop-orders-1"}
    finding, door = findings_of(Engine(shop_orders_1=labels), action, monkeypatch=monkeypatch)
    assert (finding.what, finding.detail) == ("when ApplicationDown fires: roll shop-orders-1 back", detail)
    assert (door.what, door.kept) == ("the door that rolls back lets nothing else through", True)


def test_without_a_door_none_is_knocked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    [finding] = findings_of(Engine(), SILENCE, monkeypatch=monkeypatch, statuses=())
    assert finding.what == "when ApplicationDown fires: silence ApplicationErrorsHigh of orders"
