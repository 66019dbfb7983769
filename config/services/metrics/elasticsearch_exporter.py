"""elasticsearch_exporter: one Elasticsearch or OpenSearch cluster."""

from urllib.parse import quote

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["elasticsearch_exporter"]


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.elasticsearch`, or of the trace storage."""
    elasticsearch = settings.watched(exporter)
    listens = settings.listens(exporter)
    address = f"--es.uri={elasticsearch.url}"
    tls, files, secrets = [], {}, {}
    if elasticsearch.tls and elasticsearch.tls.ca:
        tls.append(f"--es.ca={DIRECTORY}/ca.pem")
        files["ca.pem"] = elasticsearch.tls.ca
    if elasticsearch.tls and not elasticsearch.tls.verify:
        tls.append("--es.ssl-skip-verify")
    if settings.exporters.elasticsearch and (secret := settings.credential_of(exporter)):
        # The exporter has no option for a password file, but reads any flag from a file (`@file` of its flag library).
        scheme, rest = elasticsearch.url.split("://", 1)
        user = quote(elasticsearch.user or "elastic", safe="")
        secrets["flags"] = Secret(secret, lambda value: f"--es.uri={scheme}://{user}:{quote(value, safe='')}@{rest}\n")
        address = f"@{DIRECTORY}/secrets/flags"
    return Container(
        service=exporter,
        command=(
            address,
            *tls,
            f"--web.listen-address={listens}:{PORT}",
            "--es.indices",
            "--es.shards",
            "--es.indices_settings",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/healthz", listens),
        config=ConfigFiles(files, secrets=secrets, reload="restart") if files or secrets else None,
    )
