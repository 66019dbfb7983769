"""Images that a stack takes from elsewhere."""

import re
from typing import Annotated

from pydantic import (
    StringConstraints,
    field_validator,
)

from config.settings.model import (
    Model,
)

Image = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9._/-]+(:[\w.-]+)?(@sha256:[0-9a-f]+)?$")
]
"""A reference: `[registry/]repository[:tag][@digest]`."""


class Images(Model):
    """Where images come from: one field per service overrides its pin in `config/images.yaml`."""

    registry: str | None = None
    """A mirror (`host[:port][/path]`) that holds the images under their own paths."""
    prometheus: Image | None = None
    alertmanager: Image | None = None
    node_exporter: Image | None = None
    cadvisor: Image | None = None
    socket_proxy: Image | None = None
    scrape_proxy: Image | None = None
    api_proxy: Image | None = None
    postgres_exporter: Image | None = None
    redis_exporter: Image | None = None
    nginx_exporter: Image | None = None
    blackbox_exporter: Image | None = None
    mongodb_exporter: Image | None = None
    elasticsearch_exporter: Image | None = None
    loki: Image | None = None
    alloy: Image | None = None
    promtail: Image | None = None
    otel_collector: Image | None = None
    jaeger: Image | None = None
    elasticsearch: Image | None = None
    opensearch: Image | None = None
    jaeger_es_index_cleaner: Image | None = None
    grafana: Image | None = None
    caddy: Image | None = None
    busybox: Image | None = None
    """Provides a shell for services whose image has none, and loads their config files."""

    @field_validator("registry")
    @classmethod
    def _is_a_mirror(cls, registry: str | None) -> str | None:
        if registry is not None and not re.fullmatch(r"[a-zA-Z0-9.-]+(:\d+)?(/[a-z0-9._/-]+)?", registry):
            msg = "is not host[:port][/path], without https:// and with a path in small letters"
            raise ValueError(msg)
        return registry
