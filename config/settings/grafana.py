"""Settings of Grafana."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from config.settings.model import Model, ProjectFile, is_time_zone

DataSource = Literal["prometheus", "loki", "jaeger", "alertmanager"]


class Tls(Model):
    """Caddy in front of Grafana."""

    domain: str = Field(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=253
    )
    """The name under which browsers reach it."""
    certificate: Literal["public", "internal"] = "public"
    """`public`: from Let's Encrypt or ZeroSSL, which have to reach port 443 of the domain. `internal`: from Caddy's own
    authority, which you have to make browsers trust."""

    @model_validator(mode="after")
    def _public_name(self) -> Self:
        if self.certificate == "public" and "." not in self.domain:
            msg = f"no public authority certifies the name {self.domain}: use a full domain, or certificate: internal"
            raise ValueError(msg)
        return self


FOLDER = "Nervous System"
"""Grafana's folder of the project's dashboards, and of yours that name no other."""
FolderName = Annotated[str, StringConstraints(pattern=r"^\w[\w .&()-]{0,63}$")]


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
    folders: dict[FolderName, tuple[ProjectFile, ...]] = {}
    """Name of a folder in Grafana → your dashboards in it, as in `dashboards`: a folder per team, for example."""
    home: str = "overview"
    """`uid` of the dashboard that Grafana opens with: one of the project's or of yours."""
    theme: Literal["dark", "light", "system"] = "dark"
    """How pages look to those who choose nothing themselves. `system`: as their device does."""
    time_zone: str = "browser"
    """Time zone of the pages: `browser` for that of the reader, or a name like `UTC` or `Europe/Berlin`."""
    week_start: Literal["browser", "saturday", "sunday", "monday"] = "browser"
    """First day of the week, for ranges like “this week”."""
    tls: Tls | None = None
    """Grafana under a domain of its own, by TLS."""

    @field_validator("folders")
    @classmethod
    def _of_their_own(cls, folders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if doubles := [name for name in folders if name.lower() in {FOLDER.lower(), "general"}]:
            msg = f"{doubles[0]} is a folder already: take another name, or `dashboards` for the folder {FOLDER}"
            raise ValueError(msg)
        return folders

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, name: str) -> str:
        if name != "browser" and not is_time_zone(name):
            msg = f"{name} is not a time zone: say browser, UTC, or a name like Europe/Berlin"
            raise ValueError(msg)
        return name
