"""How the exporter reaches Redis."""

import json

import pytest

from tests.support.program import config_of, described, settings_of

PASSWORD = ["redis_password"]


def test_it_connects_to_the_server_of_the_settings() -> None:
    exporter = described("redis_exporter", settings_of({"exporters": {"redis": {"address": "cache:6379"}}}))
    assert "--redis.addr=redis://cache:6379" in exporter.command
    assert exporter.config is None


# The keys are what the exporter 1.74 and 1.88 looked for, which logged in to Redis 7 by each of these users.
@pytest.mark.parametrize(
    ("user", "key"),
    [
        (None, "redis://cache:6379"),
        ("watcher", "redis://watcher@cache:6379"),
        ("me@corp:x", "redis://me%40corp%3Ax@cache:6379"),
        ("a$b&c+d,e;f=g~h", "redis://a$b&c+d,e;f=g~h@cache:6379"),
        ("müller/%!*", "redis://m%C3%BCller%2F%25%21%2A@cache:6379"),
    ],
)
def test_the_password_is_found_under_the_address_with_the_user_in_it(user: str | None, key: str) -> None:
    settings = settings_of({"exporters": {"redis": {"address": "cache:6379", "user": user}}}, secrets=PASSWORD)
    command = described("redis_exporter", settings).command
    assert "--redis.password-file=/config/current/secrets/passwords.json" in command
    config = config_of("redis_exporter", settings)
    assert json.loads(config.secrets["passwords.json"].render('pa"ss\\word')) == {key: 'pa"ss\\word'}
    assert config.reload == "restart"


@pytest.mark.parametrize("user", [None, "watcher", "me@corp:x"])
def test_a_user_of_an_acl_is_a_flag_for_in_the_address_it_would_be_taken_for_the_password(user: str | None) -> None:
    settings = settings_of({"exporters": {"redis": {"address": "cache:6379", "user": user}}}, secrets=PASSWORD)
    command = described("redis_exporter", settings).command
    assert "--redis.addr=redis://cache:6379" in command
    assert [flag for flag in command if flag.startswith("--redis.user")] == ([f"--redis.user={user}"] if user else [])
