"""The pipeline as it is described. What it does to lines is in `tests/rules` and `tests/e2e`, by the shippers themselves."""

import json
from collections.abc import Iterator, Sequence
from typing import get_args

import pytest

from config.services.logs.log_levels import LEVELS
from config.services.logs.log_pipeline import LABELS, stages
from config.services.logs.log_stages import Stage
from config.settings.logs import Level
from tests.support.program import refusal, settings_of


def every(stages: Sequence[Stage]) -> Iterator[Stage]:
    """Each stage, those inside of others too."""
    for stage in stages:
        yield stage
        yield from every(stage.stages)


def stages_of(kind: str, config: dict[str, object] | None = None) -> list[Stage]:
    return [stage for stage in every(stages(settings_of({"logs": config or {}}))) if stage.kind == kind]


def test_the_last_word_is_which_labels_remain() -> None:
    assert stages(settings_of())[-1] == Stage("label_keep", {"values": list(LABELS)})
    assert LABELS == ("service", "level", "source")


def test_labels_are_made_of_what_has_few_values_only() -> None:
    assert [stage.arguments["values"] for stage in stages_of("labels")] == [
        {"service": "service"},
        {"level": "level", "answered": "answered"},  # the latter only until the end of the pipeline
        {"status": "status"},
        {"level": "level"},
        {"masks": "masks"},
    ]


def test_metadata_has_an_order_or_equal_lines_would_differ_for_loki() -> None:
    keys = [list(stage.arguments["values"]) for stage in stages_of("structured_metadata")]
    assert keys == [["trace_id"], ["span_id"], ["own_time"], ["container"], ["stream"], ["filename"], ["unit"]]


def test_nothing_is_joined_after_lines_have_been_told_apart() -> None:
    """The branches of a match run side by side: lines may overtake each other there."""
    kinds = [stage.kind for stage in stages(settings_of())]
    outside = [index for index, kind in enumerate(kinds) if kind == "multiline"]
    [file_service, *_] = [index for index, kind in enumerate(kinds) if kind == "match"]
    assert max(outside) < min(index for index, kind in enumerate(kinds) if kind == "match" and index > file_service)


def test_blocks_are_bounded_and_a_later_step_waits_longer_for_what_an_earlier_one_may_keep() -> None:
    assert {stage.arguments["max_lines"] for stage in stages_of("multiline")} == {256}
    assert [stage.arguments["max_wait_time"] for stage in stages_of("multiline")] == ["2s", "5s"]


def test_every_level_has_spellings_and_no_spelling_two() -> None:
    assert set(LEVELS) | {"unknown"} == set(get_args(Level))
    words = [word for level in LEVELS.values() for word in level.split()]
    assert len(words) == len(set(words))


def test_the_fuse_knows_the_service_and_no_warning() -> None:
    [fuse] = [stage for stage in stages(settings_of({"logs": {"fuse": {"lines": 7, "burst": 9}}})) if _limits(stage)]
    assert fuse.arguments == {"selector": '{level=~"debug|info"}'}
    assert fuse.stages == (Stage("limit", {"rate": 7, "burst": 9, "drop": True, "by_label_name": "service"}),)


def _limits(stage: Stage) -> bool:
    return any(inner.kind == "limit" for inner in stage.stages)


def test_only_health_checks_and_scrapes_are_dropped_and_counted_by_their_reason() -> None:
    reasons = [stage.arguments.get("drop_counter_reason") for stage in every(stages(settings_of()))]
    assert [reason for reason in reasons if reason] == ["health_check", "scrape"]


def test_requests_are_counted_by_labels_of_few_values_and_before_the_fuse_drops_lines() -> None:
    top = stages(settings_of())
    [(place, counted)] = [(i, one) for i, one in enumerate(top) if any(inner.kind == "metrics" for inner in one.stages)]
    kinds = [inner.kind for inner in counted.stages]
    assert kinds[-4:] == ["label_keep", "labels", "metrics", "labels"]
    assert counted.stages[-4].arguments == {"values": ["service", "source"]}
    assert place < next(i for i, one in enumerate(top) if _limits(one))


def test_series_of_requests_do_not_stay_for_ever() -> None:
    [metrics] = stages_of("metrics")
    assert [(one.kind, one.arguments["max_idle_duration"]) for one in metrics.stages] == [
        ("counter", "1h"),
        ("histogram", "1h"),
    ]


def test_the_stacks_own_services_are_not_counted() -> None:
    [counted] = [one for one in stages(settings_of()) if any(inner.kind == "metrics" for inner in one.stages)]
    assert f"{settings_of().prefix}-loki|" in counted.arguments["selector"]


def test_what_the_user_wants_masked_is_masked_too() -> None:
    pattern = r"\b(IBAN[0-9]{20})\b"
    last = stages_of("replace", {"mask": {"iban": pattern}})[-1]
    assert last.arguments == {"expression": pattern, "replace": "<iban>"}


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("IBAN[0-9]{20}", "has 0 groups in parentheses"),
        ("(IBAN)([0-9]{20})", "has 2 groups in parentheses"),
        ("(IBAN", "is not a regular expression"),
        ("(?<=IBAN)([0-9]+)", "looks around or back"),
        (r"(.)\1", "looks around or back"),
    ],
)
def test_a_mask_that_the_shippers_would_refuse_is_refused_before(pattern: str, why: str) -> None:
    message = refusal({"logs": {"mask": {"iban": pattern}}})
    assert "nervous-system:logs.mask" in message
    assert f"iban: {why}" in message


@pytest.mark.parametrize("folder", ["/var/log/apps", "/var/log/apps/", "/srv/logs.d"])
def test_the_service_of_a_file_is_the_first_part_of_its_path(folder: str) -> None:
    [first, *_] = stages_of("regex", {"files": folder})
    plain = folder.rstrip("/").replace(".", r"\.")
    assert first.arguments == {"source": "filename", "expression": rf"^{plain}/(?P<service>[^/]+?)(?:/.*|\.log)$"}


def test_a_bad_time_is_left_alone() -> None:
    [time] = stages_of("timestamp")
    assert time.arguments == {"source": "time", "format": "Unix", "action_on_failure": "skip"}


def test_every_argument_is_plain_data() -> None:
    for stage in every(stages(settings_of())):
        json.dumps(stage.arguments)
