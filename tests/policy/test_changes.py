"""Bad changes of this project are stopped by the policies that are for them, good ones are let through."""

from pathlib import Path

import pytest

from tests.policy.changes import BAD, GOOD
from tests.policy.engine import refusals
from tests.policy.program import Change, declare


@pytest.mark.parametrize(("change", "policies"), BAD.values(), ids=BAD.keys())
def test_a_bad_change_is_refused(change: Change, policies: set[str], tmp_path: Path) -> None:
    found = refusals(declare(change, tmp_path))
    assert found.keys() == policies, found


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD.keys())
def test_a_good_change_is_let_through(change: Change, tmp_path: Path) -> None:
    assert refusals(declare(change, tmp_path)) == {}
