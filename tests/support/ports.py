"""Ports of the loopback interface for the services of test stacks."""

import secrets
import socket

from config.settings.publish import Publish

RANGE = range(20000, 30000)
"""Below those that Linux gives to whoever asks for any port (from 32768): such a one may be taken by any connection or
plugin while a container is being replaced."""

_claims: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on, and that no other test session on this machine gets while this one lives."""
    for port in secrets.SystemRandom().sample(RANGE, len(RANGE)):
        # A name that one process can hold, which the kernel takes back when it dies. The port itself must stay free.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0nervous-system-e2e-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise OSError(f"no port from {RANGE.start} to {RANGE.stop - 1} is free")


def publish(*services: str) -> dict[str, str | None]:
    """The setting of this name: these services on free ports, and no other, as stacks side by side can't share one."""
    return {**dict.fromkeys(Publish.model_fields), **{service: f"127.0.0.1:{free_port()}" for service in services}}
