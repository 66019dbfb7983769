"""Grafana."""

from typing import Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from config.settings.model import (
    Model,
    ProjectFile,
)


class Tls(Model):
    """Caddy in front of Grafana."""

    domain: str = Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    """The name under which browsers reach it."""
    certificate: Literal["public", "internal"] = "public"
    """`public`: by Let's Encrypt or ZeroSSL, which have to reach port 443 of the domain. `internal`: by an authority of
    Caddy's own, which browsers have to be told to trust."""

    @model_validator(mode="after")
    def _public_name(self) -> Self:
        if self.certificate == "public" and "." not in self.domain:
            msg = f"nobody certifies the name {self.domain} in public: say a full domain, or certificate: internal"
            raise ValueError(msg)
        return self


class Grafana(Model):
    """The secret `grafana_password` turns it on; `make up` makes one up where none is set."""

    enabled: bool = True
    """false where you have a Grafana of your own: then `make up` makes up no password, and nothing warns."""
    dashboards: tuple[ProjectFile, ...] = ()
    """Dashboards of yours, as Grafana exports them: JSON files, relative to the project. The name of a file is the `uid`
    of its dashboard."""
    tls: Tls | None = None
    """Grafana under a domain of its own, by TLS."""
