"""Whether a stack on the engine belongs to a living test session or is left over."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.leftovers import PREFIX, is_left, new_prefix

NOW = datetime.now(UTC)
LONG_AGO = (NOW - timedelta(hours=2)).isoformat()


@pytest.fixture
def session() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, and the prefix that it has taken."""
    code = (
        "from tests.support.leftovers import new_prefix; import time; print(new_prefix(), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_what_a_living_session_has_is_left_alone_however_old_it_is(
    session: tuple[subprocess.Popen[str], str],
) -> None:
    assert not is_left(f"{session[1]}-prometheus", LONG_AGO)
    assert not is_left(new_prefix(), LONG_AGO)  # of our own


def test_what_a_killed_session_had_is_known_at_once(session: tuple[subprocess.Popen[str], str]) -> None:
    process, prefix = session
    process.kill()
    process.wait()
    for name in (prefix, f"{prefix}-prometheus", f"/{prefix}-shop-nginx"):
        assert is_left(name, NOW.isoformat())


@pytest.mark.parametrize("place", ["", "0000"], ids=["an older name", "another machine's, or before a restart"])
def test_a_container_of_an_unknown_session_is_left_over_after_an_hour(place: str) -> None:
    name = f"{PREFIX}{place}12ab34-loki"
    assert not is_left(name, NOW.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"))
    assert is_left(name, LONG_AGO)


@pytest.mark.parametrize("name", ["nervous-dev-loki", "ns-e2e", f"{PREFIX}shop-loki", f"my-{PREFIX}12ab34"])
def test_what_no_test_has_made_is_never_left(name: str) -> None:
    assert not is_left(name, LONG_AGO)
