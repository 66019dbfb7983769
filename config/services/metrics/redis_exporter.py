"""redis_exporter: one Redis or Valkey server."""

import json
from urllib.parse import quote

from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings

PORT = METRICS["redis_exporter"]


def container(settings: Settings, exporter: str) -> Container:
    """The exporter of one server of `exporters.redis`."""
    redis = settings.watched(exporter)
    address = settings.listens(exporter)
    scheme = "rediss" if redis.tls else "redis"
    command = [
        f"--web.listen-address={address}:{PORT}",
        f"--redis.addr={scheme}://{redis.address}",
        "--include-system-metrics",
    ]
    if redis.user:
        # Not in the address, because its driver (redigo) would take a user without a password for the password.
        command.append(f"--redis.user={redis.user}")
    files, secrets = {}, {}
    if redis.tls and redis.tls.ca:
        command.append(f"--tls-ca-cert-file={DIRECTORY}/ca.pem")
        files["ca.pem"] = redis.tls.ca
    if redis.tls and not redis.tls.verify:
        command.append("--skip-tls-verification")
    if secret := settings.credential_of(exporter):
        command.append(f"--redis.password-file={DIRECTORY}/secrets/passwords.json")
        # It looks up the address including the user, escaped as in Go (net/url, `encodeUserPassword`).
        user = f"{quote(redis.user, safe='$&+,;=')}@" if redis.user else ""
        address_with_user = f"{scheme}://{user}{redis.address}"
        secrets["passwords.json"] = Secret(secret, lambda value: json.dumps({address_with_user: value}))
    return Container(
        service=exporter,
        command=tuple(command),
        user="59000:59000",
        port=PORT,
        health=http_health(PORT, "/health", address),
        config=ConfigFiles(files, secrets=secrets, reload="restart") if files or secrets else None,
    )
