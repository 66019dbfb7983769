"""The service `incidents` between the real Alertmanager, Loki, Jaeger and Prometheus, as its container runs it: an alert
fires, and what is told to Slack is judged."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from config.alerts.golden_signals import ERROR_RATIO
from config.links import SERVICE_TAG
from config.services.correlation import incidents
from config.services.correlation.incidents.program import logs, metrics, story, versions
from config.services.correlation.incidents.program.asking import Asker, Inquiry
from config.services.correlation.incidents.program.evidence import PATIENCE
from config.services.correlation.incidents.program.metrics import HOUR, STEP
from config.services.correlation.incidents.program.rules import read as read_rules
from config.services.correlation.incidents.program.service import Service
from config.services.logs import loki
from config.services.metrics import alertmanager, messages
from config.services.traces import jaeger
from config.settings import Settings
from config.yaml_text import dump
from tests.support.collector import group, span
from tests.support.engine_stand_in import EngineStandIn, StandInContainer
from tests.support.outside import Outside
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from tests.support.services import until_ready
from tests.support.wait import until
from toolchain import images

SETTINGS = settings_of(
    {"notifications": {"incidents": {}, "group_wait": "1s", "group_interval": "1s"}}, secrets=["slack_webhook"]
)
ERROR = "payment of order 4711 refused: <!channel> *card* expired"
TRACE = "0af7651916cd43dd8448eb211c80319c"
BEFORE, AFTER = "docker.io/shop/orders:1.7", "docker.io/shop/orders:1.8"
DEPLOYED = 90
"""Seconds from the new image to the first error."""
FAILS = 300
"""Seconds since the first error."""
PROMPT = 10
"""Seconds until a plain alert has arrived: it is grouped for one."""
NOWHERE = "http://127.0.0.1:1"
COMPOSED = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "orders",
    "com.docker.compose.project.working_dir": "/srv/shop",
    "com.docker.compose.project.config_files": "/srv/shop/compose.yaml",
    "com.docker.compose.project.environment_file": "/srv/shop/.env",
}
"""Labels that Docker Compose gives its containers (compose, pkg/api/labels.go)."""
HOSTILE = 'a"} or {level="x'
"""A service whose name would end a selector."""


@dataclass
class Place:
    """The processes, each at an address of its own."""

    folder: Path
    outside: Outside
    urls: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str | Path], port: int, ready: str, **more: Any) -> None:
        log = self.folder / f"{name}.log"
        with log.open("a") as output:
            process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, **more)
        self.running[name], self.urls[name] = process, f"http://127.0.0.1:{port}"
        until_ready(process, f"{self.urls[name]}{ready}", log, seconds=60)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait(60)

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name)

    # What happens.

    def fires(self, *services: str, name: str = "ApplicationErrorsHigh", ends: int = 600) -> None:
        """As Prometheus says it."""
        now = time.time()
        alerts = [
            {
                "labels": {"alertname": name, "service": service, "severity": "critical"},
                "annotations": {"headline": f"{service} fails"},
                "startsAt": moment(now),
                "endsAt": moment(now + ends),
            }
            for service in services
        ]
        requests.post(f"{self.urls['alertmanager']}/api/v2/alerts", json=alerts, timeout=10).raise_for_status()

    def messages_about(self, name: str) -> list[dict[str, Any]]:
        """Attachments that came to Slack about alerts of this name, while they fire."""
        attachments = [message["attachments"][0] for message in self.outside.messages]
        return [one for one in attachments if one["title"].startswith("[FIRING") and f"· {name} ·" in one["title"]]

    def incident(self) -> dict[str, Any]:
        [attachment] = until(lambda: self.messages_about("Incident"))
        return dict(attachment)

    def page(self, path: str) -> str:
        return requests.get(f"{self.urls['incidents']}{path}", timeout=10).text


def moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Loki, Jaeger and Prometheus, with what they know of the shop."""
    folder = tmp_path_factory.mktemp("stores")
    engine = EngineStandIn({"shop-orders-1": StandInContainer("a" * 64, COMPOSED)}, folder / "engine.sock")
    with Outside("127.0.0.1") as nobody, closing(Place(folder, nobody)) as new_place, engine:
        new_place.urls["docker"] = engine.url
        for start in (start_loki, start_jaeger, start_prometheus):
            start(new_place)
        yield new_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Alertmanager."""
    with Outside("127.0.0.1") as outside, closing(Place(tmp_path, outside)) as new_place:
        start_alertmanager(new_place)
        yield new_place


@pytest.fixture
def shop(place: Place, stores: Place) -> Place:
    """Everything but the service."""
    place.urls |= stores.urls
    return place


def start_alertmanager(place: Place) -> None:
    port = free_port()
    (place.folder / "webhook").write_text(place.outside.url("/slack"))
    main = alertmanager.main_file(SETTINGS)
    [slack] = [one["slack_configs"][0] for one in main["receivers"] if one["name"] == "slack"]
    slack["api_url_file"] = str(place.folder / "webhook")
    (place.folder / "templates").mkdir()
    (place.folder / "templates" / "slack.tmpl").write_text(messages.templates())
    (place.folder / "alertmanager.yml").write_text(dump(main))
    command: list[str | Path] = [images.binary("alertmanager"), f"--config.file={place.folder / 'alertmanager.yml'}"]
    command += [f"--storage.path={place.folder / 'am'}", f"--web.listen-address=127.0.0.1:{port}"]
    place.start("alertmanager", [*command, "--cluster.listen-address="], port, "/-/ready")


def start_loki(place: Place) -> None:
    port, folder = free_port(), place.folder / "loki"
    for name, text in config_of("loki", SETTINGS).files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    main = yaml.safe_load((folder / loki.MAIN).read_text())
    main["common"]["path_prefix"] = str(folder)
    main["storage_config"]["filesystem"]["directory"] = str(folder / "chunks")
    main["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": port}
    main["server"] |= {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": free_port()}
    main["runtime_config"]["file"] = str(folder / loki.LIMITS)
    main["ruler"] = {"storage": {"type": "local", "local": {"directory": str(folder / "rules")}}}
    (folder / loki.MAIN).write_text(dump(main))
    place.start("loki", [images.binary("loki"), f"-config.file={folder / loki.MAIN}"], port, "/ready")
    line = json.dumps({"level": "error", "message": ERROR})
    streams = [
        {"stream": {"service": service, "level": "error", "source": "docker"}, "values": values}
        for service, values in (
            ("orders", [[str(time.time_ns() - number * 10**9), line, {"trace_id": TRACE}] for number in range(3)]),
            (HOSTILE, [[str(time.time_ns()), "of the hostile", {}]]),
            ("other", [[str(time.time_ns()), "of nobody here", {}]]),
        )
    ]
    answer = requests.post(f"{place.urls['loki']}/loki/api/v1/push", json={"streams": streams}, timeout=10)
    assert answer.ok, answer.text


def start_jaeger(place: Place) -> None:
    pages, status, otlp, own, folder = free_port(), free_port(), free_port(), free_port(), place.folder
    main = jaeger.main_file(SETTINGS)
    main["extensions"]["healthcheckv2"]["http"]["endpoint"] = f"127.0.0.1:{status}"
    query = main["extensions"]["jaeger_query"]
    query["http"]["endpoint"] = f"127.0.0.1:{pages}"
    query["grpc"] = {"endpoint": f"127.0.0.1:{free_port()}"}
    [storage] = main["extensions"]["jaeger_storage"]["backends"].values()
    storage["badger"]["directories"] = {"keys": str(folder / "keys"), "values": str(folder / "values")}
    main["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{otlp}"}}
    main["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"] |= {
        "host": "127.0.0.1",
        "port": own,
    }
    (folder / "jaeger.yml").write_text(dump(main))
    environment = {**os.environ, "OTEL_TRACES_SAMPLER": "always_off"}
    command: list[str | Path] = [images.binary("jaeger-linux"), f"--config={folder / 'jaeger.yml'}"]
    place.start("jaeger", command, pages, "/api/services", env=environment)
    root = span("POST /orders", takes=1.2, traceId=TRACE, status={"code": 2})
    called = span("charge card", takes=1.1, traceId=TRACE, parentSpanId=root["spanId"], status={"code": 2})
    spans = [
        group("traces", {"service.name": service, SERVICE_TAG: service}, one)
        for service, one in (("gateway", root), ("orders", called))
    ]
    response = requests.post(f"http://127.0.0.1:{otlp}/v1/traces", json={"resourceSpans": spans}, timeout=10)
    assert response.ok, response.text


def start_prometheus(place: Place) -> None:
    port, folder, now = free_port(), place.folder, int(time.time())
    samples = [f"# TYPE {ERROR_RATIO} gauge"]
    for at in range(now - 3600, now + 1, 15):
        for service, ratio in (("orders", 0.4), ("gateway", 0.38), ("users", 0.0)):
            samples.append(f'{ERROR_RATIO}{{service="{service}"}} {ratio if at >= now - FAILS else 0} {at}')
    samples.append("# TYPE container_start_time_seconds gauge")
    deployed = now - FAILS - DEPLOYED
    for at in range(now - 3600, now + 1, 15):
        image, started = (AFTER, deployed) if at >= deployed else (BEFORE, now - 86400)
        of = f'job="cadvisor",name="shop-orders-1",service="orders",image="{image}"'
        samples.append(f"container_start_time_seconds{{{of}}} {started} {at}")
    (folder / "samples").write_text("\n".join([*sorted(samples, key=by_family), "# EOF\n"]))
    promtool: list[str | Path] = [images.binary("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    subprocess.run([*promtool, folder / "samples", folder / "data"], check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    command: list[str | Path] = [images.binary("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    place.start("prometheus", command, port, "/-/ready")


def by_family(sample: str) -> tuple[bool, bool]:
    """OpenMetrics wants each family in one piece, behind its type."""
    return "container_start" in sample, not sample.startswith("#")


def start_incidents(place: Place, settings: Settings = SETTINGS) -> None:
    """As in its container: from the files that are delivered, by the command of the container."""
    port, folder, config = free_port(), place.folder / "config", config_of("incidents", settings)
    for name, text in config.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    write_rules(place, settings)
    command = [sys.executable, "-B", "-u", "-m", "program", "rules.json", str(port)]
    place.start("incidents", command, port, "/-/healthy", cwd=folder)


def write_rules(place: Place, settings: Settings = SETTINGS, **differs: Any) -> str:
    """The rules as rendered, but for where the APIs are."""
    rules = json.loads(incidents.rules_file(settings)) | differs
    rules["apis"] = {name: place.urls.get(name, NOWHERE) for name in rules["apis"]}
    rules["apis"]["alerts"] = place.urls["alertmanager"]
    text = json.dumps(rules)
    (place.folder / "config").mkdir(exist_ok=True)
    (place.folder / "config" / "rules.json").write_text(text)
    return text


def test_one_message_names_the_culprit_with_its_line_its_trace_and_the_image_that_caused_it(shop: Place) -> None:
    start_incidents(shop)
    shop.fires("gateway", "orders")
    until(lambda: len(shop.messages_about("ApplicationErrorsHigh")) == 2)
    assert not shop.messages_about("Incident")  # the plain alerts come first
    attachment = shop.incident()
    assert attachment["title"].startswith("[FIRING:1] critical · Incident · orders")
    text = attachment["text"]
    assert "*orders: 40 % errors since " in text
    after = re.search(r"began (\d+) s after image shop/orders:1\.8 replaced 1\.7\*", text)
    assert after
    assert (
        DEPLOYED <= int(after[1]) <= DEPLOYED + 2 * STEP
    )  # the series has a value every so often, and so has the answer
    override = '{"services":{"orders":{"image":"docker.io/shop/orders:1.7"}}}'
    options = "-p shop --project-directory /srv/shop --env-file /srv/shop/.env -f /srv/shop/compose.yaml -f -"
    assert f"To go back: echo '{override}' | docker compose {options} up -d --no-deps --no-build orders" in text
    assert f"/trace/{TRACE} (POST /orders took 1.2 s, fails in orders: charge card)" in text
    assert "Most frequent (3 of 3 errors): payment of order … refused" in text
    assert "payment of order 4711 refused: &lt;!channel&gt; +card+ expired" in text
    assert "gateway 38 %" in text
    assert "of nobody here" not in text
    assert "missing" not in text
    opened = requests.get(f"{shop.urls['jaeger']}/api/traces/{TRACE}", timeout=10).json()
    assert len(opened["data"][0]["spans"]) == 2

    # It stays one message: a restart in the middle does not tell it again.
    shop.stop("incidents")
    start_incidents(shop)
    until(lambda: 'incidents_open{about="orders",severity="critical"} 1' in shop.page("/metrics"))
    time.sleep(3)  # several group intervals
    assert len(shop.messages_about("Incident")) == 1


def test_a_new_set_of_rules_is_taken_at_a_signal_and_a_wrong_one_is_not(place: Place) -> None:
    start_incidents(place)
    text = write_rules(place, lines=7)
    place.running["incidents"].send_signal(signal.SIGHUP)
    until(lambda: place.page("/rules") == versions.of_rules(text.encode()))
    write_rules(place, lines=700)
    place.running["incidents"].send_signal(signal.SIGHUP)
    until(lambda: "incidents_config_last_reload_successful 0" in place.page("/metrics"))
    assert place.page("/rules") == versions.of_rules(text.encode())
    assert place.page("/program") == versions.of_program()


@pytest.mark.parametrize("silent", ["loki", "jaeger", "prometheus"])
def test_what_does_not_answer_is_named_and_the_rest_is_told(shop: Place, silent: str) -> None:
    shop.urls[silent] = hanging(shop) if silent == "loki" else NOWHERE  # it takes connections, and never answers
    start_incidents(shop)
    begun = time.monotonic()
    shop.fires("orders")
    until(lambda: shop.messages_about("ApplicationErrorsHigh"))
    assert time.monotonic() - begun < PROMPT
    text = shop.incident()["text"]
    assert time.monotonic() - begun < PATIENCE + 15  # two looks at the alerts, and how long they are grouped
    assert f"{silent.title()} did not answer" in text
    assert ("*orders: 40 % errors" in text) is (silent != "prometheus")
    assert ("payment of order 4711 refused" in text) is (silent != "loki")
    assert TRACE in text  # the line knows it too


def hanging(place: Place) -> str:
    port = free_port()
    program = f"import socket, time\ns = socket.create_server(('127.0.0.1', {port}))\ntime.sleep(600)"
    place.running["hanging"] = subprocess.Popen([sys.executable, "-c", program])
    return f"http://127.0.0.1:{port}"


def test_when_the_service_is_killed_the_plain_alert_arrives_in_time(place: Place) -> None:
    start_incidents(place)
    place.stop("incidents")
    begun = time.monotonic()
    place.fires("orders")
    until(lambda: place.messages_about("ApplicationErrorsHigh"))
    assert time.monotonic() - begun < PROMPT
    assert not place.messages_about("Incident")


def test_a_hostile_name_ends_no_selector(shop: Place) -> None:
    now = time.time()
    inquiry = Inquiry(Asker(), read_rules(write_rules(shop)), now - HOUR, now, time.monotonic() + 30)
    lines = logs.errors(inquiry, [HOSTILE])
    assert [line.text for line in lines.newest] == ["of the hostile"]
    assert metrics.course(inquiry, "errors", HOSTILE) is None
    assert metrics.changes(inquiry, [HOSTILE, "ord.*", "x|orders"]) == []
    assert [change.service for change in metrics.changes(inquiry, [HOSTILE, "orders"])] == ["orders"]


def test_an_incident_is_over_for_the_receivers_once_its_alerts_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "SETTLED", 0)
    monkeypatch.setattr(story, "QUIET", 0)
    write_rules(place)
    service = Service(place.folder / "config" / "rules.json")
    place.fires("orders", ends=3)

    def after_a_look(title: str) -> bool:
        service.look()
        return any(re.match(title, message["attachments"][0]["title"]) for message in place.outside.messages)

    until(lambda: after_a_look(r"\[FIRING:1\] critical · Incident · orders"))
    until(lambda: after_a_look(r"\[RESOLVED\] critical · Incident · orders"))


def test_alerts_of_the_stack_and_its_own_make_no_incident(place: Place) -> None:
    start_incidents(place)
    place.fires("prometheus", "host", name="TargetDown")
    place.fires("shop", name="Incident")
    until(lambda: place.messages_about("TargetDown"))
    time.sleep(12)  # two looks
    assert "incidents_begun_total 0" in place.page("/metrics")
