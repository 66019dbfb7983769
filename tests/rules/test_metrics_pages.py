"""Servers that serve their own metrics, real ones, scraped by the stack's jobs: with TLS, passwords, and what goes wrong there."""

import getpass
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from tenacity import RetryError

from config.alerts import EVERYTHING as EVERY_JOB
from config.alerts import groups
from config.metrics_pages import METRICS_PAGES
from config.services.metrics import scrape, scrape_proxy
from tests.rules.scraping import address, running_prometheus, running_proxy, targets
from tests.support import dashboard_queries
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from tests.support.wait import until
from toolchain import images
from toolchain.images import for_tests
from toolchain.images.recipes import RECIPES

SECRET = "hunter2 of caddy"
NEWER = {"rabbitmq_unreachable_cluster_peers_count"}
"""Metrics that Debian's RabbitMQ (3.10) does not have yet."""
OF_KAFKA_EXPORTER = {"kafka_consumergroup_lag_sum", "kafka_topic_partition_under_replicated_partition"}
"""Metrics of kafka_exporter, whose sources no module proxy serves."""
ROOT = Path(__file__).parents[2]
DEFINITIONS = {
    "vhosts": [{"name": "/"}],
    "queues": [{"name": "mails", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}],
}


def _certificate(folder: Path) -> None:
    """Writes `ca.pem`, a certificate for this machine's address that is its own authority, and `key.pem`."""
    command = f"openssl req -x509 -days 2 -nodes -newkey rsa:2048 -keyout key.pem -out ca.pem -subj /CN={address()}"
    subprocess.run([*command.split(), "-addext", f"subjectAltName=DNS:{address()}"], cwd=folder, check=True)


def _libraries(product: Path) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": ":".join(str(path) for path in (product / "usr/lib").glob("*-linux-gnu"))}


@contextmanager
def rabbitmq(folder: Path, port: int) -> Iterator[None]:
    """RabbitMQ with its plugin, which serves by TLS, and a queue."""
    root = for_tests.unpacked("rabbitmq")
    [programs] = (root / "usr/lib/erlang").glob("erts-*/bin")
    [home] = (root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")
    erl = folder / "bin" / "erl"  # the packages' own one knows only the place at which it would be installed
    erl.parent.mkdir(parents=True)
    place = f"ROOTDIR='{root}/usr/lib/erlang' BINDIR='{programs}' EMU=beam PROGNAME=erl"
    erl.write_text(f'#!/bin/sh\nexport {place}\nexec "$BINDIR/erlexec" "$@"\n')
    erl.chmod(0o755)
    (folder / "definitions.json").write_text(json.dumps(DEFINITIONS))
    secure = [f"{name} = {folder.parent}/{file}.pem" for name, file in (("certfile", "ca"), ("keyfile", "key"))]
    plain = free_port()
    ways = {"ssl": [f"ip = {address()}", f"port = {port}", *secure], "tcp": ["ip = 127.0.0.1", f"port = {plain}"]}
    lines = [f"prometheus.{way}.{line}" for way, of_way in ways.items() for line in of_way]
    (folder / "rabbitmq.conf").write_text("\n".join([*lines, f"load_definitions = {folder}/definitions.json", ""]))
    (folder / "enabled_plugins").write_text("[rabbitmq_prometheus].\n")
    names = free_port()
    environment = {
        **os.environ,
        **_libraries(root),
        "PATH": f"{erl.parent}:{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_HOME": str(home),
        "RABBITMQ_PLUGINS_DIR": str(home / "plugins"),
        "RABBITMQ_NODENAME": "test@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(free_port()),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "detached": "yes",  # the script becomes the server, so that ending it ends the server
    }
    server = [home / "sbin" / "rabbitmq-server"]
    page = f"http://127.0.0.1:{plain}/metrics"
    with subprocess.Popen([programs / "epmd"], env=environment) as epmd:
        try:
            with running(server, page, folder / "out", seconds=120, environment=environment):
                yield
        finally:
            epmd.kill()


@contextmanager
def caddy(folder: Path, port: int, status: int) -> Iterator[None]:
    """Caddy, which serves its metrics by TLS to who has the password, and on the port `status` the status of PHP-FPM."""
    fpm = for_tests.unpacked("php-fpm")
    [program] = (fpm / "usr/sbin").glob("php-fpm*")
    pool = {
        "listen": folder / "fpm.sock",
        "user": getpass.getuser(),
        "pm": "static",
        "pm.max_children": 2,
        "pm.status_path": "/status",
    }
    lines = ["[global]", "error_log = /dev/stderr", "[www]", *(f"{name} = {value}" for name, value in pool.items())]
    folder.mkdir()
    (folder / "fpm.conf").write_text("\n".join([*lines, ""]))
    product = images.product("caddy", RECIPES["caddy"])
    hashed = subprocess.run(
        [product / "caddy", "hash-password", "--plaintext", SECRET], check=True, capture_output=True, text=True
    ).stdout
    (folder / "Caddyfile").write_text(
        f"""{{
    admin off
    auto_https off
    metrics
}}
https://{address()}:{port} {{
    tls {folder.parent}/ca.pem {folder.parent}/key.pem
    basic_auth {{
        prometheus {hashed}
    }}
    metrics /metrics
}}
http://{address()}:{status} {{
    reverse_proxy /status unix/{folder}/fpm.sock {{
        transport fastcgi {{
            env SCRIPT_NAME /status
            env SCRIPT_FILENAME /status
        }}
    }}
}}
"""
    )
    server = [product / "caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    command = [program, "--nodaemonize", "--no-php-ini", "--allow-to-run-as-root", "--fpm-config", folder / "fpm.conf"]
    environment = {**os.environ, "XDG_DATA_HOME": str(folder)}
    with (
        (folder / "fpm.log").open("w") as log,
        subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=os.environ | _libraries(fpm)) as process,
    ):
        try:
            page = f"http://{address()}:{status}/status"
            with running(server, page, folder / "log", seconds=20, environment=environment):
                yield
        finally:
            process.terminate()


@contextmanager
def kafka(folder: Path, port: int) -> Iterator[None]:
    """One node of Kafka that is broker and controller, with the agent's file from the docs."""
    root, clients, controller = for_tests.assembled_kafka(), free_port(), free_port()
    folder.mkdir()
    [agent] = (root / "agent").glob("*.jar")
    (folder / "kafka.yml").write_text(_documented("# kafka.yml"))
    properties = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
    }
    (folder / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", root / "lib" / "*"]
    storage = ["kafka.tools.StorageTool", "format", "-t", "nervous-system-of-test", "-c", folder / "server.properties"]
    subprocess.run([*map(str, java), *map(str, storage)], check=True, capture_output=True)
    page = f"{address()}:{port}"
    server = [java[0], f"-javaagent:{agent}={page}:{folder}/kafka.yml", *java[1:], "kafka.Kafka"]
    with running([*server, folder / "server.properties"], f"http://{page}/metrics", folder / "log", seconds=120):
        yield


def _documented(first_line: str) -> str:
    """The block of docs/exporters.md that begins with this line."""
    [block] = [one for one in (ROOT / "docs" / "exporters.md").read_text().split("```") if first_line in one[:20]]
    return block.partition("\n")[2]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prometheus that scrapes real servers as `exporters` names them."""
    folder = tmp_path_factory.mktemp("pages")
    _certificate(folder)
    tls = {"ca": (folder / "ca.pem").read_text().replace("\n", " ")}
    mq, web, status, node = free_port(), free_port(), free_port(), free_port()
    at_caddy = {"targets": [f"{address()}:{web}"], "tls": tls}
    exporters = {
        "rabbitmq": {"targets": [f"{address()}:{mq}"], "tls": tls},
        "php_fpm": {"targets": [f"{address()}:{status}"]},
        "kafka": {"targets": [f"{address()}:{node}"]},
        "caddy": [
            at_caddy,
            {**at_caddy, "name": "unknown", "tls": {}},
            {**at_caddy, "name": "nobody"},
        ],
    }
    settings = settings_of({"exporters": exporters}, secrets=["caddy_password", "caddy_password_unknown"])
    (folder / "secrets").mkdir()
    for page in settings.exporters.pages:
        (folder / "secrets" / page.secret).write_text(SECRET)
    jobs = [job for job in scrape.jobs(settings) if "_page" in job["job_name"]]
    config = scrape_proxy.container(settings).config
    assert config
    with ExitStack() as stack:
        for server in (
            rabbitmq(folder / "rabbitmq", mq),
            caddy(folder / "caddy", web, status),
            kafka(folder / "kafka", node),
        ):
            stack.enter_context(server)
        port = stack.enter_context(running_proxy(folder, settings, config))
        yield stack.enter_context(running_prometheus(folder, settings, jobs, port))


@pytest.mark.parametrize("job", ["rabbitmq_page", "rabbitmq_queues_page", "caddy_page", "php_fpm_page", "kafka_page"])
def test_a_server_is_scraped_and_tells_what_its_alerts_and_panels_read(prometheus: str, job: str) -> None:
    # Not at once: the hash of Caddy's password takes a second the first time.
    until(lambda: [target["lastError"] for target in targets(prometheus, job)] == [""])

    def missing() -> set[str]:
        which = {"match[]": f'{{job="{job}"}}'}
        answer = requests.get(f"{prometheus}/api/v1/label/__name__/values", params=which, timeout=10)
        return _read(job) - set(answer.json()["data"]) - NEWER - OF_KAFKA_EXPORTER

    with suppress(RetryError):  # Kafka's agent answers before Kafka does
        until(lambda: not missing(), seconds=120)
    assert not missing()


def _read(job: str) -> set[str]:
    """Metrics of a job that alerts and panels read."""
    [key] = [page.key for page in METRICS_PAGES if job in page.jobs]
    [group] = [group for group in groups(settings_of(), EVERY_JOB) if group.name == key]
    exprs = [*(rule.expr for rule in group.rules), *(query.expr for query in dashboard_queries.queries())]
    names = {name for expr in exprs for name in re.findall(rf'(\w+)\{{job="{job}"', expr)}
    assert names
    return names


@pytest.mark.parametrize(("name", "why"), [("unknown", "503"), ("nobody", "401")])
def test_an_authority_that_is_not_named_and_a_password_that_is_missing_are_no_way_in(
    prometheus: str, name: str, why: str
) -> None:
    [target] = until(lambda: targets(prometheus, f"caddy_page-{name}"))
    assert target["health"] == "down"
    assert why in target["lastError"]
    assert (target["labels"]["job"], target["labels"]["service"]) == ("caddy_page", name)


def test_each_queue_is_told_by_its_name(prometheus: str) -> None:
    def ready() -> list[dict[str, Any]]:
        query = {"query": "rabbitmq_detailed_queue_messages_ready"}
        result: list[dict[str, Any]] = requests.get(f"{prometheus}/api/v1/query", params=query, timeout=10).json()[
            "data"
        ]["result"]
        return result

    [queue] = until(ready)
    assert (queue["metric"]["queue"], queue["metric"]["vhost"], queue["value"][1]) == ("mails", "/", "0")


def test_no_password_shows_in_a_file_or_a_page(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    pages = [
        requests.get(f"{prometheus}{path}", timeout=10).text for path in ("/api/v1/targets", "/api/v1/status/config")
    ]
    folders = [*tmp_path_factory.getbasetemp().glob("pages*")]
    files = [
        file.read_text() for folder in folders for end in ("yml", "cfg", "log") for file in folder.glob(f"*.{end}")
    ]
    assert SECRET not in "".join(pages + files)
