"""HAProxy in front of the Docker socket: lets through what is needed to see containers, and nothing that changes any."""

from config.container import DIRECTORY, ConfigFiles, Container, Mount, http_health
from config.ports import DOCKER_API, METRICS
from config.settings import Settings

PORT = METRICS["socket_proxy"]

# What Prometheus and the log shipper ask for. `/containers/<id>/json` shows the environment of containers, so it is
# not among it; `/containers/<id>/logs` is what a shipper reads.
_ALLOWED = (
    "^(/v[0-9.]+)?/(_ping|version|info|events|networks|containers/json|containers/[a-zA-Z0-9][a-zA-Z0-9_.-]*/logs)$"
)


def container(settings: Settings) -> Container:
    """Root inside, because the socket belongs to root. Beside it only cAdvisor, which serves no such API, has the socket."""
    files = {"haproxy.cfg": _haproxy_cfg()}
    return Container(
        service="socket_proxy",
        command=("haproxy", "-W", "-db", "-f", f"{DIRECTORY}/haproxy.cfg"),
        user="0:0",
        port=PORT,
        health=http_health(PORT),
        go_memory_limit=False,
        mounts=(Mount(_socket(settings), "/var/run/docker.sock"),),
        config=ConfigFiles(files=files, validate="haproxy -c -q -f haproxy.cfg", reload="restart"),
    )


def _socket(settings: Settings) -> str:
    """The socket on the host of the engine: a local one may stand elsewhere."""
    scheme, path = settings.docker.host.split("://", 1)
    return path if scheme == "unix" else "/var/run/docker.sock"


def _haproxy_cfg() -> str:
    return f"""\
global
    maxconn 256
    log stdout format raw daemon notice

defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-request 10s

frontend docker
    bind :{DOCKER_API}
    http-request deny unless METH_GET or METH_HEAD
    http-request deny unless {{ path -m reg {_ALLOWED} }}
    default_backend engine

backend engine
    server socket unix@/var/run/docker.sock

frontend metrics
    bind :{PORT}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny
"""
