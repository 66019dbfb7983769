"""What the tests run beside the stack: the user's database, cache and load balancer. Never part of a deployment."""

import docker

from toolchain import debian
from toolchain.images import ensure
from toolchain.images.recipes import Debian, Recipe

POSTGRES, REDIS, NGINX = 999, 999, 101
"""User ids of the official images."""


def image(client: docker.DockerClient, service: str) -> str:
    """The reference of `postgres`, `redis` or `nginx`, built if it is not there."""
    recipes = {"postgres": _postgres, "redis": _redis, "nginx": _nginx}
    return ensure(client, f"test-{service}", recipes[service]())


def _postgres() -> Recipe:
    """POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is the password of the user postgres; options follow as arguments."""
    version = debian.newest("postgresql-").rpartition("-")[2]
    home = f"/usr/lib/postgresql/{version}"
    programs = f"{home}/bin"
    return Recipe(
        version=version,
        source=Debian(
            (f"postgresql-{version}", f"postgresql-client-{version}", "tzdata"),
            {
                **{f"{programs}/{name}": f"{programs}/{name}" for name in ("initdb", "postgres", "psql", "pg_isready")},
                **{path: path for path in (f"{home}/lib", f"/usr/share/postgresql/{version}", "/usr/share/zoneinfo")},
            },
        ),
        entrypoint=("docker-entrypoint.sh",),
        user="postgres",
        users={"postgres": POSTGRES},
        folders={"/var/lib/postgresql/data": POSTGRES, "/var/run/postgresql": POSTGRES},
        files={
            "/usr/local/bin/docker-entrypoint.sh": """\
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD_FILE:-/tmp/password}
    [ -n "${POSTGRES_PASSWORD_FILE:-}" ] || (umask 077 && echo "$POSTGRES_PASSWORD" >"$password")
    initdb -D "$PGDATA" -U postgres --encoding=UTF8 --locale=C \\
        --auth-local=trust --auth-host=scram-sha-256 --pwfile="$password"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' "$@"
"""
        },
        config={
            "Env": ["PGDATA=/var/lib/postgresql/data", f"PATH={programs}:/usr/local/bin:/usr/bin:/bin"],
            "ExposedPorts": {"5432/tcp": {}},
            "Volumes": {"/var/lib/postgresql/data": {}},
            "StopSignal": "SIGINT",
        },
    )


def _redis() -> Recipe:
    return Recipe(
        version="debian",
        source=Debian(
            ("redis-server", "redis-tools"),
            {
                "/usr/local/bin/redis-server": "/usr/bin/redis-check-rdb",
                "/usr/local/bin/redis-cli": "/usr/bin/redis-cli",
            },
        ),
        entrypoint=("redis-server", "--protected-mode", "no", "--save", ""),
        user="redis",
        users={"redis": REDIS},
        folders={"/data": REDIS},
        config={"ExposedPorts": {"6379/tcp": {}}, "WorkingDir": "/data"},
    )


def _nginx() -> Recipe:
    """Its status page is /stub_status on port 8080; every other path says ok."""
    return Recipe(
        version="debian",
        source=Debian(("nginx", "nginx-core"), {"/usr/sbin/nginx": "/usr/sbin/nginx"}),
        entrypoint=("nginx", "-c", "/etc/nginx/nginx.conf"),
        user="nginx",
        users={"nginx": NGINX},
        folders={"/var/lib/nginx": NGINX, "/var/log/nginx": NGINX},
        files={
            "/etc/nginx/nginx.conf": """\
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
    access_log /dev/stdout;
    server {
        listen 8080;
        location = /stub_status { stub_status; }
        location / { return 200 "ok\\n"; }
    }
}
"""
        },
        config={"ExposedPorts": {"8080/tcp": {}}, "StopSignal": "SIGQUIT"},
    )
