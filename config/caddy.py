"""Caddy: TLS in front of Grafana, under a domain. It gets the certificate, and renews it, by itself."""

from config.api_proxy import BEHIND_CADDY
from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.settings import Settings
from config.settings.grafana import Tls
from config.yaml_text import digest

PORT = METRICS["caddy"]
TLS_PORT = 443
FILE = "Caddyfile"
DATA = "/var/lib/caddy"
"""Certificates and their keys. Not `/data`, of which the image makes a part that is root's."""


def container(settings: Settings) -> Container:
    """Needs `grafana.tls`."""
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
        # The file of its binary has it, and so does not start without; it is what makes port 443 its own.
        capabilities=("CAP_NET_BIND_SERVICE",),
        config=_config(front),
    )


def _config(front: Tls) -> ConfigFiles:
    version = digest({FILE: caddyfile(front, "")})
    return ConfigFiles(
        files={FILE: caddyfile(front, version)},
        # To know whether it could start it makes an authority, which must not be the one of root in the data.
        validate=f"XDG_DATA_HOME=/tmp caddy validate --config {FILE} --adapter caddyfile",
        reload=("caddy", "reload", "--config", f"{DIRECTORY}/{FILE}", "--adapter", "caddyfile"),
        expect={f"http://127.0.0.1:{PORT}/version": version},
    )


def caddyfile(front: Tls, version: str) -> str:
    """Port 443 alone: an authority can check the domain there too, and nothing needs port 80."""
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
