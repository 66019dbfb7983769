"""The stack that the drills break: its steady input, the faults, and the checks after them."""

import contextlib
import itertools
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from docker import DockerClient
from docker.models.containers import Container
from tenacity import RetryError

import check
from config.additions import Additions
from config.services.correlation import dashboard_files
from config.settings import own_rules
from config.settings.networks import own_networks
from config.settings.secret_keys import GRAFANA_PASSWORD
from config.sizes import MIB
from drills import steady
from drills.frame import Drill
from drills.hostile import Hostile
from drills.steady import RULES, SERVICE, WRITE, Steady
from tests.support import leftovers, small_stack
from tests.support.deployment import DATA, SHORT, Deployment
from tests.support.outside import Outside, gateway
from tests.support.ports import publish
from tests.support.shipping import Logs
from tests.support.shop import Shop
from tests.support.wait import until

SERVICES = (
    "prometheus",
    "alertmanager",
    "node_exporter",
    "cadvisor",
    "socket_proxy",
    "scrape_proxy",
    "api_proxy",
    "blackbox_exporter",
    "loki",
    "alloy",
    "otel_collector",
    "jaeger",
    "grafana",
)
DISK_MIB = 256
"""Size of each data volume, which is a file on a loop device here. A volume in memory would count towards the limit of the
container that fills it, and the kernel could not reclaim it."""
BEFORE_SECONDS = 5
"""Time of steady input before a fault."""
DECISION_SECONDS = 6
"""Longest time that a trace waits for its decision: `decision_wait` is one second here, and the queue adds to it."""
ON_THEIR_WAY_SECONDS = 3
"""Lines may be missing that were written within this time before or after the clock jumps back: a batch waits a second before
it is sent to Loki."""
SCRAPED_SECONDS = 30
"""Longest time between two scrapes. One may be missed at the default interval, because a deployment uses the whole processor
of this machine."""
RESTART_SECONDS = 30
"""Longest time that a service is away after the end of the fault, until the engine or `make up` has restarted it."""
PATIENCE_SECONDS = 150
"""Longest wait for the stack to be healthy. This machine may be busy."""


def reached(what: str, condition: Callable[[], object], seconds: float = 60) -> None:
    """Waits for a condition.

    Raises:
        AssertionError: it is not reached in time. The message names it (`what`).
    """
    try:
        until(condition, seconds=seconds)
    except Exception as error:  # noqa: BLE001 - it is told
        reason = "" if isinstance(error, RetryError) else f": {error}"
        raise AssertionError(f"not within {seconds:.0f} s: {what}{reason}") from None


@dataclass(frozen=True)
class Promise:
    """What the docs promise for one kind of fault; `text` is the column of the table."""

    lines: bool = True
    """Each line is found once; if false, only the lines after the heal."""
    traces: bool = True
    """Each accepted trace is found, with one span; if false, only the traces after the heal."""
    jumped: bool = False
    """Lines that are on their way when their clock jumps back may be missing: Loki refuses lines of the future."""
    undecided: bool = False
    """Traces that were waiting for their decision at the time of the fault may be lost."""
    history: bool = True
    """Samples from before the fault are still there."""
    scraped: bool = True
    """The application is scraped all the time; if false, not while Prometheus or the connection to it is away."""
    alert: bool = True
    """The alert that began during the fault is sent once."""
    ended: bool = True
    """The end of the alert is sent too; if false, it comes later than a drill can wait."""

    @property
    def text(self) -> str:
        """The promise in words, for the table."""
        parts = ["every line once" if self.lines else "every line once from the heal on"]
        if self.jumped:
            parts[0] += f" but those of the {ON_THEIR_WAY_SECONDS} s around the jump back"
        if self.traces:
            parts.append("every trace" + (" but those that waited for their decision" if self.undecided else ""))
        else:
            parts.append("every trace from the heal on")
        parts.append("samples from before stay" if self.history else "samples from the heal on")
        if self.scraped:
            parts.append(f"scraped at least every {SCRAPED_SECONDS} s")
        if self.alert:
            parts.append("alert sent once" + (", and its end" if self.ended else ", its end an hour late"))
        return ", ".join([*parts, "check green"])


class Ground:
    """A deployed stack with its services and its steady input. Use it as `with Ground(…) as ground`."""

    stack: Deployment
    steady: Steady

    def __init__(self, client: DockerClient, environment: Mapping[str, str], local_images: Mapping[str, str]) -> None:
        self.client, self._environment, self._images = client, environment, local_images
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> "Ground":
        try:
            self._deploy()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _deploy(self) -> None:
        prefix = leftovers.new_prefix()
        folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix=leftovers.PREFIX, dir="/var/tmp")))
        self.disks: dict[str, Path] = {}
        config = small_stack.config(
            prefix,
            self._images,
            publish=publish(
                "prometheus", "alertmanager", "loki", "alloy", "otlp_http", "otlp_grpc", "jaeger", "grafana"
            ),
            notifications={"slack": {"channel": "#drills"}, "group_wait": "1s", "group_interval": "2s"},
            alerts={"rule_files": ["drills.yml"]},
            logs={"system": "off"},
            docker={"data_root": self.client.info()["DockerRootDir"]},  # which the check compares
        )
        config["memory"] |= {"ceiling": "4GiB", "jaeger": "384MiB", "otel_collector": "256MiB"}
        stack = Deployment.create(folder / "stack", "drills", self.client, self._environment, config)
        self.stack = stack
        self._exit.callback(stack.remove)
        for service in DATA:
            self._disk(service, folder / f"{service}.disk")
        (stack.folder / "drills.yml").write_text(yaml.safe_dump(RULES))
        # The network first: the servers that the stack connects to listen in it.
        stack.up("--target", f"urn:pulumi:{stack.stack}::nervous-system::docker:index/network:Network::network")
        self.outside = self._exit.enter_context(Outside(gateway(self.client, prefix)))
        self.outside.metrics = "drill_raised 0\n"
        self.hostile = self._exit.enter_context(Hostile(gateway(self.client, prefix)))
        applications = [
            {"service": SERVICE, "targets": [self.outside.host_port]},
            {"service": "hostile", "targets": [self.hostile.host_port]},
        ]
        stack.config["metrics"] = {**stack.config["metrics"], **SHORT, "applications": {"static": applications}}
        stack.config["exporters"] = {"probes": [{"name": "home", "target": self.outside.url("/metrics")}]}
        stack.secret("slack_webhook", self.outside.url("/slack"))
        stack.secret(GRAFANA_PASSWORD, secrets.token_urlsafe(12))
        stack.up()
        assert set(stack.settings.services) == set(SERVICES)
        shop = self._exit.enter_context(Shop(self.client, f"{prefix}-shop"))
        image = stack.settings.image("busybox")
        logs = Logs(stack, shop, "alloy", image, stack.folder)
        writer = logs.run("writer", WRITE)
        always: Any = {"Name": "unless-stopped"}
        writer.update(restart_policy=always)
        self.steady = Steady(stack, self.outside, logs, writer)
        self._exit.callback(self.steady.stop)
        until(
            lambda: self.steady.samples(10) and self.steady.traces_found() and self.steady.logs.counted("writer"),
            seconds=120,
        )
        self.green()

    def _disk(self, service: str, file: Path) -> None:
        """Makes a data volume of limited size: a file system, mounted where the engine keeps the volume's files."""
        volume = self.client.volumes.create(f"{self.stack.prefix}-{service}")
        folder = self.disks[service] = Path(volume.attrs["Mountpoint"])
        with file.open("wb") as disk:
            disk.truncate(DISK_MIB * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", file], check=True)
        subprocess.run(["mount", "-o", "loop", file, folder], check=True)
        self._exit.callback(leftovers.unmount, folder)
        (folder / "lost+found").rmdir()  # the engine fills an empty volume from the image
        folder.chmod(0o777)

    # Faults

    def as_root(self, script: str, *arguments: str, **where: Any) -> str:
        """Runs a shell script as root in a container of busybox. `where`: the mounts and namespaces of the host that it gets."""
        containers: Any = self.client.containers
        command = ["sh", "-ec", script, "sh", *arguments]
        out: bytes = containers.run(
            self.stack.settings.image("busybox"), command, remove=True, mem_limit="64m", **where
        )
        return out.decode()

    def in_volume(self, service: str, script: str) -> str:
        """Runs a script in a service's data folder."""
        volumes = {f"{self.stack.prefix}-{service}": {"bind": "/data", "mode": "rw"}}
        return self.as_root(f"cd /data; {script}", volumes=volumes, network_mode="none")

    @contextlib.contextmanager
    def cut(self, one: str, other: str) -> Iterator[None]:
        """Drops all packets from one service to the other for this block. Both still reach all other services."""
        ends = [self.stack.container(end).attrs["NetworkSettings"]["Networks"] for end in (one, other)]
        [network] = ends[0].keys() & ends[1].keys() & set(own_networks(self.stack.prefix)[:2])
        address = ends[1][network]["IPAddress"]
        inside = {"network_mode": f"container:{self.stack.container(one).id}", "cap_add": ["NET_ADMIN"]}
        self.as_root("ip route add blackhole $1/32", address, **inside)
        try:
            yield
        finally:
            self.as_root("ip route del blackhole $1/32", address, **inside)

    # Heals

    def make_up(self, *, fails: bool = False) -> str:
        """Runs what `make up` runs. Returns its output."""
        self.stack.write()
        return self.stack.operate("up", fails=fails)

    def recover(self) -> None:
        """Repairs the stack by any means, so that the next drill can run."""
        self.steady.calm()
        self.outside.slack_status = 200
        for command in (("cancel",), ("refresh", "--skip-preview", "--clear-pending-creates")):
            with contextlib.suppress(AssertionError):
                self.stack.pulumi(*command, "--yes")
        state_ids = {resource.get("id") for resource in self.stack.resources()}
        for container in self.client.containers.list(
            all=True, filters={"label": f"observability.stack={self.stack.prefix}"}
        ):
            if container.id not in state_ids:  # its name would be in the way
                container.remove(force=True, v=True)
        self.stack.up("--refresh")
        self.green()
        self.outside.messages.clear()

    # Looks

    def green(self) -> None:
        """Waits until the check is green."""
        settings = self.stack.settings
        rules = own_rules.read(["drills.yml"], self.stack.folder, stack_key="")
        dashboards = dashboard_files.read(settings, self.stack.folder, stack_key="")
        additions = Additions(rules=rules, dashboards=dashboards)
        broken = [one for one in check.run(settings, additions, PATIENCE_SECONDS) if not one.kept]
        assert not broken, "the check: " + "; ".join(f"not so: {one.what} ({one.detail})" for one in broken)

    def container(self, service: str) -> Container:
        return self.stack.container(service)

    def drill(
        self, name: str, fault: Callable[[], Any], heal: Callable[[], Any], seconds: float, promise: Promise
    ) -> str:
        """Runs a drill: steady input before, during and after the fault, then the checks of what is promised."""
        flow = self.steady
        first, began = flow.line(), steady.now()
        time.sleep(BEFORE_SECONDS)
        samples_before = flow.samples(BEFORE_SECONDS)
        struck = time.time()
        fault()
        flow.raised(name)
        time.sleep(seconds)
        spared = flow.around(ON_THEIR_WAY_SECONDS) if promise.jumped else range(0)
        heal()
        healed = time.time()
        away = healed - struck
        if promise.alert:
            reached("the alert is told", lambda: flow.told(name, "FIRING"), PATIENCE_SECONDS)
        told_after = time.time() - healed
        self.green()
        green_after = time.time() - healed
        if not promise.lines:
            first, began = flow.line(), steady.now()
        if not promise.traces:
            reached("a trace is taken", lambda: self.steady.traces(healed, time.time()), 30)
        ended, last = time.time(), flow.line()
        lost = self.lines_arrive(first, last, began, spared)
        self._traces(began.timestamp(), struck, healed, ended, promise)
        gap = self._samples(samples_before, struck, away, promise)
        if promise.alert:
            self._alert(name, ended=promise.ended)
        flow.calm()
        return (
            f"away {away:.0f} s, longest gap between scrapes {gap:.0f} s, check green {green_after:.0f} s after the heal"
            + (f", alert sent {told_after:.0f} s after it" if promise.alert else "")
            + (f", {lost} lines lost around the jump back" if promise.jumped else "")
        )

    def lines_arrive(self, first: int, last: int, began: datetime, spared: range = range(0)) -> int:
        """Checks that each line from `first` to `last` is found once. Those in `spared` may be missing; returns how many are."""
        with contextlib.suppress(Exception):  # told below, with numbers
            until(lambda: set(self.steady.lines(first, last, began)[0]) <= set(spared), seconds=60)
        lost, doubled = self.steady.lines(first, last, began)
        missing = sorted(set(lost) - set(spared))
        assert not missing, f"{len(missing)} of {last - first + 1} lines are missing, from number {missing[0] - first}"
        assert not doubled, f"{len(doubled)} of {last - first + 1} lines are there twice"
        return len(lost)

    def _traces(self, began: float, struck: float, healed: float, ended: float, promise: Promise) -> None:
        if not promise.traces:
            wanted = self.steady.traces(healed, ended)
        elif promise.undecided:
            wanted = self.steady.traces(began, struck - DECISION_SECONDS) | self.steady.traces(healed, ended)
        else:
            wanted = self.steady.traces(began, ended)
        with contextlib.suppress(Exception):
            until(lambda: wanted <= self.steady.traces_found().keys(), seconds=60)
        counts = self.steady.traces_found()
        missing = wanted - counts.keys()
        when = sorted(self.steady.spans.taken[trace] - struck for trace in missing)
        assert not missing, (
            f"{len(missing)} of {len(wanted)} traces are missing, taken {when[0]:.1f} to {when[-1]:.1f} s after the fault"
        )
        doubled = [trace for trace in wanted if counts[trace] != 1]
        assert not doubled, f"{len(doubled)} of {len(wanted)} spans are there twice"

    def _samples(self, samples_before: list[float], struck: float, away: float, promise: Promise) -> float:
        reached("the application is scraped again", lambda: self.steady.samples(6), 60)
        samples = self.steady.samples(time.time() - struck + BEFORE_SECONDS + 2)
        if promise.history:
            lost = set(samples_before) - set(samples)
            assert not lost, f"{len(lost)} of {len(samples_before)} samples from before the fault are gone"
        else:
            samples = [at for at in samples if at > struck]
        gap = max((later - sooner for sooner, later in itertools.pairwise(samples)), default=0)
        allowed = SCRAPED_SECONDS if promise.scraped else away + RESTART_SECONDS
        assert gap <= allowed, f"{gap:.0f} s between two scrapes, {allowed:.0f} s are allowed"
        return gap

    def _alert(self, name: str, *, ended: bool) -> None:
        times = self.steady.told(name, "FIRING")
        assert times == 1, f"the alert was told {times} times"
        if not ended:
            return
        self.steady.calm()
        reached("the end of the alert is told", lambda: self.steady.told(name, "RESOLVED"), 60)
        times = self.steady.told(name, "RESOLVED")
        assert times == 1, f"the end of the alert was told {times} times"


OnGround = Drill[Ground]
