"""postgres_exporter: one PostgreSQL server."""

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["postgres_exporter"]

NO_BLANK = "the secret postgres_password has a blank, which postgres_exporter cannot take: set another password"
"""postgres_exporter splits its connection string at blanks, encoded or quoted, to name the server (0.17 to 0.20:
`parseFingerprint`), and then logs the whole string, password included."""


def container(settings: Settings) -> Container:
    """Requires `exporters.postgres`."""
    postgres = settings.exporters.postgres
    assert postgres is not None  # noqa: S101 - settings.services
    address = settings.listens("postgres_exporter")
    environment = {
        "DATA_SOURCE_URI": f"{postgres.address}?sslmode={postgres.sslmode}",
        # Read by its driver, lib/pq. In the connection string, a blank or a percent sign in these would have the same
        # effect.
        "PGUSER": postgres.user,
        "PGDATABASE": postgres.database,
    }
    config = None
    if "postgres_password" in settings.secrets:
        environment["DATA_SOURCE_PASS_FILE"] = f"{DIRECTORY}/secrets/password"
        config = ConfigFiles(
            files={},
            validate=f"if grep -q ' ' secrets/password; then echo '{NO_BLANK}'; exit 1; fi",
            secrets={"password": Secret("postgres_password")},
            reload="restart",
        )
    return Container(
        service="postgres_exporter",
        command=(
            f"--web.listen-address={address}:{PORT}",
            "--collector.long_running_transactions",
            "--collector.stat_activity_autovacuum",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/", address),
        environment=environment,
        config=config,
    )
