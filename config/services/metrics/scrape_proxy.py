"""HAProxy in your containers' networks: Prometheus scrapes the containers through it, and stays out of their networks,
because it stores data."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.own_jobs import OwnJob
from config.ports import METRICS, SCRAPES
from config.services.metrics.own_scrapes import Way, ways
from config.settings import Settings

PORT = METRICS["scrape_proxy"]
CONNECTIONS = 16
"""Connections per MiB of the container's limit. One needs two buffers of 16 KiB in HAProxy."""
REFUSED = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
"""Addresses that are never your services: its own, link-local ones (a provider's metadata), and multicast."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def container(settings: Settings, own_jobs: Sequence[OwnJob] = ()) -> Container:
    """Runs as the image's own user, without capabilities."""
    address = settings.listens("scrape_proxy")
    return Container(
        service="scrape_proxy",
        command=("haproxy", "-W", "-db", "-f", f"{DIRECTORY}/haproxy.cfg"),
        user="99:99",
        port=PORT,
        published={},
        health=http_health(PORT, address=address),
        go_memory_percent=0,
        config=ConfigFiles(
            files={
                "haproxy.cfg": _haproxy_cfg(settings, address, own_jobs),
                **{_authority(name): way.authority for name, way in ways(settings, own_jobs).items() if way.authority},
            },
            validate="haproxy -c -q -f haproxy.cfg",
            reload="restart",
        ),
    )


def cluster_names(settings: Settings) -> dict[str, str]:
    """Host name of your own cluster → address of this proxy, for Jaeger and its cleaner. Its name still matches its
    certificate. Empty if there is no such cluster."""
    host = _cluster(settings)[0]
    return {host: settings.edge.address("scrape_proxy")} if host else {}


def _cluster(settings: Settings) -> tuple[str, int]:
    """Host and port of your own cluster. `("", 0)` if there is none, or if it is an IP address, which needs no proxy."""
    cluster = settings.traces.cluster
    if cluster is None:
        return "", 0
    parts = urlsplit(cluster.url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host, parts.port or (443 if parts.scheme == "https" else 80)
    return "", 0


def _authority(name: str) -> str:
    return f"authorities/{name}.pem"


def _encrypted(name: str, way: Way) -> str:
    """The route for the targets of one job whose certificates have their own authority or name."""
    authority = _authority(name) if way.authority else CERTIFICATES
    host = f"str({way.server_name})" if way.server_name else "var(txn.host)"
    return f"""
backend encrypted-{name}
    server target 0.0.0.0:0 ssl verify required ca-file {authority} sni {host}
"""


def _haproxy_cfg(settings: Settings, address: str, own_jobs: Sequence[OwnJob]) -> str:
    refused = " ".join((*REFUSED, str(settings.edge.subnet)))
    host, port = _cluster(settings)
    forward = _FORWARD.format(address=address, port=port, host=host) if host else ""
    own = ways(settings, own_jobs)
    uses = "".join(f"    use_backend encrypted-{one} if {{ var(txn.scheme) -m str https-{one} }}\n" for one in own)
    schemes = "|".join(("https?", *(f"https-{one}" for one in own)))
    encrypted = "".join(_encrypted(name, way) for name, way in own.items())
    return f"""\
global
    maxconn {settings.memory_mib("scrape_proxy") * CONNECTIONS}
    nbthread 1
    hard-stop-after 1s
    log stdout format raw daemon notice
    ssl-server-verify required
    default-path config

defaults
    mode http
    retries 0
    timeout connect 5s
    timeout http-request 10s
    timeout http-keep-alive 2m
    timeout client 2m
    timeout server 2m
    # A connection to a target is closed after each scrape: the next one may go to another container of this name.
    option httpclose

resolvers engine
    nameserver dns 127.0.0.11:53
    accepted_payload_size 8192
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold nx 1s

# /<scheme>/<host>:<port>/<path>
frontend scrapes
    bind {address}:{SCRAPES}
    http-request deny unless METH_GET
    http-request set-var(txn.scheme) path,field(2,/)
    http-request set-var(txn.target) path,field(3,/)
    http-request set-var(txn.host) var(txn.target),field(1,:)
    http-request deny deny_status 400 unless {{ path -m reg ^/({schemes})/[^/:]+:[0-9]+/ }}
    # 502: nobody has that name. 503: nobody listens there. 504: no answer. 403: that address is none of a user's service.
    http-request do-resolve(txn.address,engine,ipv4) var(txn.host) unless {{ var(txn.host) -m reg ^[0-9.]+$ }}
    http-request set-var(txn.address) var(txn.host) if {{ var(txn.host) -m reg ^[0-9.]+$ }}
    http-request deny deny_status 502 unless {{ var(txn.address) -m found }}
    http-request set-dst var(txn.address)
    http-request set-dst-port var(txn.target),field(2,:)
    http-request deny deny_status 403 if {{ dst {refused} }}
    http-request set-header Host %[var(txn.target)]
    http-request set-path %[path,regsub(^/[^/]+/[^/]+,)]
    use_backend encrypted if {{ var(txn.scheme) -m str https }}
{uses}    default_backend plain

backend plain
    server target 0.0.0.0:0

backend encrypted
    server target 0.0.0.0:0 ssl verify required ca-file {CERTIFICATES} sni var(txn.host)
{encrypted}{forward}
frontend metrics
    bind {address}:{PORT}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny
"""


_FORWARD = """
# Of Jaeger and its cleaner to the user's cluster.
listen cluster
    mode tcp
    bind {address}:{port}
    timeout client 1h
    timeout server 1h
    tcp-request content do-resolve(sess.address,engine,ipv4) str({host})
    tcp-request content reject unless {{ var(sess.address) -m found }}
    tcp-request content set-dst var(sess.address)
    tcp-request content set-dst-port int({port})
    server cluster 0.0.0.0:0
"""
