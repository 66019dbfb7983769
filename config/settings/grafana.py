"""Settings of Grafana."""

from typing import Literal, Self

from pydantic import Field, model_validator

from config.settings.model import Model, ProjectFile

DataSource = Literal["prometheus", "loki", "jaeger", "alertmanager"]


class Tls(Model):
    """Caddy in front of Grafana."""

    domain: str = Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    """The name under which browsers reach it."""
    certificate: Literal["public", "internal"] = "public"
    """`public`: from Let's Encrypt or ZeroSSL, which have to reach port 443 of the domain. `internal`: from Caddy's own
    authority, which you have to make browsers trust."""

    @model_validator(mode="after")
    def _public_name(self) -> Self:
        if self.certificate == "public" and "." not in self.domain:
            msg = f"nobody certifies the name {self.domain} in public: say a full domain, or certificate: internal"
            raise ValueError(msg)
        return self


class Grafana(Model):
    """The secret `grafana_password` turns Grafana on. `make up` makes one up if none is set."""

    enabled: bool = True
    """Set false if you have a Grafana of your own. Then `make up` makes up no password, and nothing warns."""
    dashboards: tuple[ProjectFile, ...] = ()
    """Your dashboards, as Grafana exports them or as they are downloaded: JSON files, folders, or patterns like
    `boards/*.json`, relative to the project."""
    data_sources: dict[str, DataSource] = {}
    """Which data source is meant, where a dashboard of yours does not tell: its name, uid, variable or input there → the
    one here."""
    tls: Tls | None = None
    """Grafana under a domain of its own, by TLS."""
