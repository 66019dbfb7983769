"""Whether downloads can be reached: decided in time, and remembered only where asking is slow."""

import threading
import time
from pathlib import Path

import pytest

from toolchain import reach


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(reach, "SECONDS", 0.2)
    monkeypatch.setattr(reach, "SLOW_SECONDS", 0.1)


def _hangs() -> bool:
    threading.Event().wait(5)
    return True


def test_who_answers_is_not_silent() -> None:
    assert reach.silent({"a": lambda: True, "b": lambda: False}) == {"b"}


def test_a_look_up_that_hangs_is_not_waited_for() -> None:
    start = time.monotonic()
    assert reach.silent({"a": _hangs, "b": lambda: True}) == {"a"}
    assert time.monotonic() - start < 1


def test_a_slow_silence_is_remembered_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    reach.silent({"a": _hangs})
    assert reach.silent({"a": lambda: True}) == {"a"}
    later = time.time() + reach.REMEMBER_SECONDS + 1
    monkeypatch.setattr("time.time", lambda: later)
    assert reach.silent({"a": lambda: True}) == set()


def test_a_quick_refusal_is_asked_again() -> None:
    assert reach.silent({"a": lambda: False}) == {"a"}
    assert reach.silent({"a": lambda: True}) == set()


def test_a_broken_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "nervous-system").mkdir()
    (tmp_path / "nervous-system" / "silent.json").write_text("{half")
    assert reach.silent({"a": lambda: True}) == set()
