"""Where services listen on the host, and under which addresses people reach them."""

from typing import Literal, Self

from pydantic import (
    model_validator,
)

from config.settings.model import (
    Listen,
    Model,
    Url,
)


class Publish(Model):
    """`address:port` on the host where a service listens; null to publish nothing. The default is loopback. Everything
    but `otlp_grpc` and `caddy` is behind `api_proxy`, which only lets people read (docs/architecture.md)."""

    prometheus: Listen | None = "127.0.0.1:9090"
    alertmanager: Listen | None = "127.0.0.1:9093"
    node_exporter: Listen | None = None
    cadvisor: Listen | None = None
    postgres_exporter: Listen | None = None
    redis_exporter: Listen | None = None
    nginx_exporter: Listen | None = None
    blackbox_exporter: Listen | None = None
    mongodb_exporter: Listen | None = None
    elasticsearch_exporter: Listen | None = None
    loki: Listen | None = None
    """The reading part of its API, for tools like logcli."""
    alloy: Listen | None = None
    promtail: Listen | None = None
    otlp_grpc: Listen | None = "127.0.0.1:4317"
    """The OpenTelemetry Collector. Containers in `networks` reach it as `otel-collector:4317`."""
    otlp_http: Listen | None = "127.0.0.1:4318"
    """The OpenTelemetry Collector. Containers in `networks` reach it as `otel-collector:4318`."""
    jaeger: Listen | None = "127.0.0.1:16686"
    grafana: Listen | None = "127.0.0.1:3000"
    caddy: Listen | None = None
    """TLS in front of Grafana, open to the network: `0.0.0.0:443`. Needs `grafana.tls`."""

    @model_validator(mode="after")
    def _one_service_per_port(self) -> Self:
        taken: dict[int, list[tuple[str, str]]] = {}
        for service, listen in self:
            if listen is None:
                continue
            host, port = listen.rsplit(":", 1)
            for other, other_host in taken.setdefault(int(port), []):
                if host == other_host or {host, other_host} & {"0.0.0.0", "[::]"}:  # noqa: S104 - compared, not bound
                    msg = f"publish.{service} and publish.{other} both want port {port}"
                    raise ValueError(msg)
            taken[int(port)].append((service, host))
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
