"""Caddy: TLS in front of Grafana, under a domain. It requests and renews the certificate itself."""

from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.services.metrics.api_proxy import BEHIND_CADDY
from config.settings import Settings
from config.settings.grafana import Tls
from config.yaml_text import digest

PORT = METRICS["caddy"]
TLS_PORT = 443
FILE = "Caddyfile"
DATA = "/var/lib/caddy"
"""Folder of certificates and keys. Not `/data`, because a part of that belongs to root in the image."""


def container(settings: Settings) -> Container:
    """Requires `grafana.tls`."""
    front = settings.grafana.tls
    assert front is not None  # noqa: S101 - settings.services
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
        config=_config(front),
    )


def _config(front: Tls) -> ConfigFiles:
    version = digest({FILE: caddyfile(front, "")})
    return ConfigFiles(
        files={FILE: caddyfile(front, version)},
        # The validator creates a certificate authority. It must not be one owned by root in the data folder.
        validate=f"XDG_DATA_HOME=/tmp caddy validate --config {FILE} --adapter caddyfile",
        reload=("caddy", "reload", "--config", f"{DIRECTORY}/{FILE}", "--adapter", "caddyfile"),
        expect={f"http://127.0.0.1:{PORT}/version": version},
    )


def caddyfile(front: Tls, version: str) -> str:
    """The `Caddyfile`. It opens only port 443: a certificate authority can check the domain there, so port 80 is not
    needed."""
    internal = "\n\ttls internal" if front.certificate == "internal" else ""
    return f"""\
{{
	admin 127.0.0.1:2019
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	metrics
	servers {{
		protocols h1 h2
	}}
	log {{
		level WARN
	}}
}}

https://{front.domain}:{TLS_PORT} {{{internal}
	reverse_proxy api_proxy:{BEHIND_CADDY}
}}

http://:{PORT} {{
	metrics /metrics
	respond /version "{version}"
}}
"""
