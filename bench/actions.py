"""Measures a user's changes with `pulumi up` and with `docker compose`, in turn: the same images, limits and files.

Each side runs the whole stack, alone on the engine's ports. Prometheus scrapes every two seconds, so that a short outage
shows. A change is live once the running service itself says so. A scrape of node_exporter is missed if its `up` has a
gap.

`make up` does more than both: it finds engine, CLI and images, makes a plan, and checks. It is measured on its own, with
the lines that it prints.
"""

import contextlib
import io
import itertools
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container as Running

from bench import compose
from bench.figures import Row, row
from bench.measured_stack import PRODUCTION, created
from config.container import Container
from config.ports import METRICS
from config.services.descriptions import describe
from config.settings import Settings
from config.sizes import MIB
from engine.docker_api import execute
from tests.support.deployment import SHORT, Deployment
from tests.support.wait import until
from toolchain.report import console

INTERVAL = 2
"""Seconds between scrapes (`SHORT`)."""
HERE, THERE = "here", "docker compose"
FIRST, NO_OP, RULE, LIMIT, IMAGE, REMOVAL = (
    "first deployment, until all are well",
    "nothing changed",
    "one alert rule",
    "a memory limit",
    "one image",
    "removal, data kept",
)
RELOAD = "one alert rule, there by hand with SIGHUP"
"""Compose only; this project's `RULE` does the same."""
MAKE_FIRST, MAKE_NO_OP = "make up, first", "make up, nothing changed"
LINES = "lines printed"
SERVICE = "prometheus"
"""The service that is changed."""
CPU, CPU_AGAIN = 81, 82
"""Values in percent of the one threshold that changes, in one rule."""
MEMORY = 320 * MIB


@dataclass(frozen=True)
class Took:
    """Times of one action of one side."""

    live: float
    """Seconds until the change is live."""
    command: float
    """Seconds until the command returns."""
    missed: int | None = None
    """Number of missed scrapes; None for actions during which scrapes are not counted."""


class Side(Protocol):
    """A way to deploy. Each method is one command of the user, and returns when the command does."""

    name: str

    def first(self) -> None: ...
    def no_op(self) -> None: ...
    def rule(self, cpu: int) -> None: ...
    def memory(self) -> None: ...
    def image(self, reference: str) -> None: ...
    def remove(self) -> None: ...
    def reset(self) -> None:
        """Restore the state before the first deployment, without data. This is not measured."""

    def container(self, service: str) -> Running: ...


@dataclass
class Here:
    """This project's side."""

    stack: Deployment
    name: str = HERE

    def __post_init__(self) -> None:
        self._limits, self._images = dict(self.stack.config["memory"]), dict(self.stack.config["images"])

    def first(self) -> None:
        self.stack.up()

    def no_op(self) -> None:
        self.stack.up()

    def rule(self, cpu: int) -> None:
        self.stack.config["alerts"] = {"thresholds": {"cpu": cpu}}
        self.stack.up()

    def memory(self) -> None:
        self.stack.config["memory"] = {**self._limits, SERVICE: f"{MEMORY // MIB}MiB"}
        self.stack.up()

    def image(self, reference: str) -> None:
        self.stack.config["images"] = {**self._images, SERVICE: reference}
        self.stack.up()

    def remove(self) -> None:
        self.stack.pulumi("destroy", "--yes", "--skip-preview")

    def reset(self) -> None:
        self.stack.config.pop("alerts", None)
        self.stack.config |= {"memory": self._limits, "images": self._images}
        for volume in self.stack.client.volumes.list(filters={"name": f"{self.stack.prefix}-"}):
            volume.remove()
        self.stack.write()

    def container(self, service: str) -> Running:
        return self.stack.container(service)


@dataclass
class There:
    """Docker Compose's side."""

    project: compose.Project
    client: DockerClient
    settings: Settings
    name: str = THERE
    content: dict[str, Any] = field(default_factory=dict)
    """The Compose file, parsed."""

    def learn(self, stack: Deployment) -> None:
        """Copy the containers of a running stack into the Compose file."""
        names = stack.settings.services
        services = {name: compose.service(stack.container(name).attrs, name) for name in names}
        self.content = compose.document(services, self.project.name, str(stack.settings.edge.subnet))

    def first(self) -> None:
        self.project.run("up", "--detach")

    def no_op(self) -> None:
        self.project.run("up", "--detach")

    def rule(self, cpu: int) -> None:
        """Write the rule file and recreate Prometheus, as other projects tell their users to do."""
        self._write_rule(cpu)
        self.project.run("up", "--detach", "--force-recreate", "--no-deps", SERVICE)

    def reload(self, cpu: int) -> None:
        """Write the rule file and send SIGHUP, as experienced users do. Nothing reports whether it worked."""
        self._write_rule(cpu)
        self.project.run("kill", "--signal", "SIGHUP", SERVICE)

    def _write_rule(self, cpu: int) -> None:
        self.project.write_config(SERVICE, _files(changed(self.settings, cpu), SERVICE))

    def memory(self) -> None:
        self._up(mem_limit=MEMORY, memswap_limit=MEMORY)

    def image(self, reference: str) -> None:
        self._up(image=reference)

    def remove(self) -> None:
        self.project.run("down")

    def reset(self) -> None:
        for service in self.content["services"]:
            self.project.write_config(service, _files(self.settings, service))
        self.project.write(self.content)
        self.clear()
        for service in self.content["volumes"]:
            self.client.volumes.create(f"{self.project.name}-{service}")
            if (spec := describe(service, self.settings)).claims_data:
                self._hand_over(spec)

    def clear(self) -> None:
        """Remove the data of the previous round."""
        for service in self.content["volumes"]:
            with contextlib.suppress(NotFound):
                self.client.volumes.get(f"{self.project.name}-{service}").remove()

    def _hand_over(self, spec: Container) -> None:
        """Give a volume to the service's user. The image does not have the folder, so a new volume belongs to root."""
        self.client.containers.run(
            self.settings.image("busybox"),
            ["chown", spec.user, "/data"],
            volumes={f"{self.project.name}-{spec.service}": {"bind": "/data", "mode": "rw"}},
            remove=True,
        )

    def _up(self, **changes: Any) -> None:
        content = self.project.read()
        content["services"][SERVICE] |= changes
        self.project.write(content)
        self.project.run("up", "--detach")

    def container(self, service: str) -> Running:
        return self.client.containers.get(f"{self.project.name}-{service}-1")


def changed(settings: Settings, cpu: int) -> Settings:
    """The settings with another CPU threshold, in percent."""
    thresholds = settings.alerts.thresholds.model_copy(update={"cpu": cpu})
    return settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"thresholds": thresholds})})


def _files(settings: Settings, service: str) -> Mapping[str, str]:
    config = describe(service, settings).config
    return config.files if config else {}


def missed(times: Sequence[float], interval: float) -> int:
    """Number of scrapes that are missing between the first and the last one.

    `times`: times of scrapes, `interval`: time between two, both in seconds.
    """
    pairs = itertools.pairwise(times)
    return sum(max(0, round((later - earlier) / interval) - 1) for earlier, later in pairs)


def _until_back(act: Callable[[], None]) -> float:
    """Run `act`, and return when it ended, in seconds of the monotonic clock."""
    act()
    return time.monotonic()


@dataclass
class Watch:
    """Measures the actions of a side."""

    side: Side
    settings: Settings

    def action(self, act: Callable[[], None], live: Callable[[], bool] | None = None, *, scraped: bool = False) -> Took:
        """Run `act` in a thread, and measure until `live` returns true, or without `live` until the command returns.

        With `scraped`, missed scrapes are counted.
        """
        if scraped:
            until(lambda: len(self._scrapes(20)) > 3)
        start, begun = time.monotonic(), time.time()
        with ThreadPoolExecutor(1) as pool:
            command = pool.submit(_until_back, act)
            until(lambda: (command.done() and (live is None or command.exception())) or (live and live()), seconds=240)
            lives = time.monotonic() - start
            ended = command.result() - start
        if not scraped:
            return Took(lives, ended)
        over = time.time()
        until(lambda: self._scrapes(10)[-1] > over + INTERVAL)
        return Took(lives, ended, missed(self._scrapes(time.time() - begun + 8), INTERVAL))

    def ready(self) -> bool:
        """Whether each service answers at the address that its own docs name for health checks."""
        with ThreadPoolExecutor(4) as pool:
            return all(pool.map(self._ready, self.settings.services))

    def _ready(self, service: str) -> bool:
        spec = describe(service, self.settings)
        try:
            container = self.side.container(service)
            if spec.health:
                return execute(container, spec.health)[0] == 0
            joined = container.attrs["NetworkSettings"]["Networks"]
            network = joined.get(self.settings.edge.name) or next(iter(joined.values()))
            page = f"http://{network['IPAddress']}:{METRICS[service]}/metrics"
            return requests.get(page, timeout=2).ok
        except (NotFound, requests.RequestException):
            return False

    def runs(self, settings: Settings) -> bool:
        """Whether Prometheus reports that its rules are those of `settings`."""
        config = describe(SERVICE, settings).config
        assert config
        [version] = [text for url, text in config.expect.items() if url.endswith("/rules")]
        return version in requests.get(f"{self._prometheus}/api/v1/rules", timeout=2).text

    def has(self, *, memory: int | None = None, image: str | None = None) -> bool:
        """Whether the changed service has this memory limit, in bytes, and this image, and answers."""
        attrs = self.side.container(SERVICE).attrs
        as_asked = memory in {None, attrs["HostConfig"]["Memory"]} and image in {None, attrs["Config"]["Image"]}
        return as_asked and self._ready(SERVICE)

    def _scrapes(self, seconds: float) -> list[float]:
        query = {"query": f'up{{job="node_exporter"}}[{seconds:.0f}s]'}
        answer = requests.get(f"{self._prometheus}/api/v1/query", params=query, timeout=2)
        return [float(at) for series in answer.json()["data"]["result"] for at, _ in series["values"]]

    @property
    def _prometheus(self) -> str:
        return f"http://{self.settings.publish.prometheus}"


def run(rounds: int) -> list[Row]:
    """Measure each action of both sides, in turn, `rounds` times."""
    took: dict[tuple[str, str], list[Took]] = defaultdict(list)
    with created(metrics=SHORT) as stack, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as end:
        settings, here = stack.settings, Here(stack)
        derived = derive(stack.client, settings.image(SERVICE))
        end.callback(stack.client.images.remove, derived)
        there = There(compose.Project(Path(folder), f"{stack.prefix}-compose"), stack.client, settings)
        end.callback(there.clear)
        for number in range(rounds):
            _round(Watch(here, settings), derived, took, before_removal=lambda: there.learn(stack))
            here.reset()
            if not number:
                end.callback(there.remove)
            _round(Watch(there, settings), derived, took)
    return rows(took) + make_up(rounds)


def make_up(rounds: int) -> list[Row]:
    """Measure what `make up` runs, `rounds` times: for a new stack, and again with no change."""
    took: dict[str, list[tuple[float, int]]] = defaultdict(list)
    with created(**PRODUCTION) as stack:
        for _ in range(rounds):
            for action in (MAKE_FIRST, MAKE_NO_OP):
                begun = time.monotonic()
                printed = stack.operate("up", environment={"VERBOSE": "0"})
                took[action].append((time.monotonic() - begun, len(printed.splitlines())))
                console.print(f"{action}: {took[action][-1]}")
            stack.operate("down", "--purge")
    return [one for action, each in took.items() for one in rows_of_make_up(action, each)]


def rows_of_make_up(action: str, each: Sequence[tuple[float, int]]) -> list[Row]:
    """Rows of seconds and lines. `each`: seconds and lines of each round."""
    seconds, lines = zip(*each, strict=True)
    return [row(action, f"command: {HERE}", "s", *seconds), row(action, LINES, "", *lines)]


def _round(
    watch: Watch,
    derived: str,
    took: dict[tuple[str, str], list[Took]],
    before_removal: Callable[[], None] = lambda: None,
) -> None:
    """Measure all actions of one side, one after another."""
    side, settings = watch.side, watch.settings

    def note(action: str, one: Took) -> None:
        took[action, side.name].append(one)
        console.print(f"{side.name}: {action}: {one}")

    def lives(cpu: int) -> Callable[[], bool]:
        wanted = changed(settings, cpu)
        return lambda: watch.runs(wanted)

    side.reset()
    note(FIRST, watch.action(side.first, watch.ready))
    before_removal()
    note(NO_OP, watch.action(side.no_op))
    note(RULE, watch.action(lambda: side.rule(CPU), lives(CPU), scraped=True))
    if isinstance(side, There):
        note(RELOAD, watch.action(lambda: side.reload(CPU_AGAIN), lives(CPU_AGAIN), scraped=True))
    note(LIMIT, watch.action(side.memory, lambda: watch.has(memory=MEMORY), scraped=True))
    note(IMAGE, watch.action(lambda: side.image(derived), lambda: watch.has(image=derived), scraped=True))
    note(REMOVAL, watch.action(side.remove))


def rows(took: Mapping[tuple[str, str], Sequence[Took]]) -> list[Row]:
    """Rows of each action: seconds until the change is live and until the command returns, the ratio to Compose, and
    missed scrapes."""
    result = []
    for action in dict.fromkeys(action for action, _ in took):
        here, there = took[RULE if action == RELOAD else action, HERE], took[action, THERE]
        ratios = [one.live / other.live for one, other in zip(here, there, strict=True)]
        result += [
            row(action, f"until it is so: {HERE}", "s", *(one.live for one in here)),
            row(action, THERE, "s", *(one.live for one in there)),
            row(action, "ratio", "", *ratios),
            row(action, f"command: {HERE}", "s", *(one.command for one in here)),
            row(action, f"command: {THERE}", "s", *(one.command for one in there)),
        ]
        for name, side in ((HERE, here), (THERE, there)):
            if missing := [one.missed for one in side if one.missed is not None]:
                result.append(row(action, f"missed scrapes: {name}", "", *missing))
    return result


def derive(client: DockerClient, image: str) -> str:
    """Return the tag of the same image with another id: to a deployment, that is a new version."""
    tag = f"{image}-bench{secrets.token_hex(2)}"
    dockerfile = f"FROM {image}\nLABEL observability.bench=another\n"
    client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=tag, rm=True)
    return tag
