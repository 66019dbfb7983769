"""`make up`: when it updates, and which checks it makes."""

from types import SimpleNamespace
from typing import Any

import pytest

import check
from operate import commands
from tests.support.program import settings_of
from toolchain.report import ToolchainError

KEPT, BROKEN = check.Finding("loki runs", kept=True), check.Finding("loki runs", kept=False)
BESIDE, AFTER = (0, False), (check.PATIENCE_SECONDS, False)
WITH_REQUEST = (check.PATIENCE_SECONDS, True)


class Stack:
    """One that remembers whether it was updated."""

    settings = settings_of()

    def __init__(self, *, new: bool, plan: bool, repairs: tuple[str, ...]) -> None:
        self.new, self.changes, self.repairs, self.updated = new, plan, repairs, False

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def create(self) -> bool:
        return self.new

    def repair(self) -> tuple[str, ...]:
        return self.repairs

    def plan(self, *_: str) -> bool:
        return self.changes

    def update(self, *_: str) -> bool:
        self.updated = True
        return self.changes

    def outputs(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("new", "plan", "repairs", "answers", "checks"),
    [
        pytest.param(
            False, False, (), [[KEPT]], [BESIDE], id="nothing changes and all is well: one check, beside the plan"
        ),
        pytest.param(False, False, (), [[BROKEN], [KEPT]], [BESIDE, AFTER], id="what is not kept yet is waited for"),
        pytest.param(
            False,
            False,
            (),
            [ToolchainError("away"), [KEPT]],
            [BESIDE, AFTER],
            id="an engine that was away is asked again",
        ),
        pytest.param(
            False, True, (), [[KEPT], [KEPT]], [BESIDE, WITH_REQUEST], id="a check of before a change does not count"
        ),
        pytest.param(True, True, (), [[KEPT]], [WITH_REQUEST], id="what is new is not checked before"),
        pytest.param(False, False, ("--refresh",), [[KEPT]], [AFTER], id="what is repaired is not checked before"),
    ],
)
def test_an_update_makes_the_checks_that_can_tell_something(
    monkeypatch: pytest.MonkeyPatch,
    *,
    new: bool,
    plan: bool,
    repairs: tuple[str, ...],
    answers: list[Any],
    checks: list[tuple[float, bool]],
) -> None:
    stack, made, left = Stack(new=new, plan=plan, repairs=repairs), [], list(answers)

    def findings(_: str, patience: float, *, with_request: bool = True, **__: object) -> list[check.Finding]:
        made.append((patience, with_request))
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(commands, "Stack", lambda _: stack)
    monkeypatch.setattr(commands, "policies", lambda _: ())
    monkeypatch.setattr(commands, "engine_setup", SimpleNamespace(ensure=lambda _: None))
    monkeypatch.setattr(commands, "load_settings", lambda _: settings_of())
    monkeypatch.setattr(commands, "findings", findings)
    commands.deploy("test")
    assert made == checks
    assert stack.updated == (plan or bool(repairs))
