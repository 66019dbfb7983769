"""redis_exporter: one Redis or Valkey server."""

import json
from urllib.parse import quote

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["redis_exporter"]


def container(settings: Settings) -> Container:
    """Needs `exporters.redis`."""
    redis = settings.exporters.redis
    assert redis is not None  # noqa: S101 - settings.services
    address = settings.listens("redis_exporter")
    command = [
        f"--web.listen-address={address}:{PORT}",
        f"--redis.addr=redis://{redis.address}",
        "--include-system-metrics",
    ]
    if redis.user:
        # Not in the address: its driver (redigo) takes a user without a password there for the password.
        command.append(f"--redis.user={redis.user}")
    config = None
    if "redis_password" in settings.secrets:
        command.append(f"--redis.password-file={DIRECTORY}/secrets/passwords.json")
        # It looks for the address with the user in it, as Go spells one (net/url, `encodeUserPassword`).
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
