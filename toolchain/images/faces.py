"""What the official images show to a container, as `faces.yaml` says: nothing here is about what runs in them."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from toolchain.report import ToolchainError

FILE = Path(__file__).with_suffix(".yaml")
_FOLDER = re.compile(r"(?P<owner>\d+):(?P<group>\d+) (?P<mode>[0-7]{3,4})(?P<deep> deep)?")
_USER = re.compile(r"(?P<uid>\d+):(?P<gid>\d+)(?P<groups>( \S+)*)")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class User(_Frozen):
    """A line of /etc/passwd."""

    uid: int
    gid: int
    groups: tuple[str, ...] = ()
    """Groups besides its own."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not (found := _USER.fullmatch(value)):
            raise ValueError(f'{value!r} is not "uid:gid", or "uid:gid group"')
        return {**found.groupdict(), "groups": tuple(found["groups"].split())}


class Folder(_Frozen):
    owner: int
    group: int
    mode: int
    deep: bool = False
    """Whether all that is in it has the same owner and group."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not (found := _FOLDER.fullmatch(value)):
            raise ValueError(f'{value!r} is not "uid:gid mode", or "uid:gid mode deep"')
        return {
            "owner": found["owner"],
            "group": found["group"],
            "mode": int(found["mode"], 8),
            "deep": bool(found["deep"]),
        }


class Userland(_Frozen):
    """What there is besides the service."""

    kind: Literal["none", "busybox", "gnu"]
    tools: tuple[str, ...] = ()
    """What can be called by its name."""
    sh: Literal["dash", "bash"] = "dash"
    """Which shell of a `gnu` one is `sh`."""
    nc_takes: tuple[int, ...] = ()
    """File descriptors that a program started by `nc -e` does not get from the caller of `nc`."""
    sync_files: bool = True
    """Whether `sync` takes files, and not only complains of them."""
    environment: dict[str, str] = Field(default_factory=dict)
    users: dict[str, User] = Field(
        default_factory=lambda: {"root": User(uid=0, gid=0), "nobody": User(uid=65534, gid=65534)}
    )
    links: dict[str, str] = Field(default_factory=dict)
    tmp: bool = True
    nsswitch: bool = True
    certificates: bool = True

    @field_validator("tools", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value


class Health(_Frozen):
    """The image's own check, in seconds."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int = 0


class Face(_Frozen):
    """What one image shows: all that a container of it can meet before its service runs."""

    userland: Userland
    adds: tuple[str, ...] = ()
    """Tools besides those of the userland."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Besides that of the userland."""
    release_variables: tuple[str, ...] = ()
    """Variables of which only the release is told: nobody here reads them."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    """Paths of programs besides the entrypoint's."""
    user: str = ""
    """As the image says it; empty for root."""
    users: dict[str, User] = Field(default_factory=dict)
    """Besides those of the userland."""
    folders: dict[str, Folder] = Field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    working_dir: str = ""
    health: Health | None = None
    stop_signal: str = ""
    capabilities: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Path of a program → capabilities of its file, permitted and effective."""

    @property
    def tools(self) -> frozenset[str]:
        """All that can be called by its name, services aside."""
        return frozenset((*self.userland.tools, *self.adds))

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment, but for `release_variables`."""
        return {**self.userland.environment, **self.environment}

    @property
    def passwd(self) -> dict[str, User]:
        return {**self.userland.users, **self.users}


class Source(_Frozen):
    """Where a face was read."""

    repository: str
    files: tuple[str, ...]
    tag: str
    """Or commit: of the newest state that could be had."""


class Official(Face):
    """The face of an image that is pinned in `config/images.yaml`."""

    source: Source
    looked_at: str
    """The pin's tag for which somebody has looked at the source."""


@cache
def userlands() -> dict[str, Userland]:
    """The kinds of surroundings, by name."""
    return {name: Userland(**fields) for name, fields in yaml.safe_load(FILE.read_text())["userlands"].items()}


@cache
def official() -> dict[str, Official]:
    """Service → face of its official image."""
    return read(yaml.safe_load(FILE.read_text())["images"])


def read(images: Mapping[str, Mapping[str, Any]]) -> dict[str, Official]:
    """Faces as the file has them.

    Raises:
        ToolchainError: the file says what it cannot mean, or does not say what it must.
    """
    return {service: _official(service, fields) for service, fields in images.items()}


def _official(service: str, fields: Mapping[str, Any]) -> Official:
    if (name := fields.get("userland")) not in userlands():
        raise ToolchainError(
            f"{FILE.name}: {service}: there is no userland {name!r}", fix=f"name one of {', '.join(userlands())}"
        )
    try:
        return Official(**{**fields, "userland": userlands()[name]})
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ToolchainError(f"{FILE.name}: {service}: {words}", fix="see toolchain/images/faces.py") from None
