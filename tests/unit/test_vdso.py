"""Processes with a clock of their own, for the drills."""

import platform
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from drills import vdso

CLOCKS = """\
import time
while input():
    print(time.time(), time.monotonic(), flush=True)
"""
ON_X86_64 = pytest.mark.skipif(platform.machine() != vdso.MACHINE, reason=f"the code is that of {vdso.MACHINE}")
Clocks = subprocess.Popen[str]


@pytest.fixture
def clocks() -> Iterator[Clocks]:
    with subprocess.Popen(
        [sys.executable, "-c", CLOCKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        yield child
        child.kill()


def ahead(child: Clocks) -> tuple[float, float]:
    """By how much the child's time of day, and its monotonic clock, are ahead of ours."""
    assert child.stdin
    assert child.stdout
    print("?", file=child.stdin, flush=True)
    day, monotonic = map(float, child.stdout.readline().split())
    return day - time.time(), monotonic - time.monotonic()


@ON_X86_64
@pytest.mark.parametrize("seconds", [3600, -3600, 1, 86_400 * 365])
def test_only_the_time_of_day_of_a_process_jumps_and_it_jumps_back(clocks: Clocks, seconds: int) -> None:
    assert ahead(clocks) == pytest.approx((0, 0), abs=0.9)
    vdso.set_clock([clocks.pid], seconds)
    assert ahead(clocks) == pytest.approx((seconds, 0), abs=0.9)
    vdso.set_clock([clocks.pid], 0)
    assert ahead(clocks) == pytest.approx((0, 0), abs=0.9)


@ON_X86_64
def test_a_clock_can_jump_twice(clocks: Clocks) -> None:
    vdso.set_clock([clocks.pid], 3600)
    vdso.set_clock([clocks.pid], -60)
    assert ahead(clocks) == pytest.approx((-60, 0), abs=0.9)


@ON_X86_64
def test_a_process_that_has_ended_is_left_out(clocks: Clocks) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    vdso.set_clock([ended.pid, clocks.pid], 3600)
    assert ahead(clocks) == pytest.approx((3600, 0), abs=0.9)


@ON_X86_64
def test_a_vdso_without_room_is_refused() -> None:
    image = vdso.image()
    with pytest.raises(ValueError, match=r"no room for \d+ more bytes"):
        vdso.patches(image[:-1] + b"x", 3600)


@ON_X86_64
def test_a_vdso_without_one_of_the_functions_is_refused() -> None:
    image = vdso.image().replace(b"__vdso_time", b"__vdso_mite")
    with pytest.raises(ValueError, match="has no __vdso_time"):
        vdso.patches(image, 3600)


def test_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(OSError, match="only, and this is aarch64"):
        vdso.set_clock([1], 3600)
