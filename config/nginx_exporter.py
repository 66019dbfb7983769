"""nginx exporter: connections and requests of one Nginx."""

from config.container import Container
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["nginx_exporter"]


def container(settings: Settings) -> Container:
    """Needs `exporters.nginx`. The image holds nothing but the exporter, so nothing inside could check it."""
    nginx = settings.exporters.nginx
    assert nginx is not None  # noqa: S101 - settings.services
    return Container(
        service="nginx_exporter",
        command=(
            f"--web.listen-address={settings.listens('nginx_exporter')}:{PORT}",
            f"--nginx.scrape-uri={nginx.status_url}",
        ),
        user="1001:1001",
        port=PORT,
    )
