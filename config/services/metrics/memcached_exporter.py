"""memcached_exporter: one Memcached server."""

from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["memcached_exporter"]


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.memcached`."""
    memcached = settings.watched(exporter)
    address = settings.listens(exporter)
    command, files = [f"--web.listen-address={address}:{PORT}", f"--memcached.address={memcached.address}"], {}
    if memcached.tls:
        command.append("--memcached.tls.enable")
        if memcached.tls.ca:
            command.append(f"--memcached.tls.ca-file={DIRECTORY}/ca.pem")
            files["ca.pem"] = memcached.tls.ca
        if not memcached.tls.verify:
            command.append("--memcached.tls.insecure-skip-verify")
    return Container(
        service=exporter,
        command=tuple(command),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/", address),
        config=ConfigFiles(files, reload="restart") if files else None,
    )
