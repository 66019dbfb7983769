"""What an exporter consists of: the table in docs/architecture.md, held against every exporter there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.alerts import EVERYTHING as EVERY_JOB
from config.alerts import Alert, groups, render
from config.catalogue import ROWS
from config.images import pins
from config.row import Row
from config.services.descriptions import describe
from config.services.metrics.scrape import watched
from tests.support.program import EXPORTERS, PINNED, settings_of
from toolchain.images.recipes import RECIPES

ROOT = Path(__file__).parents[2]
SECTION = "## Add an exporter in six files"
EXPORTER_ROWS = [row for row in ROWS.values() if row.board]


def table() -> list[str]:
    """Files that docs/architecture.md says an exporter consists of, with `<exporter>`, `<server>` and `<Alert>` in them."""
    section = (ROOT / "docs" / "architecture.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\S+)` \|", section, re.MULTILINE)


def alerts_of(row: Row) -> list[str]:
    [group] = [group for group in groups(settings_of(), EVERY_JOB) if group.name == row.watches]
    return [rule.name for rule in group.rules if isinstance(rule, Alert)]


def missing(row: Row, alerts: list[str], root: Path = ROOT) -> Iterator[str]:
    """Files of the table that `row` lacks, and those that do not name it."""
    assert row.watches
    for file in table():
        for alert in alerts if "<Alert>" in file else [""]:
            path = root / file.replace("<exporter>", row.name).replace("<server>", row.watches).replace(
                "<Alert>", alert
            )
            if not path.is_file():
                yield f"{path.relative_to(root)} is missing"
            elif "<" not in file and row.name not in path.read_text():
                yield f"{path.relative_to(root)} does not name {row.name}"


def test_an_exporter_is_at_most_six_files() -> None:
    assert len(table()) == len(set(table())) <= 6
    assert all((ROOT / file).is_file() for file in table() if "<" not in file)


@pytest.mark.parametrize("row", EXPORTER_ROWS, ids=lambda row: row.name)
def test_an_exporter_has_every_file_of_the_table(row: Row) -> None:
    alerts = alerts_of(row)
    assert alerts
    assert not list(missing(row, alerts))


def test_an_exporter_that_is_only_a_row_is_told_what_it_lacks() -> None:
    row = Row(
        name="sample_exporter",
        stack="metrics",
        image=pins()["redis_exporter"],
        memory=1,
        watches="sample",
        board="host",
    )
    assert list(missing(row, ["SampleDown", "SampleFull"])) == [
        "config/exporter_rows.py does not name sample_exporter",
        "config/services/metrics/sample_exporter.py is missing",
        "config/alerts/sample.py is missing",
        "tests/rules/sample.test.yml is missing",
        "docs/runbooks/SampleDown.md is missing",
        "docs/runbooks/SampleFull.md is missing",
        "toolchain/images/faces.yaml does not name sample_exporter",
    ]


@pytest.mark.parametrize("row", EXPORTER_ROWS, ids=lambda row: row.name)
def test_the_row_is_enough_for_setting_container_job_alerts_and_image(row: Row) -> None:
    assert row.watches
    settings = settings_of({"exporters": {row.watches: EXPORTERS[row.watches]}, "images": PINNED})
    assert row.name in settings.services
    assert row.name not in settings_of().services
    assert describe(row.name, settings).port == row.port
    assert row.name in watched(settings)
    assert f"rules/{row.watches}.yml" in render(settings, watched(settings))
    assert settings.subject_of(row.name) == row.watches
    assert row.name in RECIPES
