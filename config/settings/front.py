"""Rules for the public TLS entrances: Grafana's domain, the door for edges, and where they listen."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings


def judge(settings: "Settings") -> None:
    """Raises ValueError if one of them lacks another. The message begins with a key."""
    grafana, door, listens = settings.grafana.tls, settings.door, settings.publish.caddy
    if door and not listens:
        msg = "door: needs publish.caddy: where it listens (publish: {caddy: 0.0.0.0:443})"
        raise ValueError(msg)
    if not door and bool(grafana) != bool(listens):
        there, missing = ("publish.caddy", "grafana.tls") if listens else ("grafana.tls", "publish.caddy")
        msg = f"{there}: needs {missing}: a domain (grafana.tls), and where it listens (publish.caddy: 0.0.0.0:443)"
        raise ValueError(msg)
    if grafana and settings.external_urls.grafana:
        msg = "external_urls.grafana: leave it out, the address of Grafana is the domain of grafana.tls"
        raise ValueError(msg)
    if grafana and door and door.domain == grafana.domain:
        msg = "door.domain: is that of grafana.tls: take a name of its own, for the same address"
        raise ValueError(msg)
