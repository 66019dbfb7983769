"""mongodb_exporter: one MongoDB server or replica set."""

from config.container import Container
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["mongodb_exporter"]


def container(settings: Settings, exporter: str) -> Container:
    """For one of `exporters.mongodb`. The image contains only the exporter, so no command inside could check its health."""
    mongodb = settings.watched(exporter)
    return Container(
        service=exporter,
        command=(
            f"--web.listen-address={settings.listens(exporter)}:{PORT}",
            f"--mongodb.uri={mongodb.uri}",
            "--collector.diagnosticdata",
            "--collector.replicasetstatus",
        ),
        user="65535:65535",
        port=PORT,
    )
