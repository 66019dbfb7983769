"""nginx exporter: connections and requests of one Nginx server."""

from config.container import Container
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["nginx_exporter"]


def container(settings: Settings) -> Container:
    """Requires `exporters.nginx`. The image contains only the exporter, so no command inside could check its health."""
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
