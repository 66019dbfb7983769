"""How the exporter reaches Nginx."""

from config.units import seconds
from tests.unit.conftest import described, settings_of


def test_it_reads_the_page_of_the_settings() -> None:
    settings = settings_of({"exporters": {"nginx": {"status_url": "http://web:8080/stub_status"}}})
    made = described("nginx_exporter", settings)
    assert made.command == ("--nginx.scrape-uri=http://web:8080/stub_status",)
    assert made.reaches_users


def test_it_waits_for_an_nginx_that_is_away() -> None:
    settings = settings_of({"exporters": {"nginx": {"status_url": "http://web:8080/stub_status"}}})
    environment = described("nginx_exporter", settings).environment
    assert int(environment["NGINX_RETRIES"]) * seconds(environment["NGINX_RETRY_INTERVAL"]) > seconds("30d")
