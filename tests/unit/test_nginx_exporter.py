"""How the exporter reaches Nginx."""

from tests.support.program import described, settings_of


def test_it_reads_the_page_of_the_settings() -> None:
    settings = settings_of({"exporters": {"nginx": {"status_url": "http://web:8080/stub_status"}}})
    exporter = described("nginx_exporter", settings)
    assert "--nginx.scrape-uri=http://web:8080/stub_status" in exporter.command
    assert exporter.environment == {}  # the exporter starts and waits by itself while its Nginx is away
