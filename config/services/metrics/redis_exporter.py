"""redis_exporter: one Redis or Valkey server."""

import json
from urllib.parse import quote

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["redis_exporter"]


def container(settings: Settings) -> Container:
    """Requires `exporters.redis`."""
    redis = settings.exporters.redis
    assert redis is not None  # noqa: S101 - settings.services
    address = settings.listens("redis_exporter")
    command = [
        f"--web.listen-address={address}:{PORT}",
        f"--redis.addr=redis://{redis.address}",
        "--include-system-metrics",
    ]
    if redis.user:
        # Not in the address, because its driver (redigo) would take a user without a password for the password.
        command.append(f"--redis.user={redis.user}")
    config = None
    if "redis_password" in settings.secrets:
        command.append(f"--redis.password-file={DIRECTORY}/secrets/passwords.json")
        # It looks up the address including the user, escaped as in Go (net/url, `encodeUserPassword`).
        user = f"{quote(redis.user, safe='$&+,;=')}@" if redis.user else ""
        password = Secret("redis_password", lambda value: json.dumps({f"redis://{user}{redis.address}": value}))
        config = ConfigFiles(files={}, secrets={"passwords.json": password}, reload="restart")
    return Container(
        service="redis_exporter",
        command=tuple(command),
        user="59000:59000",
        port=PORT,
        health=http_health(PORT, "/health", address),
        config=config,
    )
