"""How the exporter reaches PostgreSQL."""

import subprocess
from pathlib import Path

import pytest

from config.container import Container
from config.services.metrics.postgres_exporter import no_blank
from tests.support.program import config_of, described, refusal, settings_of

PASSWORD = ["postgres_password"]


def exporter(secrets: list[str], **differences: str) -> Container:
    postgres = {"address": "db:5432", **differences}
    return described("postgres_exporter", settings_of({"exporters": {"postgres": postgres}}, secrets=secrets))


def test_it_connects_to_the_database_of_the_settings() -> None:
    service = exporter([], user="watcher", database="shop", sslmode="verify-full")
    assert service.environment == {
        "DATA_SOURCE_URI": "db:5432?sslmode=verify-full",
        "PGUSER": "watcher",
        "PGDATABASE": "shop",
    }
    assert service.config is None


@pytest.mark.parametrize("name", ["exporter ro", "100%", "a/b?c#d", "me@corp:x", "grün"])
def test_what_stands_in_its_connection_string_can_neither_break_it_nor_show_it_in_the_log(name: str) -> None:
    environment = exporter(PASSWORD, user=name, database=name).environment
    assert environment["DATA_SOURCE_URI"] == "db:5432?sslmode=disable"
    assert (environment["PGUSER"], environment["PGDATABASE"]) == (name, name)


@pytest.mark.parametrize("key", ["user", "database"])
def test_a_name_that_is_empty_is_refused_for_then_the_driver_would_take_another(key: str) -> None:
    message = refusal({"exporters": {"postgres": {"address": "db:5432", key: " "}}})
    assert f"exporters.postgres.{key}: String should have at least 1 character" in message


def test_the_password_comes_from_a_file_that_holds_nothing_else() -> None:
    settings = settings_of({"exporters": {"postgres": {"address": "db:5432"}}}, secrets=PASSWORD)
    config = config_of("postgres_exporter", settings)
    assert exporter(PASSWORD).environment["DATA_SOURCE_PASS_FILE"] == "/config/current/secrets/password"
    assert config.secrets["password"].render("s3cret") == "s3cret"
    assert config.reload == "restart"


@pytest.mark.parametrize(
    ("password", "says"),
    [("s3cret/'%\n", ""), ("correct horse", no_blank("postgres_password")), (" s3cret", no_blank("postgres_password"))],
)
def test_a_password_that_it_would_show_in_its_log_is_refused(password: str, says: str, tmp_path: Path) -> None:
    config = config_of(
        "postgres_exporter", settings_of({"exporters": {"postgres": {"address": "db:5432"}}}, secrets=PASSWORD)
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_text(password)
    result = subprocess.run(
        ["sh", "-euc", config.validate or ""], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == says
    assert bool(result.returncode) == bool(says)


def test_it_counts_what_the_alerts_ask_for() -> None:
    command = exporter([]).command
    assert "--collector.long_running_transactions" in command
