"""mongodb_exporter: one MongoDB server or replica set.

The exporter (0.47, `GlobalFlags`) has no flag for a file with a password or with its URI. Its driver reads a client's certificate
and key from a file that the URI names.
"""

from config.container import DIRECTORY, ConfigFiles, Container, Secret
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["mongodb_exporter"]
CA, LOGIN = "ca.pem", "login.pem"


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.mongodb`. The image contains only the exporter, so no command
    inside could check its health."""
    mongodb = settings.watched(exporter)
    options, files, secrets = [], {}, {}
    secret = settings.credential_of(exporter)
    if mongodb.tls or secret:
        options.append("tls=true")
    if mongodb.tls and not mongodb.tls.verify:
        options.append("tlsInsecure=true")
    elif mongodb.tls and mongodb.tls.ca:
        options.append(f"tlsCAFile={DIRECTORY}/{CA}")
        files[CA] = mongodb.tls.ca
    if secret:
        # The source is said too, because the DNS record behind mongodb+srv:// may name another one.
        options += ["authMechanism=MONGODB-X509", "authSource=%24external"]
        options.append(f"tlsCertificateKeyFile={DIRECTORY}/secrets/{LOGIN}")
        secrets[LOGIN] = Secret(secret, lambda value: f"{value.strip()}\n")
    return Container(
        service=exporter,
        command=(
            f"--web.listen-address={settings.listens(exporter)}:{PORT}",
            f"--mongodb.uri={_with(mongodb.uri, options)}",
            # It asks one server only, and refuses several, unless told otherwise.
            *(["--no-mongodb.direct-connect"] if _several(mongodb.uri) else []),
            "--collector.diagnosticdata",
            "--collector.replicasetstatus",
        ),
        user="65535:65535",
        port=PORT,
        tools=False,
        config=ConfigFiles(files, secrets=secrets, reload="restart") if files or secrets else None,
    )


def _several(uri: str) -> bool:
    """Whether a URI may mean more than one server."""
    hosts = uri.partition("://")[2].partition("/")[0].partition("?")[0]
    return uri.startswith("mongodb+srv://") or "," in hosts


def _with(uri: str, options: list[str]) -> str:
    """The URI with more options. Its driver wants a slash before them."""
    if not options:
        return uri
    address, _, query = uri.partition("?")
    scheme, _, hosts = address.partition("://")
    path = address if "/" in hosts else f"{scheme}://{hosts}/"
    return f"{path}?{'&'.join([*filter(None, [query]), *options])}"
