"""Caddy: TLS in front of Grafana and of the door for edges, each under a domain. It requests and renews certificates
itself."""

from collections.abc import Mapping

from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.services.metrics import edge_front
from config.services.metrics.api_proxy import BEHIND_CADDY
from config.settings import Settings
from config.settings.edges import is_address
from config.settings.grafana import Tls
from config.yaml_text import digest

PORT = METRICS["caddy"]
TLS_PORT = 443
FILE = "Caddyfile"
DATA = "/var/lib/caddy"
"""Folder of certificates and keys. Not `/data`, because a part of that belongs to root in the image."""


def container(settings: Settings) -> Container:
    """Requires `grafana.tls` or `door`."""
    return Container(
        service="caddy",
        command=("caddy", "run", "--config", f"{DIRECTORY}/{FILE}", "--adapter", "caddyfile"),
        user="65534:65534",
        port=PORT,
        published={"caddy": TLS_PORT},
        health=http_health(PORT),
        environment={"XDG_DATA_HOME": DATA, "XDG_CONFIG_HOME": "/tmp"},  # noqa: S108 - in the container
        data=DATA,
        claims_data=True,
        # The binary file carries this capability, and does not start without it. It is needed to bind port 443.
        capabilities=("CAP_NET_BIND_SERVICE",),
        config=_config(sites(settings)),
    )


def sites(settings: Settings) -> dict[str, tuple[Tls, int]]:
    """What is served: domain → how it is certified, and the port of `api_proxy` behind it."""
    result: dict[str, tuple[Tls, int]] = {}
    if settings.shows_grafana_by_tls and settings.grafana.tls:
        result[settings.grafana.tls.domain] = settings.grafana.tls, BEHIND_CADDY
    if settings.door:
        result[settings.door.domain] = settings.door, edge_front.PORT
    return result


def _config(served: Mapping[str, tuple[Tls, int]]) -> ConfigFiles:
    version = digest({FILE: caddyfile(served, "")})
    return ConfigFiles(
        files={FILE: caddyfile(served, version)},
        # The validator creates a certificate authority. It must not be one owned by root in the data folder.
        validate=f"XDG_DATA_HOME=/tmp caddy validate --config {FILE} --adapter caddyfile",
        reload=("caddy", "reload", "--config", f"{DIRECTORY}/{FILE}", "--adapter", "caddyfile"),
        expect={f"http://127.0.0.1:{PORT}/version": version},
    )


def caddyfile(served: Mapping[str, tuple[Tls, int]], version: str) -> str:
    """The `Caddyfile` for `sites`. It opens only port 443: a certificate authority can check the domain there, so port 80 is
    not needed."""
    return f"""\
{{
	admin 127.0.0.1:2019
	persist_config off
	skip_install_trust
	auto_https disable_redirects
{_for_who_names_nobody(served)}	metrics
	servers {{
		protocols h1 h2
	}}
	log {{
		level WARN
	}}
}}

{"".join(_site(front, port) for front, port in served.values())}http://:{PORT} {{
	metrics /metrics
	respond /version "{version}"
}}
"""


def _for_who_names_nobody(served: Mapping[str, tuple[Tls, int]]) -> str:
    """A client that is given an address in numbers sends no name (RFC 6066, section 3)."""
    return "".join(f"\tdefault_sni {domain}\n" for domain in served if is_address(domain))


def _site(front: Tls, port: int) -> str:
    internal = "\n\ttls internal" if front.certificate == "internal" else ""
    return f"""\
https://{front.domain}:{TLS_PORT} {{{internal}
	reverse_proxy api_proxy:{port}
}}

"""
