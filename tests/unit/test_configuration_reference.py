"""`docs/configuration.md` says what the settings say."""

import pytest

from config.settings import Settings, reference
from config.settings.loading import load
from config.settings.secret_keys import SECRETS


def test_the_committed_page_is_current() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.render(), (
        "the settings have changed: run  .venv/bin/python -m config.settings.reference"
    )


@pytest.mark.parametrize(
    "row",
    [
        pytest.param("| `prefix` | name | `nervous-<stack>` | Containers,", id="a default that the stack gives"),
        pytest.param("| `metrics.retention.time` | time span | `60d` |", id="a time span"),
        pytest.param("| `memory.prometheus` | size, whole MiB | `2GiB` |", id="a size"),
        pytest.param(
            "| `metrics.limits.samples` | number ≥ 100 | `20000` | Samples per scrape", id="a number with a bound"
        ),
        pytest.param("| `metrics.applications.static[].targets[]` | host:port | **required** |", id="a list in a list"),
        pytest.param("| `metrics.external_labels.<name>` | text | none | Labels added", id="a map"),
        pytest.param("| `exporters.postgres[]` | block | none | `user` needs", id="a list that is empty"),
        pytest.param("| `metrics.applications.discover` | true or false | `true` |", id="a switch"),
        pytest.param("| `publish.prometheus` | address:port | `127.0.0.1:9090` |", id="something that null turns off"),
    ],
)
def test_the_page_shows(row: str) -> None:
    assert row in reference.render()


def test_every_key_and_every_secret_is_on_the_page() -> None:
    page = reference.render()
    missing = [key for key in (*Settings.model_fields, *SECRETS) if f"`{key}" not in page and f"## {key}\n" not in page]
    assert missing == []


def test_the_defaults_that_the_stack_gives_are_those_of_the_loader() -> None:
    settings = load({}, secret_keys=(), project="nervous-system", stack="prod")
    assert reference.OF_STACK["environment"] == "the stack's name"
    assert settings.environment == "prod"
    assert f"`{settings.prefix}`" == reference.OF_STACK["prefix"].replace("<stack>", "prod")
