"""The policy on secrets in clear text."""

from typing import Any

import pytest

from policies.readers import declared_resources as declared
from policies.readers import secret_patterns
from tests.policy.pack_host import UNKNOWN, Resource, ask, of_one

POLICY = "no-secrets-in-clear"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_PASSWORD", "hunter2"),
        ("db.password", "hunter2"),
        ("passwd", "x"),
        ("GF_SECURITY_ADMIN_PASSWORD", "admin"),
        ("API_KEY", "abc"),
        ("apikey", "abc"),
        ("AWS_SECRET_ACCESS_KEY", "abc/def"),
        ("SLACK_WEBHOOK", "somewhere"),
        ("AUTH_TOKEN", "abc"),
        ("TOKEN_1", "abc"),
        ("CREDENTIALS", "abc"),
        ("ANY", "-----BEGIN RSA PRIVATE KEY-----"),
        ("ANY", "AKIAABCDEFGHIJKLMNOP"),
        ("ANY", "ghp_0123456789abcdefghijklmnopqrstuvwxyz"),
        ("ANY", "glpat-0123456789abcdefghij"),
        ("ANY", "xoxb-1234567890-abcdef"),
        ("ANY", "https://hooks.slack.com/services/T0/B0/x"),
        ("ANY", "sk_live_0123456789abcdef"),
        ("ANY", "glsa_0123456789abcdefghij"),
        ("ANY", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig"),
        ("ANY", "Authorization: Bearer 0123456789abcdef"),
        ("DATABASE_URL", "postgres://shop:pepper@db:5432/shop"),
        ("", "curl http://ops:pepper@alerts"),
    ],
)
def test_a_secret_is_recognised(name: str, value: str) -> None:
    assert secret_patterns.gives_away(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/password"),
        ("password.file", "/run/secrets/password"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/config/current/secrets/s3"),
        ("SECRET_NAME", "database"),
        ("TOKEN_TTL", "1h"),
        ("AUTH_TOKEN", ""),
        ("REQUIRE_TOKEN", "true"),
        ("API_KEY", "/run/secrets/key"),
        ("GOMEMLIMIT", "870MiB"),
        ("DATABASE_URL", "postgres://db:5432/shop"),
        ("URL", "https://shop@example.com/"),
        ("KEYBOARD", "us"),
        ("xpack.security.enabled", "false"),
        ("PASSTHROUGH", "on"),
        ("MESSAGE", "basic settings"),
        ("bad", "http://[broken"),
    ],
)
def test_a_value_that_is_not_a_secret_passes(name: str, value: str) -> None:
    assert secret_patterns.gives_away(name, value) is None


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"envs": ["A=1", "EMPTY=", "FLAG"], "labels": [{"label": "team", "value": "shop"}]}, None, id="no secret"),
        pytest.param({"command": ["--web.config.file=/etc/web.yml", "-v", "serve"]}, None, id="a harmless command"),
        pytest.param({"envs": ["DB_PASSWORD=x"]}, "its environment DB_PASSWORD holds a secret, as its name says", id="environment"),
        pytest.param({"envs": ["DSN=postgres://a:b@db"]}, "environment DSN holds a password in a URL", id="in a URL"),
        pytest.param({"labels": [{"label": "api-key", "value": "x"}]}, "its label api-key holds", id="label"),
        pytest.param({"command": ["--password=x"]}, "its command line password holds", id="flag"),
        pytest.param({"command": ["--token", "x"]}, "its command line token holds", id="flag and value"),
        pytest.param({"entrypoints": ["sh", "-c", "curl -H 'Authorization: Bearer 0123456789abcdef' x"]}, "command line", id="script"),
        pytest.param({"envs": UNKNOWN}, "envs is not known before", id="unknown environment"),
        pytest.param({"envs": ["A=1", UNKNOWN]}, "envs.1 is not known before", id="an unknown variable"),
        pytest.param({"command": UNKNOWN}, "command is not known", id="unknown command"),
        pytest.param({"entrypoints": UNKNOWN}, "entrypoints is not known", id="unknown entrypoint"),
        pytest.param({"labels": UNKNOWN}, "labels is not known", id="unknown labels"),
    ],
)  # fmt: skip
def test_a_container(props: dict[str, Any], says: str | None) -> None:
    messages = of_one(POLICY, props)
    assert bool(messages) == (says is not None), messages
    assert says is None or says in messages[0]


def test_the_message_does_not_repeat_the_secret() -> None:
    [violation] = of_one(POLICY, {"envs": ["DB_PASSWORD=correct-horse"]})
    assert "correct-horse" not in violation


def test_it_is_allowed_by_its_container_and_name() -> None:
    config = {"allowed": {"app:PUBLIC_TOKEN": "everybody may know it"}}
    assert of_one(POLICY, {"envs": ["PUBLIC_TOKEN=x"]}, config=config) == []
    assert len(of_one(POLICY, {"envs": ["PUBLIC_TOKEN=x"]}, name="other", config=config)) == 1


@pytest.mark.parametrize(
    ("outputs", "refused"),
    [
        ({"grafana": "http://127.0.0.1:3000", "data_volumes": ["a"], "grafana_password_file": "/run/secrets/x"}, []),
        ({"database_password": "hunter2"}, ["database_password"]),
        ({"source": "postgres://shop:hunter2@db/shop"}, ["source"]),
        ({"login": {"user": "ops", "password": "hunter2"}, "page": "x"}, ["login"]),
        ({"id": UNKNOWN}, []),
    ],
)
def test_no_output_of_the_stack_is_a_secret(outputs: dict[str, Any], refused: list[str]) -> None:
    messages = ask("no-secrets-in-outputs", [Resource(outputs, "stack", declared.STACK)])
    assert [message.split()[2] for message in messages] == refused
    assert (
        ask(
            "no-secrets-in-outputs",
            [Resource(outputs, "stack", declared.STACK)],
            config={"allowed": dict.fromkeys(outputs, "x")},
        )
        == []
    )
