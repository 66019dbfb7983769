"""The address to which the shipper of an edge, or of a centre with edges, sends lines, and the label that names their host."""

from collections.abc import Mapping
from typing import Any

from config.container import DIRECTORY, Secret
from config.services.logs import shipper
from config.settings import Settings
from config.settings.secret_keys import CENTRE_PASSWORD

PUSH = "/loki/api/v1/push"
"""Path at the centre's door, which is Loki's own."""


def url(settings: Settings) -> str:
    """Address for lines: the stack's Loki, or the centre's door."""
    return settings.centre.url + PUSH if settings.centre else shipper.PUSH_URL


def login(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """Blocks of the endpoint with an edge's credential: name → arguments."""
    centre = settings.centre
    if centre is None:
        return {}
    user = {"username": settings.name_of_host, "password_file": f"{DIRECTORY}/secrets/{CENTRE_PASSWORD}"}
    return {"basic_auth": user, **({"tls_config": {"ca_pem": centre.ca}} if centre.ca else {})}


def labels(settings: Settings) -> Mapping[str, str]:
    """Labels of all lines. The door overwrites those of an edge."""
    return {"host": settings.name_of_host} if settings.edges else {}


def secrets(settings: Settings) -> Mapping[str, Secret]:
    """File name below `secrets/` → its secret."""
    return {CENTRE_PASSWORD: Secret(CENTRE_PASSWORD)} if settings.centre else {}
