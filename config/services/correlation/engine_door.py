"""HAProxy as the door to the engine through which `healer` acts: it lets through exactly the requests that the settings need.

The list is compared as a whole: method, path, query and body. So an attacker who takes over the healer can restart the named containers and run the named commands, and nothing else. In a dry run
the door only lets the healer look whether the container exists.
"""

from config.container import DIRECTORY, ConfigFiles, Container, Mount, http_health
from config.ports import DOCKER_API
from config.services.correlation import healer
from config.services.correlation.incidents.program import door
from config.settings import Settings

LIST = "requests.lst"
_HEALTH = 8408


def container(settings: Settings) -> Container:
    """Requires `actions` for containers. Runs as root inside, because the socket belongs to root."""
    requests = [str(request) for action in healer.actions(settings) for request in door.requests(action)]
    files = {
        "haproxy.cfg": _haproxy_cfg(runs=any(action.diagnose and not action.dry_run for action in settings.actions)),
        LIST: "".join(f"{request}\n" for request in dict.fromkeys(requests)),
    }
    return Container(
        service="engine_door",
        command=("haproxy", "-db", "-f", f"{DIRECTORY}/haproxy.cfg"),
        user="0:0",
        port=None,
        health=http_health(_HEALTH, "/_ping"),
        go_memory_percent=0,
        mounts=(Mount(settings.docker.socket, "/var/run/docker.sock"),),
        config=ConfigFiles(files=files, validate="haproxy -c -q -f haproxy.cfg", reload="restart"),
    )


def _haproxy_cfg(*, runs: bool) -> str:
    """`runs`: whether a command is run, which then is started and asked for its end by an id."""
    allowed = [f"    acl asked var(txn.request) -m str -f {LIST}"]
    if runs:
        allowed += [
            f"    acl asked var(txn.request) -m reg '^POST {door.STARTED} \\[{door.START}\\]$'",
            f"    acl asked var(txn.request) -m reg '^GET {door.ENDED} \\[\\]$'",
        ]
    return f"""\
global
    maxconn 8
    hard-stop-after 1s
    log stdout format raw daemon notice
    default-path config

defaults
    mode http
    timeout connect 5s
    timeout http-request 10s
    timeout http-keep-alive 1s
    timeout client 10s
    # A container takes its own time to stop.
    timeout server 3m

frontend door
    bind :{DOCKER_API}
    http-request deny if {{ req.hdr(upgrade) -m found }}
    http-request wait-for-body time 5s
    http-request set-var-fmt(txn.request) "%[method] %[pathq] [%[req.body]]"
{chr(10).join(allowed)}
    http-request deny unless asked
    default_backend engine

backend engine
    server socket unix@/var/run/docker.sock

frontend health
    bind 127.0.0.1:{_HEALTH}
    http-request deny unless {{ method GET }} {{ path /_ping }}
    default_backend engine
"""
