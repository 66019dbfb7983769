"""How the exporter reaches PostgreSQL."""

from config.container import Container
from tests.unit.conftest import config_of, described, settings_of

PASSWORD = ["postgres_password"]


def exporter(secrets: list[str], **differences: str) -> Container:
    postgres = {"address": "db:5432", **differences}
    return described("postgres_exporter", settings_of({"exporters": {"postgres": postgres}}, secrets=secrets))


def test_it_connects_to_the_database_of_the_settings() -> None:
    made = exporter([], user="watcher", database="shop", sslmode="verify-full")
    assert made.environment == {
        "DATA_SOURCE_URI": "db:5432/shop?sslmode=verify-full",
        "DATA_SOURCE_USER": "watcher",
    }
    assert made.config is None


def test_the_password_comes_from_a_file_that_holds_nothing_else() -> None:
    settings = settings_of({"exporters": {"postgres": {"address": "db:5432"}}}, secrets=PASSWORD)
    config = config_of("postgres_exporter", settings)
    assert exporter(PASSWORD).environment["DATA_SOURCE_PASS_FILE"] == "/config/current/secrets/password"
    assert config.secrets["password"].render("s3cret") == "s3cret"
    assert config.reload == "restart"


def test_it_counts_what_the_alerts_ask_for() -> None:
    command = exporter([]).command
    assert "--collector.long_running_transactions" in command


def test_it_joins_the_networks_of_the_database() -> None:
    assert exporter([]).reaches_users
