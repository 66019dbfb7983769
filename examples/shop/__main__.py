"""The shop, deployed beside a stack of this project. It shows what you would write for services of your own."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_docker as docker

HERE = Path(__file__).parent
PORT = 8000
PASSWORD_FILE = "/run/database_password"  # noqa: S105 - a path, not a password

# The language host interrupts the program when a resource fails: a traceback would hide the reason.
signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))

config = pulumi.Config()
reached = config.require_object("docker")
engine = docker.Provider(
    "engine",
    host=reached["host"],
    context="",  # otherwise DOCKER_CONTEXT would overrule the host
    cert_path=str(Path(reached["certificates"]).expanduser()) if "certificates" in reached else None,
    ssh_opts=reached.get("ssh_options"),
)
images: dict[str, str] = config.require_object("images")
password = docker.ContainerUploadArgs(file=PASSWORD_FILE, content=config.require_secret("database_password"))
address, port = config.require("listen").rsplit(":", 1)

TELEMETRY = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": config.require("otlp"),
    "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace=shop,deployment.environment.name={pulumi.get_stack()}",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",  # current attribute names, where the default is older ones
    "OTEL_TRACES_SAMPLER": "parentbased_always_on",  # the collector decides which traces to keep
    "SHOP_FAULTS": "on" if config.require_bool("faults") else "off",
}
DATABASE = {"DATABASE_URL": "postgresql://postgres@postgres/postgres", "DATABASE_PASSWORD_FILE": PASSWORD_FILE}


def container(
    name: str,
    *,
    memory: int,
    health: Sequence[str],
    environment: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    uploads: Sequence[docker.ContainerUploadArgs] = (),
    ports: Sequence[docker.ContainerPortArgs] = (),
    command: Sequence[str] = (),
    after: Sequence[pulumi.Resource] = (),
) -> docker.Container:
    """A container called `<prefix>-<name>`. Other containers reach it as `name`. `memory` is in MiB."""
    return docker.Container(
        name,
        name=f"{config.require('prefix')}-{name}",
        image=images[name],
        command=list(command),
        envs=[f"{key}={value}" for key, value in (environment or {}).items()],
        # Logs and metrics get their label `service` from the first label.
        labels=[
            docker.ContainerLabelArgs(label=f"observability.{key}", value=value)
            for key, value in {"service": name, **(labels or {})}.items()
        ],
        memory=memory,
        memory_swap=memory,
        restart="unless-stopped",
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=["CMD", *health], interval="5s", timeout="5s", start_period="30s", retries=5
        ),
        wait=True,
        wait_timeout=120,
        destroy_grace_seconds=10,
        log_driver="json-file",
        log_opts={"max-size": "10m", "max-file": "3"},
        network_mode="bridge",
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=config.require("network"), aliases=[name])],
        ports=list(ports),
        uploads=list(uploads),
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        opts=pulumi.ResourceOptions(provider=engine, delete_before_replace=True, depends_on=list(after)),
    )


def service(
    name: str, *, memory: int, health: Sequence[str], environment: dict[str, str], after: Sequence[pulumi.Resource]
) -> docker.Container:
    """One of the shop's five services: it sends traces, and its labels make Prometheus scrape it."""
    return container(
        name,
        memory=memory,
        health=health,
        environment={"OTEL_SERVICE_NAME": name, **TELEMETRY, **environment},
        labels={"scrape": "true", "port": str(PORT)},
        uploads=[password] if DATABASE.items() <= environment.items() else [],
        after=after,
    )


URL = f"http://127.0.0.1:{PORT}/healthz"
WGET = ("wget", "-q", "-O", "/dev/null")
# Importing urllib and the site's packages would take a third of a second of CPU, every five seconds.
PYTHON = (
    "python3", "-ISc",
    (f"import socket, sys; asked = socket.create_connection(('127.0.0.1', {PORT}), 4); "
    r"asked.sendall(b'GET /healthz HTTP/1.0\r\n\r\n'); sys.exit(b' 200 ' not in asked.recv(64))"),
)  # fmt: skip
NODE = ("node", "-e", f"fetch('{URL}').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))")

postgres = container(
    "postgres", memory=256, health=("pg_isready", "-U", "postgres", "-h", "127.0.0.1"), uploads=[password],
    environment={"POSTGRES_PASSWORD_FILE": PASSWORD_FILE},
)  # fmt: skip
redis = container("redis", memory=64, health=("redis-cli", "ping"))
stores = [postgres, redis]
users = service("users", memory=192, health=PYTHON, environment=DATABASE, after=stores)
products = service("products", memory=192, health=NODE, environment=DATABASE, after=stores)
auth = service("auth", memory=192, health=PYTHON, environment={}, after=stores)
go = {"GOMEMLIMIT": "54MiB"}  # 85 % of the container's limit
orders = service("orders", memory=64, health=(*WGET, URL), environment={**DATABASE, **go}, after=stores)
gateway = service("gateway", memory=64, health=(*WGET, URL), environment=go, after=[users, products, auth, orders])
nginx = container(
    "nginx", memory=32, health=(*WGET, "http://127.0.0.1:8080/healthz"), after=[gateway],
    ports=[docker.ContainerPortArgs(internal=8080, external=int(port), ip=address)],
    uploads=[docker.ContainerUploadArgs(file="/etc/nginx/nginx.conf", content=(HERE / "nginx" / "nginx.conf").read_text())],
)  # fmt: skip

first = json.loads((HERE / "users" / "first.json").read_text())
pulumi.export("shop", f"http://{address}:{port}")
pulumi.export("user", f"{first['user']}, password {first['password']}")
pulumi.export("containers", [c.name for c in (postgres, redis, users, products, auth, orders, gateway, nginx)])
