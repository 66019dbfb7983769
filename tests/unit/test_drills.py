"""The frame of the drills: what goes wrong is a row, whatever it is, and the page says so."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from drills import clock, drills_page
from drills.frame import DETAIL_LENGTH, Drill, Row, carry_out, chosen, in_short
from drills.ground import Promise
from drills.storage import full, garble

Steps = list[str]


@dataclass
class Fake:
    steps: Steps = field(default_factory=list)

    def recover(self) -> None:
        self.steps.append("recovered")


def drill(name: str, error: Exception | None = None) -> "Drill[Fake]":
    def run(ground: Fake) -> str:
        ground.steps.append(name)
        if error:
            raise error
        return "3 s"

    return Drill(name, f"cause of {name}", "all holds", run)


def row(name: str, *, outcome: bool = True, detail: str = "") -> Row:
    return Row(name, "cause", "all holds", outcome, 12.3, detail, "2026-11-24")


def test_a_drill_that_fails_is_a_row_and_the_next_one_has_a_whole_stack() -> None:
    ground = Fake()
    rows = list(
        carry_out([drill("one"), drill("two", AssertionError("3 lines\n  are missing")), drill("three")], ground)
    )
    assert [(each.name, each.held, each.detail) for each in rows] == [
        ("one", True, "3 s"),
        ("two", False, "3 lines are missing"),
        ("three", True, "3 s"),
    ]
    assert ground.steps == ["one", "two", "recovered", "three"]


@pytest.mark.parametrize(
    "error", [AssertionError(), KeyError("x"), TimeoutError("late"), RuntimeError("why")], ids=repr
)
def test_whatever_is_raised_is_a_failed_row(error: Exception) -> None:
    [failure] = carry_out([drill("one", error)], Fake())
    assert not failure.held
    assert failure.detail


def test_the_words_of_a_failure_are_cut_in_their_middle() -> None:
    words = in_short(AssertionError("begin " + "x" * 5000 + " end"))
    assert words.startswith("begin")
    assert words.endswith("end")
    assert len(words) <= DETAIL_LENGTH + 3


def test_a_failed_command_that_ends_with_a_check_tells_what_is_broken() -> None:
    output = "exit code 1 from up:\n" + "✓ is so\n" * 500 + "✗ loki is healthy  exited\n" + "✓ is so\n" * 500
    assert in_short(AssertionError(output)) == "exit code 1 from up: ✗ loki is healthy exited"


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("", ["kill-all", "kill-alloy", "stop-alloy"]),
        ("kill-all", ["kill-all"]),
        ("kill", ["kill-all", "kill-alloy"]),
        ("stop-, kill-alloy", ["kill-alloy", "stop-alloy"]),
    ],
)
def test_only_chooses_by_name_or_its_beginning(only: str, names: Steps) -> None:
    every = [drill("kill-all"), drill("kill-alloy"), drill("stop-alloy")]
    assert [one.name for one in chosen(every, only)] == names


def test_a_word_that_names_no_drill_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no drill is called restart; there are one, two"):
        chosen([drill("one"), drill("two")], "one,restart")


def test_rows_of_this_run_replace_those_of_the_same_name_and_keep_the_order_of_the_drills() -> None:
    before = [vars(row("b")), vars(row("gone")), vars(row("a", outcome=False))]
    rows = drills_page.merged(before, [row("a"), row("c")], ["a", "b", "c", "d"])
    assert [(each["name"], each["held"]) for each in rows] == [("a", True), ("b", True), ("c", True)]


def test_the_page_says_which_drills_failed_and_which_have_not_run(tmp_path: Path) -> None:
    rows = [row("a", detail="1 | 2"), row("b", outcome=False, detail="3 lines are missing")]
    drills_page.write(rows, {"Faults": ["a", "b", "c"]}, {"Docker": "20.10"}, tmp_path)
    page = (tmp_path / "drills.md").read_text()
    assert "2 of 3 drills, 1 failed." in page
    assert "| `a` | cause | all holds | held: 1 \\| 2 | 12 |" in page
    assert "**failed**: 3 lines are missing" in page
    assert "| `c` |  |  | not run yet |  |" in page
    assert len(json.loads((tmp_path / "drills.json").read_text())["rows"]) == 2


def test_the_page_abbreviates_a_whole_promise(tmp_path: Path) -> None:
    whole = replace(row("a"), holds=Promise().text)
    drills_page.write(
        [whole, replace(whole, name="b", holds=Promise(alert=False).text)], {"Faults": ["a", "b"]}, {}, tmp_path
    )
    page = (tmp_path / "drills.md").read_text()
    assert f"- **everything**: {whole.holds}\n" in page
    assert "| `a` | cause | everything |" in page
    assert f"| `b` | cause | {Promise(alert=False).text} |" in page


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        (
            Promise(),
            "every line once, every trace, samples from before stay, scraped at least every 30 s, alert sent once",
        ),
        (Promise(undecided=True), "every trace but those that waited for their decision"),
        (Promise(lines=False, traces=False), "every line once from the heal on, every trace from the heal on"),
        (Promise(scraped=False), "samples from before stay"),
        (Promise(history=False, scraped=False), "samples from the heal on"),
        (Promise(), "alert sent once, and its end, check green"),
        (Promise(ended=False), "alert sent once, its end an hour late, check green"),
    ],
)
def test_what_is_promised_stands_in_the_table(promise: Promise, words: str) -> None:
    assert words in promise.text


def test_a_clock_of_the_stack_jumps_both_ways_and_make_up_mends_what_is_ahead() -> None:
    causes = {drill.name: drill.cause for drill in clock.drills()}
    for way in ("ahead", "behind"):
        assert {f"clock-{way}-all", f"clock-{way}-prometheus"} <= causes.keys()
    assert {name for name, cause in causes.items() if "make up" in cause} == set(clock.SET_ASIDE)


def test_every_drill_has_a_name_of_its_own_and_there_are_enough() -> None:
    from drills.__main__ import GROUPS, NAMES  # noqa: PLC0415 - the others need no drill

    names = [name for group in NAMES.values() for name in group]
    assert len(names) == len(set(names))
    assert len(GROUPS["Bad inputs"]) >= 40
    assert len(names) - len(GROUPS["Bad inputs"]) >= 40


def test_a_file_that_was_made_larger_in_advance_is_garbled_where_it_was_written(tmp_path: Path) -> None:
    file, before = tmp_path / "000001.vlog", bytes(range(1, 256)) * 900
    with file.open("wb") as opened:
        opened.write(before)
        opened.truncate(2**31)
    garble(file)
    with file.open("rb") as opened:
        after = opened.read(len(before))
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert len(before) // 3 - 4096 < changed[0] < changed[-1] < len(before) * 2 // 3 + 4096
    assert file.stat().st_size == 2**31
    assert file.stat().st_blocks * 512 < 2**20


def test_a_folder_that_is_no_disk_of_its_own_is_not_filled(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no disk of its own"), full(tmp_path):
        pass
