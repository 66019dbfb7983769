"""How the exporter reaches Redis."""

import json

import pytest

from tests.unit.conftest import config_of, described, settings_of

PASSWORD = ["redis_password"]


def test_it_connects_to_the_server_of_the_settings() -> None:
    made = described("redis_exporter", settings_of({"exporters": {"redis": {"address": "cache:6379"}}}))
    assert "--redis.addr=redis://cache:6379" in made.command
    assert made.config is None
    assert made.reaches_users


@pytest.mark.parametrize("user", [None, "watcher"])
def test_the_password_is_found_under_the_very_address_that_it_connects_to(user: str | None) -> None:
    settings = settings_of({"exporters": {"redis": {"address": "cache:6379", "user": user}}}, secrets=PASSWORD)
    command = described("redis_exporter", settings).command
    [address] = [flag.partition("=")[2] for flag in command if flag.startswith("--redis.addr=")]
    assert "--redis.password-file=/config/current/secrets/passwords.json" in command
    config = config_of("redis_exporter", settings)
    assert json.loads(config.secrets["passwords.json"].render('pa"ss\\word')) == {address: 'pa"ss\\word'}
    assert config.reload == "restart"
