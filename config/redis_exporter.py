"""redis_exporter: one Redis or Valkey server."""

import json

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["redis_exporter"]


def container(settings: Settings) -> Container:
    """Needs `exporters.redis`."""
    redis = settings.exporters.redis
    assert redis is not None  # noqa: S101 - settings.services
    address = f"redis://{f'{redis.user}@' if redis.user else ''}{redis.address}"
    command = [f"--redis.addr={address}", "--include-system-metrics"]
    config = None
    if "redis_password" in settings.secrets:
        command.append(f"--redis.password-file={DIRECTORY}/secrets/passwords.json")
        password = Secret("redis_password", lambda value: json.dumps({address: value}))
        config = ConfigFiles(files={}, secrets={"passwords.json": password}, reload="restart")
    return Container(
        service="redis_exporter",
        command=tuple(command),
        user="59000:59000",
        port=PORT,
        health=http_health(PORT, "/health"),
        config=config,
        reaches_users=True,
    )
