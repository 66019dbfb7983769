"""The interface of the official images, from `faces.yaml`: user, tools, files, variables. What runs in them is in the
recipes."""

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
    """Groups in addition to its own."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not (match := _USER.fullmatch(value)):
            raise ValueError(f'{value!r} is not "uid:gid", or "uid:gid group"')
        return {**match.groupdict(), "groups": tuple(match["groups"].split())}


class Folder(_Frozen):
    owner: int
    group: int
    mode: int
    deep: bool = False
    """Whether everything below the folder has the same owner and group."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not (match := _FOLDER.fullmatch(value)):
            raise ValueError(f'{value!r} is not "uid:gid mode", or "uid:gid mode deep"')
        return {
            "owner": match["owner"],
            "group": match["group"],
            "mode": int(match["mode"], 8),
            "deep": bool(match["deep"]),
        }


class Userland(_Frozen):
    """Shell, tools and files of an image, apart from the service."""

    kind: Literal["none", "busybox", "gnu"]
    tools: tuple[str, ...] = ()
    """Commands that are on PATH."""
    sh: Literal["dash", "bash"] = "dash"
    """Which shell `sh` is, if `kind` is `gnu`."""
    nc_takes: tuple[int, ...] = ()
    """File descriptors that `nc -e` does not pass on from its caller to the program that it starts."""
    sync_files: bool = True
    """Whether `sync` takes files as arguments. Otherwise it only reports an error."""
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
    """The image's own health check. Times are in seconds."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int = 0


class Face(_Frozen):
    """Everything that an image shows to a container before its service runs."""

    userland: Userland
    adds: tuple[str, ...] = ()
    """Tools in addition to those of the userland."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables in addition to those of the userland."""
    release_variables: tuple[str, ...] = ()
    """Variables that only name the release. Nothing here reads them."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    """Paths of programs, apart from the entrypoint's."""
    user: str = ""
    """The user, spelled as in the image; empty for root."""
    users: dict[str, User] = Field(default_factory=dict)
    """Users in addition to those of the userland."""
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
        """All commands on PATH, apart from the services."""
        return frozenset((*self.userland.tools, *self.adds))

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment, without `release_variables`."""
        return {**self.userland.environment, **self.environment}

    @property
    def passwd(self) -> dict[str, User]:
        return {**self.userland.users, **self.users}


class Source(_Frozen):
    """The source that a face was read from."""

    repository: str
    files: tuple[str, ...]
    tag: str
    """The tag, or the commit of the newest version that was available."""


class Official(Face):
    """The face of an image that is pinned in `config/catalogue.py`."""

    source: Source
    looked_at: str
    """The tag of the pinned image whose source a person has compared with the face."""


@cache
def userlands() -> dict[str, Userland]:
    """Userland's name → userland, from `faces.yaml`."""
    return {name: Userland(**fields) for name, fields in yaml.safe_load(FILE.read_text())["userlands"].items()}


@cache
def official() -> dict[str, Official]:
    """Service → face of its official image."""
    return read(yaml.safe_load(FILE.read_text())["images"])


def read(images: Mapping[str, Mapping[str, Any]]) -> dict[str, Official]:
    """Parse faces as they are in the file: service → face.

    Raises:
        ToolchainError: a field is unknown, missing or not valid.
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
