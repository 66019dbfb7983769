"""How the exporter reaches Elasticsearch."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.program import config_of, described, refusal, settings_of

PASSWORD = ["elasticsearch_password"]


def settings(secrets: list[str], **differences: Any) -> Any:
    elasticsearch = {"url": "https://search:9200", **differences}
    return settings_of({"exporters": {"elasticsearch": elasticsearch}}, secrets=secrets)


def test_it_connects_to_the_cluster_of_the_settings() -> None:
    exporter = described("elasticsearch_exporter", settings([]))
    assert "--es.uri=https://search:9200" in exporter.command
    assert exporter.config is None


@pytest.mark.parametrize("password", ["s3cret", "p@ss:w/rd%?#", "with space", "grün"])
@pytest.mark.parametrize("user", ["elastic", "me@corp"])
def test_user_and_password_survive_the_url_that_holds_them(user: str, password: str) -> None:
    with_user = settings(PASSWORD, user=user)
    exporter, config = described("elasticsearch_exporter", with_user), config_of("elasticsearch_exporter", with_user)
    assert exporter.command[0] == "@/config/current/secrets/flags"  # read by its flag library, one flag in a line
    [flag] = config.secrets["flags"].render(password).splitlines()
    name, _, url = flag.partition("=")
    parts = urlsplit(url)
    assert name == "--es.uri"
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert (parts.scheme, parts.hostname, parts.port) == ("https", "search", 9200)
    assert config.reload == "restart"


# Each made the exporter 1.11 write the whole address, password included, to its log.
@pytest.mark.parametrize(
    "url",
    [
        "http://search:9200/100%",
        "http://a%zz:9200",
        "http://search:9200x",
        "http://[::1:9200",
    ],
)
def test_an_address_that_it_cannot_read_is_refused_for_it_would_show_the_password(url: str) -> None:
    message = refusal({"exporters": {"elasticsearch": {"url": url}}}, secrets=PASSWORD)
    assert message.startswith("Pulumi.test.yaml: nervous-system:exporters.elasticsearch.url: is not a URL with http://")


def test_the_password_without_a_user_is_that_of_the_built_in_one() -> None:
    text = config_of("elasticsearch_exporter", settings(PASSWORD)).secrets["flags"].render("x")
    assert text == "--es.uri=https://elastic:x@search:9200\n"


def test_tls_of_a_cluster_has_its_own_authority_or_is_not_verified() -> None:
    exporter = described("elasticsearch_exporter", settings([], tls={"verify": False}))
    assert "--es.ssl-skip-verify" in exporter.command
    message = refusal({"exporters": {"elasticsearch": {"url": "http://search:9200", "tls": {}}}})
    assert "exporters.elasticsearch: tls: http://search:9200 is asked without it: write  url: https://…" in message
