"""postgres_exporter: one PostgreSQL server."""

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["postgres_exporter"]


def no_blank(secret: str) -> str:
    """The message about a password with a blank. postgres_exporter splits its connection string at blanks, encoded or
    quoted, to name the server (0.17 to 0.20: `parseFingerprint`), and then logs the whole string, password included."""
    return f"the secret {secret} has a blank, which postgres_exporter cannot take: set another password"


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.postgres`."""
    postgres = settings.watched(exporter)
    address = settings.listens(exporter)
    environment = {
        "DATA_SOURCE_URI": f"{postgres.address}?sslmode={postgres.sslmode}",
        # Read by its driver, lib/pq. In the connection string, a blank or a percent sign in these would have the same
        # effect.
        "PGUSER": postgres.user,
        "PGDATABASE": postgres.database,
    }
    files, secrets, validate = {}, {}, None
    if postgres.ca:
        environment["PGSSLROOTCERT"] = f"{DIRECTORY}/ca.pem"
        files["ca.pem"] = postgres.ca
    if secret := settings.credential_of(exporter):
        environment["DATA_SOURCE_PASS_FILE"] = f"{DIRECTORY}/secrets/password"
        secrets["password"] = Secret(secret)
        validate = f"if grep -q ' ' secrets/password; then echo '{no_blank(secret)}'; exit 1; fi"
    return Container(
        service=exporter,
        # Without the texts of the statements: CREATE ROLE … PASSWORD is one.
        command=(
            *(["--collector.stat_statements"] if postgres.statements else []),
            f"--web.listen-address={address}:{PORT}",
            "--collector.database_wraparound",
            "--collector.long_running_transactions",
            "--collector.postmaster",
            "--collector.stat_activity_autovacuum",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/", address),
        environment=environment,
        config=ConfigFiles(files, validate, secrets, reload="restart") if files or secrets else None,
    )
