"""Images that the tests run beside the stack: a user's database, cache and load balancer, and a storage for traces.

No deployment uses them.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import docker

from toolchain import debian, maven
from toolchain.images import FOLDER, ensure, kafka, product, search_engines
from toolchain.images.faces import Face, Folder, User, official, userlands
from toolchain.images.recipes import Assembled, Debian, Recipe

POSTGRES, REDIS, NGINX, MARIADB, MEMCACHED = 999, 999, 101, 999, 11211
"""User ids of the official images."""


def image(client: docker.DockerClient, service: str) -> str:
    """Return the reference of the image of a service in RECIPES. Builds the image if it does not exist."""
    return ensure(client, f"test-{service}", RECIPES[service]())


def unpacked(server: str) -> Path:
    """Return a folder with the packages of a server in UNPACKED, and the libraries that they need. A test runs it there, without
    an image."""
    return product(f"test-{server}", Recipe(version="debian", source=Debian(UNPACKED[server](), {})))


def assembled_kafka() -> Path:
    """Return the folder that `kafka.assemble` fills. A test runs it there, without an image."""
    sources = (Path(kafka.__file__), Path(maven.__file__), maven.PINNED)
    return product("test-kafka", Recipe(version=kafka.VERSION, source=Assembled(kafka.assemble, sources, {})))


def _face(user: str, number: int, *, folders: tuple[str, ...], **more: Any) -> Face:
    """A face with folders that the image's user owns. `number` is the user's and the group's id."""
    own = Folder(owner=number, group=number, mode=0o755)
    return Face(
        userland=userlands()["alpine"],
        user=user,
        users={user: User(uid=number, gid=number)},
        folders=dict.fromkeys(folders, own),
        **more,
    )


def _postgres() -> Recipe:
    """PostgreSQL. POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE sets the password of the user postgres; arguments are
    options of the server."""
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
        face=_face(
            "postgres",
            POSTGRES,
            folders=("/var/lib/postgresql/data", "/run/postgresql"),
            entrypoint=("docker-entrypoint.sh",),
            environment={"PGDATA": "/var/lib/postgresql/data", "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin"},
            ports=("5432/tcp",),
            volumes=("/var/lib/postgresql/data",),
            stop_signal="SIGINT",
        ),
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
        face=_face(
            "redis",
            REDIS,
            folders=("/data",),
            entrypoint=("redis-server", "--protected-mode", "no", "--save", ""),
            ports=("6379/tcp",),
            working_dir="/data",
        ),
    )


def _memcached() -> Recipe:
    return Recipe(
        version="debian",
        source=Debian(("memcached",), {"/usr/bin/memcached": "/usr/bin/memcached"}),
        face=_face("memcache", MEMCACHED, folders=(), entrypoint=("memcached",), ports=("11211/tcp",)),
    )


def _nginx() -> Recipe:
    """Nginx. Its status page is /stub_status on port 8080; every other path answers `ok`."""
    return Recipe(
        version="debian",
        source=Debian(("nginx", "nginx-core"), {"/usr/sbin/nginx": "/usr/sbin/nginx"}),
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
        face=_face(
            "nginx",
            NGINX,
            folders=("/var/lib/nginx", "/var/log/nginx"),
            entrypoint=("nginx", "-c", "/etc/nginx/nginx.conf"),
            ports=("8080/tcp",),
            stop_signal="SIGQUIT",
        ),
    )


def _mariadb() -> Recipe:
    """MariaDB, whose root logs in on its socket only, without a password. Arguments are options of the server."""
    programs = ("mariadb-install-db", "my_print_defaults", "resolveip", "mariadb")
    return Recipe(
        version="debian",
        source=Debian(
            ("mariadb-server-core", "mariadb-server", "mariadb-client-core"),
            {
                **{f"/usr/bin/{name}": f"/usr/bin/{name}" for name in programs},
                **{path: path for path in ("/usr/sbin/mariadbd", "/usr/share/mysql", "/usr/lib/mysql/plugin")},
            },
        ),
        files={
            "/usr/local/bin/docker-entrypoint.sh": """\
#!/bin/sh
set -eu
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --no-defaults --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db >&2
fi
exec mariadbd --no-defaults --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock "$@"
"""
        },
        face=_face(
            "mysql",
            MARIADB,
            folders=("/var/lib/mysql", "/run/mysqld"),
            entrypoint=("docker-entrypoint.sh",),
            ports=("3306/tcp",),
            volumes=("/var/lib/mysql",),
        ),
    )


def _elasticsearch() -> Recipe:
    """Elasticsearch without security, scripting, lifecycle management or data streams: their modules are not
    available."""
    return _search_engine("elasticsearch", search_engines.ELASTICSEARCH, search_engines.elasticsearch)


def _opensearch() -> Recipe:
    """OpenSearch without security, scripting or index state management: their modules are not available, or not
    needed."""
    return _search_engine("opensearch", search_engines.OPENSEARCH, search_engines.opensearch)


def _search_engine(name: str, version: str, make: Callable[[Path], None]) -> Recipe:
    """One node on port 9200, with the interface of the official image. Environment variables set its settings, as
    there.

    With `LD_PRELOAD=/usr/lib/libfaketime.so` and, for example, `FAKETIME=-8d`, it creates the indices of another day.
    """
    face = official()[name]
    home, sources = face.working_dir, FOLDER / name
    entrypoint = str(PurePosixPath(home, face.entrypoint[-1]))
    texts = {path.name: path.read_text() for path in sources.iterdir()}
    return Recipe(
        version=version,
        differs="few of its modules: no security, scripting, lifecycle management (see below)",
        source=Assembled(
            make,
            (sources, Path(search_engines.__file__), Path(maven.__file__), maven.PINNED),
            {
                home: "home",
                f"{home}/jdk": "jre",
                f"{home}/jdk/lib/server/libjvm.so": "libjvm.so",
                "/bin/tini": "/usr/bin/tini-static",
                "/usr/bin/curl": "/usr/bin/curl",
                "/usr/lib/libfaketime.so": "libfaketime.so",
            },
        ),
        files={
            entrypoint: (FOLDER / "search_engine" / "docker-entrypoint.sh").read_text(),
            "/usr/local/bin/server.sh": texts["server.sh"],
            **{f"{home}/config/{file}": texts[file] for file in (f"{name}.yml", "log4j2.properties")},
        },
        face=face,
    )


RECIPES = {
    "postgres": _postgres,
    "redis": _redis,
    "nginx": _nginx,
    "mariadb": _mariadb,
    "memcached": _memcached,
    "elasticsearch": _elasticsearch,
    "opensearch": _opensearch,
}
"""Service → function that makes its recipe. A recipe is made on demand, because some ask the distribution for its
newest version."""

_ERLANG = (
    *("asn1", "base", "crypto", "eldap", "inets", "mnesia", "os-mon", "parsetools", "public-key", "runtime-tools"),
    *("ssl", "syntax-tools", "tools", "xmerl"),
)


def _php_fpm() -> tuple[str, ...]:
    package = debian.newest("php8.")
    return (f"{package}-fpm", f"{package}-common")


UNPACKED: dict[str, Callable[[], tuple[str, ...]]] = {
    "rabbitmq": lambda: ("rabbitmq-server", *(f"erlang-{part}" for part in _ERLANG)),
    "php-fpm": _php_fpm,
}
"""Server → function that names its packages."""
