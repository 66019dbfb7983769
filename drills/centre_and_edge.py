"""Two hosts with an engine each, an edge and its centre: the input of the edge, and what arrives at the centre."""

import contextlib
import json
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import requests
from docker.models.containers import Container

import check
from config.services.correlation import caddy
from drills.frame import Drill
from drills.ground import PATIENCE_SECONDS, reached
from drills.steady import SERVICE, WRITE, Spans
from engine.docker_api import execute
from tests.support import leftovers, small_stack, tracing, two_engines
from tests.support.deployment import SHORT, Deployment
from tests.support.listener import Answers, Listener
from tests.support.outside import gateway
from tests.support.ports import publish
from tests.support.shop import Shop
from tests.support.two_engines import CENTRE, Host, TwoEngines
from toolchain import images
from toolchain.images import for_tests
from toolchain.images import shop as shop_images
from toolchain.images.recipes import RECIPES

NAME = "edge-1"
"""What the edge is called."""
PORT = 443
SERIES = 5000
"""Series that the edge may have."""
COUNTED = "drill_scrapes_total"
LINES = "drill-lines"
PAGE_SECONDS = 20.0
"""Span of the lines in one request: they are fewer than Loki's limit."""
PRODUCTS = 8000
PASSWORD = "/run/database_password"
POSTGRES, NOBODY = 999, 65534
"""Users of the images."""
DATABASE = {"DATABASE_URL": "postgresql://postgres@postgres/postgres", "DATABASE_PASSWORD_FILE": PASSWORD}


class _Counting(Answers, BaseHTTPRequestHandler):
    says: ClassVar["Counting"]

    def do_GET(self) -> None:
        self.says.count += 1
        body = f"# TYPE {COUNTED} counter\n{COUNTED} {self.says.count}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Counting(Listener):
    """An application whose page counts how often it was scraped: each sample has a number."""

    handler = _Counting
    address: str
    count: int = 0


@dataclass(frozen=True)
class Numbers:
    """How many there were, and what of them is not at the centre, or more than once."""

    many: int
    missing: list[int]
    doubled: list[int]

    @classmethod
    def of(cls, wanted: range, counts: "Counter[int]") -> "Numbers":
        return cls(len(wanted), [n for n in wanted if not counts[n]], [n for n in wanted if counts[n] > 1])


@dataclass
class CentreAndEdge:
    """`with CentreAndEdge(environment) as both`."""

    environment: Mapping[str, str]
    _exit: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> "CentreAndEdge":
        try:
            self._deploy()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _deploy(self) -> None:
        folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix=leftovers.PREFIX)))
        self.hosts: TwoEngines = self._exit.enter_context(two_engines.linked())
        self.credential = secrets.token_hex(32)
        self.centre = self._make(
            self.hosts.centre,
            folder / "centre",
            grafana={"enabled": False},
            edges={NAME: {"series": SERIES}},
            door={"domain": CENTRE, "certificate": "internal"},
            host_name="centre",
            metrics={**SHORT, "retention": {"time": "2h", "size": "512MiB"}},
            traces={"sampling": {"decision_wait": "1s", "rest": 100}},
            publish={**publish("prometheus", "alertmanager", "loki", "jaeger"), "caddy": f"0.0.0.0:{PORT}"},
        )
        self._fill(self.centre, f"edge_password_{NAME}")
        with self.hosts.centre.network():
            self.centre.operate("up")
        authority = f"{caddy.DATA}/caddy/pki/authorities/local/root.crt"
        _, pem = execute(self.centre.container("caddy"), ["cat", authority])
        self.ca = folder / "ca.pem"
        self.ca.write_text(pem)
        client = self.hosts.edge.client()
        with self.hosts.edge.network():
            self.page = self._exit.enter_context(Counting(gateway(client, "bridge")))
            self.edge = self._make(
                self.hosts.edge,
                folder / "edge",
                role="edge",
                host_name=NAME,
                centre={"url": self.door, "ca": pem.replace("\n", " ")},
                metrics={
                    **{key: SHORT[key] for key in ("scrape_interval", "scrape_timeout")},
                    "applications": {"static": [{"service": SERVICE, "targets": [self.page.host_port]}]},
                },
                publish=publish("prometheus", "otlp_http"),
                logs={"system": "off"},
            )
            self._fill(self.edge, "centre_password")
            self.edge.operate("up")
            shop = self._exit.enter_context(Shop(client, f"{self.edge.prefix}-drill"))
            image = self.edge.settings.image("busybox")
            labels = {"observability.service": LINES}
            self.writer = shop.start("writer", image, ["sh", "-c", WRITE], labels=labels)
            always: Any = {"Name": "unless-stopped"}
            self.writer.update(restart_policy=always)
            self.spans = Spans(self.edge.url("otlp_http"))
            self.spans.start()
            self._exit.callback(self.spans.stop)
        reached("all of it arrives", lambda: self.samples() and self.lines(60) and self.traces(), PATIENCE_SECONDS)

    @property
    def door(self) -> str:
        return f"https://{CENTRE}:{PORT}"

    def _make(self, host: Host, folder: Path, **config: Any) -> Deployment:
        client = host.client()
        prefix = leftovers.new_prefix()
        settings = small_stack.config(prefix, {}, docker={"host": host.docker.host}, **config)
        if config.get("role") == "edge":
            del settings["memory"], settings["traces"]
        deployment = Deployment.create(folder, "drills", client, self.environment, settings)
        self._exit.callback(client.close)
        return deployment

    def _fill(self, stack: Deployment, secret: str) -> None:
        """Sets its secret, and gives its engine the images: it can pull none."""
        stack.secret(secret, self.credential)
        names = stack.settings.image_names
        stack.config["images"] = {name: images.ensure(stack.client, name, RECIPES[name]) for name in names}
        stack.write()

    # Looks

    def samples(self, seconds: float = 600) -> "Counter[int]":
        """Numbers of the samples at the centre."""
        with self.hosts.centre.network():
            result = self.centre.query(f'{COUNTED}{{host="{NAME}"}}[{round(seconds)}s]')
        return Counter(int(value) for series in result for _, value in series["values"])

    def lines(self, seconds: float) -> "Counter[int]":
        """Numbers of the lines at the centre."""
        counts: Counter[int] = Counter()
        now = time.time() + 1
        start = now - seconds
        with self.hosts.centre.network():
            while start < now:
                streams = self.centre.get(
                    "loki",
                    "/loki/api/v1/query_range",
                    query=f'{{host="{NAME}",service="{LINES}"}}',
                    start=f"{start:.6f}",
                    end=f"{start + PAGE_SECONDS:.6f}",
                    limit="5000",
                )["data"]["result"]
                counts.update(number(line) for stream in streams for _, line, *_ in stream["values"])
                start += PAGE_SECONDS
        return counts

    def traces(self) -> dict[str, int]:
        """Trace id → how many spans the centre has of it; each was sent with one."""
        with self.hosts.centre.network():
            return {trace: len(one["spans"]) for trace, one in tracing.traces_of(self.centre, SERVICE).items()}

    def line(self) -> int:
        """The number of the last line that was written."""
        return number(self.writer.logs(tail=1).decode())

    def green(self) -> None:
        """Waits until the check of both is green."""
        for host, stack in ((self.hosts.centre, self.centre), (self.hosts.edge, self.edge)):
            with host.network():
                broken = [one for one in check.run(stack.settings, patience=PATIENCE_SECONDS) if not one.kept]
            assert not broken, f"{stack.settings.role}: " + "; ".join(f"{one.what} ({one.detail})" for one in broken)

    def recover(self) -> None:
        """By any means, for the drill that comes next."""
        for host, stack in ((self.hosts.centre, self.centre), (self.hosts.edge, self.edge)):
            with host.network():
                stack.operate("up")

    # The shop, on both hosts

    @contextlib.contextmanager
    def shop(self) -> Iterator[str]:
        """Orders and its stores on the edge, Products and its own at the centre. Yields where orders are taken."""
        with contextlib.ExitStack() as parts:
            listens = {"ports": {f"{PRODUCTS}/tcp": (CENTRE, PRODUCTS)}}
            self._part(parts, self.hosts.centre, self.centre, "products", listens)
            orders = self._part(parts, self.hosts.edge, self.edge, "orders", {"extra_hosts": {"products": CENTRE}})
            orders.reload()
            [network] = orders.attrs["NetworkSettings"]["Networks"].values()
            yield f"http://{network['IPAddress']}:{PRODUCTS}"

    def _part(
        self, parts: contextlib.ExitStack, host: Host, stack: Deployment, service: str, more: Mapping[str, Any]
    ) -> Container:
        client = host.client()
        parts.callback(client.close)
        shop = parts.enter_context(Shop(client, f"{stack.prefix}-shop"))
        networks = (stack.settings.apps_network,)
        for store, environment in {"postgres": {"POSTGRES_PASSWORD_FILE": PASSWORD}, "redis": {}}.items():
            files = {PASSWORD: "drill"} if environment else {}
            image = for_tests.image(client, store)
            shop.start(
                store, image, [], environment=environment, files=files, owner=POSTGRES, networks=networks, alias=store
            )
        telemetry = {
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4318",
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        }
        return shop.start(
            service,
            images.ensure(client, f"shop-{service}", shop_images.SERVICES[service]()),
            [],
            labels={
                "observability.service": service,
                "observability.scrape": "true",
                "observability.port": str(PRODUCTS),
            },
            environment={**DATABASE, **telemetry},
            files={PASSWORD: "drill"},
            owner=NOBODY,
            networks=networks,
            alias=service,
            restart_policy={"Name": "always"},  # until its stores answer
            **more,
        )


OnBoth = Drill[CentreAndEdge]


def number(line: str) -> int:
    """That of a steady line."""
    return int(json.loads(line)["msg"].split()[1])


def order(address: str) -> str:
    """Orders something; the id of its trace."""
    answer = requests.post(f"{address}/orders", json={"product": "note-g"}, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["trace_id"])
