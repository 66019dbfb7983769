"""The part of the catalogue with exporters of databases and pages: one row for each.

Its row gives an exporter its setting, its job, its group of alerts and its port in `api_proxy` (docs/architecture.md).
"""

from collections.abc import Mapping

from config.row import OUTSIDE, Pin, Published, Row
from config.sizes import MIB


def _exporter(
    *,
    name: str,
    image: Pin,
    port: int,
    memory: int,
    edge_address: int,
    watches: str,
    example: Mapping[str, str] | None = None,
    note: str | None = None,
    login: str | None = None,
    credential: str = "password",
    board: str | None = None,
) -> Row:
    return Row(
        name=name,
        stack="metrics",
        image=image,
        memory=memory,
        port=port,
        publish={name: Published()},
        zones=OUTSIDE,
        edge_address=edge_address,
        watches=watches,
        example=example or {},
        note=note,
        login=login,
        credential=credential,
        board=board,
    )


EXPORTER_ROWS = (
    _exporter(
        name="postgres_exporter",
        # renovate: datasource=docker depName=quay.io/prometheuscommunity/postgres-exporter
        image=Pin(
            "quay.io/prometheuscommunity/postgres-exporter",
            "v0.20.1",
            "sha256:ac5ec343104fae0e2d84a27bb8d69b38430a11910c5382cad85d478d2bab713e",
        ),
        port=9187,
        memory=64 * MIB,
        edge_address=5,
        watches="postgres",
        example={"address": "db:5432"},
        login="password of `exporters.postgres.user`, without blanks",
        board="databases",
    ),
    _exporter(
        name="redis_exporter",
        # The -alpine variant: the default one has no shell, which the config loader needs.
        # renovate: datasource=docker depName=oliver006/redis_exporter
        image=Pin(
            "docker.io/oliver006/redis_exporter",
            "v1.93.0-alpine",
            "sha256:93831cd4d5d67687de67c9d5221b14312fea580af8d157583ed9d4459bf2dd70",
        ),
        port=9121,
        memory=48 * MIB,
        edge_address=6,
        watches="redis",
        example={"address": "cache:6379"},
        note="A server of Redis or Valkey, a node of a cluster, or a sentinel (`cache-sentinel:26379`).",
        login="password of `exporters.redis.user`",
        board="databases",
    ),
    _exporter(
        name="nginx_exporter",
        # renovate: datasource=docker depName=nginx/nginx-prometheus-exporter
        image=Pin(
            "docker.io/nginx/nginx-prometheus-exporter",
            "1.5.1",
            "sha256:9f6d963bb2b19d706d401cc3e2c3ea8de2f1c471b96a2156ca45e76f650b1625",
        ),
        port=9113,
        memory=24 * MIB,
        edge_address=7,
        watches="nginx",
        example={"status_url": "http://web:8080/stub_status"},
        note="The page of Nginx' module stub_status, which counts only connections and requests. Status codes and latency "
        "come from its access log.",
        board="databases",
    ),
    _exporter(
        name="blackbox_exporter",
        # renovate: datasource=docker depName=prom/blackbox-exporter
        image=Pin(
            "docker.io/prom/blackbox-exporter",
            "v0.28.0",
            "sha256:e753ff9f3fc458d02cca5eddab5a77e1c175eee484a8925ac7d524f04366c2fc",
        ),
        port=9115,
        memory=64 * MIB,
        edge_address=4,
        watches="probes",
    ),
    _exporter(
        name="mongodb_exporter",
        # No digest of it could be confirmed: a stack that selects it pins one by `images.mongodb_exporter`.
        # renovate: datasource=docker depName=percona/mongodb_exporter
        image=Pin("docker.io/percona/mongodb_exporter", "0.47.2"),
        port=9216,
        memory=96 * MIB,
        edge_address=8,
        watches="mongodb",
        example={"uri": "mongodb://mongo:27017"},
        login="certificate by which the exporter logs in to `exporters.mongodb`, and its key, both in PEM",
        credential="certificate",
        board="databases",
    ),
    _exporter(
        name="elasticsearch_exporter",
        # renovate: datasource=docker depName=quay.io/prometheuscommunity/elasticsearch-exporter
        image=Pin(
            "quay.io/prometheuscommunity/elasticsearch-exporter",
            "v1.11.0",
            "sha256:a056739b095df4baaa076f0b31321394233da9a240eeada2623d1b028b7ee7a6",
        ),
        port=9114,
        memory=64 * MIB,
        edge_address=9,
        watches="elasticsearch",
        example={"url": "http://search:9200"},
        login="password of `exporters.elasticsearch.user`",
        board="stack",
    ),
    _exporter(
        name="mysqld_exporter",
        # No digest of it could be confirmed: a stack that selects it pins one by `images.mysqld_exporter`.
        # renovate: datasource=docker depName=prom/mysqld-exporter
        image=Pin("docker.io/prom/mysqld-exporter", "v0.19.0"),
        port=9104,
        memory=48 * MIB,
        edge_address=12,
        watches="mysql",
        example={"address": "db:3306"},
        note="A server of MySQL or MariaDB. `user` is `exporter` by default; it needs the rights PROCESS and REPLICATION "
        "CLIENT (MariaDB: also SLAVE MONITOR).",
        login="password of `exporters.mysql.user`, without `%(`",
        board="databases",
    ),
    _exporter(
        name="memcached_exporter",
        # No digest of it could be confirmed: a stack that selects it pins one by `images.memcached_exporter`.
        # renovate: datasource=docker depName=prom/memcached-exporter
        image=Pin("docker.io/prom/memcached-exporter", "v0.14.3"),
        port=9150,
        memory=32 * MIB,
        edge_address=13,
        watches="memcached",
        example={"address": "cache:11211"},
        note="A server of Memcached, which must ask for no password: the exporter knows none.",
        board="databases",
    ),
)
