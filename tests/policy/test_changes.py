"""Bad changes of this project are refused by exactly the policies meant for them; good changes pass."""

import pytest

from tests.policy.changed_program import Change, declare
from tests.policy.changes import BAD, GOOD
from tests.policy.pack_host import refusals


@pytest.mark.parametrize(("change", "policies"), BAD.values(), ids=BAD.keys())
def test_a_bad_change_is_refused(change: Change, policies: set[str]) -> None:
    answers = refusals(declare(change))
    assert answers.keys() == policies, answers


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD.keys())
def test_a_good_change_passes(change: Change) -> None:
    assert refusals(declare(change)) == {}
