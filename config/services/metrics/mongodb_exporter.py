"""mongodb_exporter: one MongoDB server or replica set."""

from config.container import Container
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["mongodb_exporter"]


def container(settings: Settings) -> Container:
    """Requires `exporters.mongodb`. The image contains only the exporter, so no command inside could check its health."""
    mongodb = settings.exporters.mongodb
    assert mongodb is not None  # noqa: S101 - settings.services
    return Container(
        service="mongodb_exporter",
        command=(
            f"--web.listen-address={settings.listens('mongodb_exporter')}:{PORT}",
            f"--mongodb.uri={mongodb.uri}",
            "--collector.diagnosticdata",
            "--collector.replicasetstatus",
        ),
        user="65535:65535",
        port=PORT,
    )
