"""mysqld_exporter: one server of MySQL or MariaDB."""

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["mysqld_exporter"]
USER = "exporter"
"""The user that logs in if none is named."""


def no_interpolation(secret: str) -> str:
    """The message about a password that the exporter's parser (ini.v1) would read as another key."""
    return f"the secret {secret} has %( in it, which mysqld_exporter cannot take: set another password"


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.mysql`."""
    mysql = settings.watched(exporter)
    address = settings.listens(exporter)
    client = ["[client]", f"user = {quoted(mysql.user or USER)}"]
    files = {}
    if mysql.tls:
        client.append(f"tls = {'true' if mysql.tls.verify else 'skip-verify'}")
        if mysql.tls.ca and mysql.tls.verify:
            client.append(f"ssl-ca = {DIRECTORY}/ca.pem")
            files["ca.pem"] = mysql.tls.ca
    if secret := settings.credential_of(exporter):
        path = "secrets/my.cnf"
        secrets = {"my.cnf": Secret(secret, lambda value: _lines(*client, f"password = {quoted(value)}"))}
        validate = f"if grep -qF '%(' {path}; then echo '{no_interpolation(secret)}'; exit 1; fi"
    else:
        path, secrets, validate = "my.cnf", {}, None
        files[path] = _lines(*client)
    return Container(
        service=exporter,
        command=(
            f"--web.listen-address={address}:{PORT}",
            f"--mysqld.address={mysql.address}",
            f"--config.my-cnf={DIRECTORY}/{path}",
            "--collect.info_schema.innodb_metrics",
            # Sizes of compressed pages, which nothing here reads.
            "--no-collect.info_schema.innodb_cmp",
            "--no-collect.info_schema.innodb_cmpmem",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/", address),
        # The exporter replaces variables in its file, and has no other way to write a dollar.
        environment={"DOLLAR": "$"},
        config=ConfigFiles(files, validate, secrets, reload="restart"),
    )


def quoted(value: str) -> str:
    """A value of the file. The parser reads everything up to the last backquote literally."""
    return f"`{value.replace('$', '${DOLLAR}')}`"


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
