"""nginx exporter: connections and requests of one Nginx server."""

from config.container import Container
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["nginx_exporter"]


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.nginx`. The image contains only the exporter, so no command
    inside could check its health."""
    nginx = settings.watched(exporter)
    return Container(
        service=exporter,
        command=(
            f"--web.listen-address={settings.listens(exporter)}:{PORT}",
            f"--nginx.scrape-uri={nginx.status_url}",
        ),
        user="1001:1001",
        port=PORT,
    )
