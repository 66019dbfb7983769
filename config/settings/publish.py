"""Settings of the ports on the host, and of the public addresses of services."""

from typing import Any, Literal, Self

from pydantic import Field, create_model, model_validator

from config.catalogue import publications
from config.settings.model import ByService, Listen, Model, Url

_ports: dict[str, Any] = {
    name: (Listen | None, Field(published.address, description=published.note))
    for name, published in publications().items()
}
_Ports = create_model("_Ports", __base__=ByService, **_ports)


class Publish(_Ports):
    """`address:port` on the host where a service listens; null to publish nothing. The default is loopback. Everything
    but `otlp_grpc` and `caddy` is behind `api_proxy`, which only lets people read (docs/architecture.md)."""

    @model_validator(mode="after")
    def _one_service_per_port(self) -> Self:
        ports: dict[int, list[tuple[str, str]]] = {}
        for service, listen in self:
            if listen is None:
                continue
            host, port = listen.rsplit(":", 1)
            for other, other_host in ports.setdefault(int(port), []):
                if host == other_host or {host, other_host} & {"0.0.0.0", "[::]"}:  # noqa: S104 - compared, not bound
                    msg = f"publish.{service} and publish.{other} both want port {port}"
                    raise ValueError(msg)
            ports[int(port)].append((service, host))
        return self


Page = Literal["prometheus", "alertmanager", "jaeger", "grafana"]
"""A service with pages that links lead to."""


class ExternalUrls(Model):
    """Addresses under which people reach a service (a reverse proxy, a tunnel). Links in alerts point there. If the
    address has a path (`https://ops.example.com/grafana`), your proxy has to cut the path off:
    `location /grafana/ { proxy_pass http://127.0.0.1:3000/; }` in Nginx, with the last slash. A proxy that forwards the
    path causes a redirect loop."""

    prometheus: Url | None = None
    alertmanager: Url | None = None
    jaeger: Url | None = None
    """Needs a host name of its own: below a path its pages do not find their files."""
    grafana: Url | None = None
    """Also where links in alerts lead if you have a Grafana of your own."""
