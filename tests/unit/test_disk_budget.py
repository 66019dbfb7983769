"""One number, what the stack may fill, gives each signal its share of the disk."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.services import descriptions
from config.settings import Settings, disk_budget
from config.settings.loading import SettingsError
from tests.support.program import EVERYTHING, PROJECT, settings_of

GIB = 2**30


def shares(settings: Settings) -> dict[str, float]:
    """Of what follows from the budget, in GiB."""
    return {name: size / GIB for name, size in disk_budget.shares(settings).items() if "." in name}


def test_the_defaults_are_the_shares_of_the_default_budget() -> None:
    assert settings_of({"disk": {"budget": "100GiB"}}) == settings_of()
    wanted = {"metrics.retention.size": 45, "logs.budget.disk": 30, "traces.disk": 20, "traces.queue": 1}
    assert shares(settings_of()) == wanted


@pytest.mark.parametrize("budget", ["40GiB", "50GB", "93GiB", "400GiB"])
def test_whatever_the_budget_is_the_shares_fit_into_it(budget: str) -> None:
    settings = settings_of({"disk": {"budget": budget}, "logs": {"retention": {"time": "7d"}}})
    assert 0.9 * settings.disk.budget < sum(disk_budget.shares(settings).values()) <= settings.disk.budget


def test_what_is_set_is_not_split_anew() -> None:
    config = {
        "disk": {"budget": "50GiB"},
        "metrics": {"retention": {"time": "15d", "size": "5GiB"}},
        "logs": {"retention": {"time": "7d"}, "budget": {"per_day": "100MB"}},
    }
    settings = settings_of(config)
    assert shares(settings) == {
        "metrics.retention.size": 5,
        "logs.budget.disk": 15,
        "traces.disk": 10,
        "traces.queue": 0.5,
    }
    assert settings.metrics.retention.time == "15d"


def test_what_is_kept_elsewhere_takes_no_share() -> None:
    elsewhere = {**EVERYTHING, "traces": {"storage": "elasticsearch", "cluster": {"url": "http://far:9200"}}}
    assert set(shares(settings_of(elsewhere))) == {"metrics.retention.size", "metrics.long_term.disk", "traces.queue"}
    both = {"logs": {"s3": {"bucket": "logs", "since": "2026-01-01"}}}
    assert "logs.budget.disk" in shares(settings_of(both))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"disk": {"budget": "3GiB"}}, "disk.budget: below 4GiB nothing is kept"),
        ({"disk": {"budget": "much"}}, "disk.budget: "),
        ({"disk": "100GiB"}, "disk: must be a mapping of keys"),
        ({"disk": {"budget": "50GiB"}, "metrics": "none"}, "metrics: must be a mapping of keys"),
        (
            {"metrics": {"retention": {"size": "80GiB"}}},
            "disk.budget: the shares add up to 131.3 GiB, the budget is 100.0 GiB (metrics.retention.size 80.0, logs.budget.disk 30.0",
        ),
        (
            {"logs": {"retention": {"time": "60d"}}},
            "logs.retention.time: 60 days of 1 GB (logs.budget.per_day) are 55.9 GiB, and logs.budget.disk is 30.0 GiB",
        ),
        ({"disk": {"budget": "80GiB"}}, "logs.retention.time: 30 days of 1 GB (logs.budget.per_day) are 27.9 GiB"),
    ],
)
def test_what_does_not_fit_is_told_with_its_numbers(config: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings_of(config)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("file", sorted(Path().glob("Pulumi.*.yaml")), ids=str)
def test_the_stacks_of_this_project_fit(file: Path) -> None:
    config = yaml.safe_load(file.read_text())["config"]
    settings = settings_of({key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()})
    assert sum(disk_budget.shares(settings).values()) <= settings.disk.budget


def test_the_containers_own_logs_are_counted_as_docker_rotates_them() -> None:
    settings = settings_of()
    running = len(
        descriptions.of_stack("metrics", settings)
        + descriptions.of_stack("logs", settings)
        + descriptions.of_stack("traces", settings)
    )
    logs = disk_budget.shares(settings)["the containers' own logs"]
    assert logs == running * disk_budget.LOG_FILES * disk_budget.LOG_FILE == running * 30 * 2**20
