"""Settings of images from another source."""

import re
from typing import Annotated, Any

from pydantic import StringConstraints, create_model, field_validator

from config.catalogue import SERVICES
from config.settings.model import ByService

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
"""Grammar of a repository (`distribution/reference`)."""

Image = Annotated[
    str,
    StringConstraints(
        pattern=rf"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?/)?{_PATH}(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?$"
    ),
]
"""A reference: `[registry/]repository[:tag][@digest]`."""


class _Registry(ByService):
    registry: str | None = None
    """A mirror (`host[:port][/path]`) that holds the images under their own paths."""

    @field_validator("registry")
    @classmethod
    def _is_a_mirror(cls, registry: str | None) -> str | None:
        if registry is not None and not re.fullmatch(rf"[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?(/{_PATH})?", registry):
            msg = "is not host[:port][/path], without https:// and with a path in small letters"
            raise ValueError(msg)
        return registry


_overrides: dict[str, Any] = dict.fromkeys(SERVICES, (Image | None, None))
_ByService = create_model("_ByService", __base__=_Registry, **_overrides)


class Images(_ByService):
    """Where images come from: one field per service overrides its pin in `config/catalogue.py`."""

    busybox: Image | None = None
    """Provides a shell for services whose image has none, and loads their config files."""
