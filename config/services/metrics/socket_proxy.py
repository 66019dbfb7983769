"""HAProxy in front of the Docker socket: passes the requests that read containers, and none that change anything."""

from pathlib import Path

from config.container import DIRECTORY, ConfigFiles, Container, Mount, http_health
from config.ports import DOCKER_API, DOCKER_API_FAR, METRICS
from config.settings import Settings

PORT = METRICS["socket_proxy"]
CONTAINERS = "/containers"
"""Path of the page with the engine's containers, for Prometheus."""

_CONTAINER = "containers/[a-zA-Z0-9][a-zA-Z0-9_.-]*"
# Requests of Prometheus and the log shipper.
_ALLOWED = f"^(/v[0-9.]+)?/(_ping|version|networks|containers/json|{_CONTAINER}/(json|logs))$"

ONE_CLIENT, ALL_CLIENTS = 8, 20
"""Connections per MiB of the container's limit. One costs 21 KiB (HAProxy 2.6, while following logs), and the shipper
holds one for each container whose log it follows. Two clients together cannot shut out the others."""

LUA = Path(__file__).with_suffix(".lua")


def container(settings: Settings) -> Container:
    """Runs as root inside, because the socket belongs to root. Only cAdvisor has the socket too, and it serves no such
    API."""
    far, edge = settings.logs.remote is not None, settings.role == "edge"
    files = {
        "haproxy.cfg": _haproxy_cfg(settings.memory_mib("socket_proxy"), far=far, edge=edge),
        LUA.name: LUA.read_text() + _readers(far=far, edge=edge),
    }
    return Container(
        service="socket_proxy",
        command=("haproxy", "-W", "-db", "-f", f"{DIRECTORY}/haproxy.cfg"),
        user="0:0",
        port=PORT,
        health=http_health(PORT),
        go_memory_percent=0,
        mounts=(Mount(settings.docker.socket, "/var/run/docker.sock"),),
        config=ConfigFiles(files=files, validate="haproxy -c -q -f haproxy.cfg", reload="restart"),
    )


def _readers(*, far: bool, edge: bool) -> str:
    """The readers of logs, for the script. An edge cannot ask its centre which lines it has,
    and the second copy cannot ask its store."""
    near = 'add_reader("", %s)\n' % ("unknown" if edge else "delivered")
    return "\n" + near + ('add_reader("far_", unknown)\n' if far else "")


_RULES = f"""\
    http-request deny unless METH_GET or METH_HEAD
    http-request deny unless {{{{ path -m reg {_ALLOWED} }}}}
    # The engine would measure the files of every container.
    http-request deny if {{{{ query,url_dec -m reg (^|&)size= }}}}
    http-request lua.{{begin}} if {{{{ path -m end /_ping }}}}
    http-request lua.inspect if {{{{ path -m reg /{_CONTAINER}/json$ }}}}
    # Whatever becomes of the script, the engine is not asked.
    http-request deny deny_status 502 if {{{{ path -m reg /{_CONTAINER}/json$ }}}}
    http-request lua.{{since}} if {{{{ path -m reg /{_CONTAINER}/logs$ }}}}
    http-after-response set-header connection close if {{{{ status ge 400 }}}}
    default_backend engine
"""
"""What a reader may ask."""
_FRONTEND_FAR = f"""\
# For the copy of the logs that goes far away.
frontend far
    bind :{DOCKER_API_FAR}
    {{bound}}
{{rules}}
"""
_LOKI = f"""\
# For the script: what Loki has of a log.
listen loki
    bind 127.0.0.1:{METRICS["loki"]}
    server loki loki:{METRICS["loki"]} resolvers engine init-addr none

"""


def _haproxy_cfg(memory: int, *, far: bool, edge: bool) -> str:
    bound = f"""\
tcp-request connection track-sc0 src table docker
    tcp-request connection reject if {{ sc0_conn_cur gt {memory * ONE_CLIENT} }} {{ sc0_inc_gpc0 gt 0 }}"""
    return f"""\
global
    maxconn {memory * ALL_CLIENTS}
    nbthread 1
    # A log that is being followed never ends by itself; its reader comes again.
    hard-stop-after 1s
    log stdout format raw daemon notice
    default-path config
    # At this bound Lua collects its garbage; without it the container would be killed for what is none of its own any more.
    tune.lua.maxmem {memory // 2}
    lua-load {LUA.name}

defaults
    mode http
    timeout connect 5s
    timeout http-request 10s
    timeout http-keep-alive 10s
    # The log of a container that says nothing stays open; that of a client that has gone does not, nor does it hold a place.
    option abortonclose
    timeout client 24d
    timeout client-fin 10s
    timeout server 24d

frontend docker
    bind :{DOCKER_API}
    # The script tells whose connections are refused.
    stick-table type ipv6 size 1k expire 1h store conn_cur,gpc0
    {bound}
{_RULES.format(begin="begin", since="since")}
{_FRONTEND_FAR.format(bound=bound, rules=_RULES.format(begin="far_begin", since="far_since")) if far else ""}backend engine
    server socket unix@/var/run/docker.sock

{"" if edge else _LOKI}resolvers engine
    nameserver dns 127.0.0.11:53
    hold valid 1s

frontend metrics
    bind :{PORT}
    timeout client 10s
    {bound}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request lua.look if {{ path {CONTAINERS} }}
    http-request use-service lua.containers if {{ path {CONTAINERS} }} {{ var(txn.looked) -m int 1 }}
    http-request deny deny_status 502 if {{ path {CONTAINERS} }}
    http-request deny
"""
