"""Makes a running service load its new config files, and proves that it runs them and is healthy.

A Pulumi command runs it as ``python -m engine.activate`` with the order as JSON in ``ORDER`` (see `Order`). It uses
only the Docker API, so unix, tcp and ssh hosts work alike. It does not import Pulumi, so it starts fast.
"""

import calendar
import contextlib
import io
import json
import os
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from requests import RequestException

from config.container import MOUNT
from engine.docker_api import LIMITED, connect, execute, fetch, pauses

PATIENCE_SECONDS = 120
"""Limit for one activation. A Prometheus that replays a large log takes a minute."""

REFUSED_SECONDS = 10
"""How long a service may report a failed reload before that counts as a refusal."""

START_SECONDS = 30
"""How long to wait for a silent service before it gets its signal anyway. The collector (0.161) with a stack's file was
still killed by a signal two seconds after its start, on a machine with two busy cores."""

CRASH_LOOP_RESTARTS = 3
"""Restarts after which a service counts as crash-looping. The engine doubles its wait before each restart, so more of
them would take minutes."""

PAUSES = 0.3, 1.0
"""The shortest and the longest wait between two questions, in seconds."""

ASKING_SECONDS = 3
"""How long one container repeats its questions to a silent service. Creating a container takes half a second of CPU."""

FLIP = """set -eu; cd {mount}
ln -sfn "{revision}" .next; mv -fT .next current
"""
PRUNE = """set -eu; cd {mount}
for old in *; do case "$old" in current|"{revision}") ;; *) rm -rf "$old" ;; esac; done
"""
# grep reads to the end: a page that is not read whole is an error in the service's log. Seven requests to a silent
# service take 56 s, and with ASKING_SECONDS before them less than the 60 s for which `connect` lets a client wait for the
# engine's answer.
ASK = """ask() {
  missing=0 bit=1
  while [ $# -gt 0 ]; do
    timeout 8 wget -q -O - "$1" | grep -cF -- "$2" > /dev/null || missing=$((missing | bit))
    bit=$((bit * 2)); shift 2
  done
}
end=$(($(date +%s) + $0)); ask "$@"
while [ $missing -gt 0 ] && [ $(date +%s) -lt $end ]; do sleep 0.3; ask "$@"; done
exit $missing
"""


class RefusedError(Exception):
    """The service does not run with these files, or is not healthy."""


@dataclass(frozen=True)
class Order:
    """One activation, as `components/service.py` orders it."""

    docker: Mapping[str, Any]
    """The fields of `settings.Docker`."""
    container: str
    health: Sequence[str] = ()
    """Command that exits with 0 when the service is healthy. If it is empty, the service only has to keep running."""
    grace_seconds: int = 10
    """Seconds between the signal to stop and the kill, for a restart."""
    revision: str | None = None
    """Container id of the loader that put the files into the volume; None for a service without files."""
    reload: Literal["SIGHUP", "restart", "poll"] | Sequence[str] = "SIGHUP"
    """As in `config.container.ConfigFiles`."""
    since_start: Mapping[str, str] = field(default_factory=dict)
    """URL inside the container → text that the page holds if the process was started with these files. It covers only
    what a service reads at its start. A process whose page lacks the text is restarted."""
    expect: Mapping[str, str] = field(default_factory=dict)
    """URL inside the container → text that the page holds once the files are live."""
    tools: bool = True
    """Whether the service's image has the tools to fetch its pages. If not, a container of the loader's image fetches
    them, in the service's network."""


def activate(order: Order, patience: float = PATIENCE_SECONDS) -> str:
    """Carries out `order`. Returns one line for the log: `live after 1.4 s`.

    Raises:
        RefusedError: the service refuses the files or is not healthy; the message quotes the service. The previous
            files are live again.
    """
    client = connect(order.docker)
    service = client.containers.get(order.container)
    begun = time.monotonic()
    if order.revision is None:
        _wait_until_well(service, order, begun + patience)
        return f"well after {time.monotonic() - begun:.1f} s"
    loader = client.containers.get(order.revision)
    revision, before = order.revision[:12], _linked(loader)
    only = before == f"./{revision}"  # the loader's own link: the service has never had other files
    if before != revision and not only:
        _in_volume(client, loader, FLIP, revision)
    inside = _Inside(client, service, loader, tools=order.tools)
    restarted = False
    try:
        if not only and (before != revision or inside.missing(order.expect)):
            restarted = _reload(inside, order, restart=bool(inside.missing(order.since_start)))
        _wait_until_live(service, order, inside, begun + patience)
    except (RefusedError, DockerException, OSError):
        if before not in {None, revision} and not only:
            _in_volume(client, loader, FLIP, str(before))
            with contextlib.suppress(RefusedError, DockerException, OSError):  # report the first error
                _reload(inside, order, restart=restarted)
                _take_over(service, order, time.monotonic() + patience)
        raise
    if not only:
        _in_volume(client, loader, PRUNE, revision)
    return f"live after {time.monotonic() - begun:.1f} s"


def _linked(loader: Container) -> str | None:
    """What `current` in the volume points to; None if there is no such link."""
    try:
        stream, _ = loader.get_archive(f"{MOUNT}/current")
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        return archive.getmembers()[0].linkname


def _in_volume(client: docker.DockerClient, loader: Container, script: str, revision: str) -> None:
    """Runs `script` in a container that may write to the volume (the service may only read it).

    Raises:
        RefusedError: the script fails.
    """
    volume = next(mount["Name"] for mount in loader.attrs["Mounts"] if mount["Destination"] == MOUNT)
    code, out = _run_once(
        client,
        loader,
        "prune" if script is PRUNE else "flip",
        [script.format(mount=MOUNT, revision=revision)],
        volumes={volume: {"bind": MOUNT, "mode": "rw"}},
        network_mode="none",
    )
    if code:
        raise RefusedError(f"{loader.name} cannot change its volume: {out}")


def _run_once(
    client: docker.DockerClient, loader: Container, role: str, script: Sequence[str], **where: Any
) -> tuple[int, str]:
    """Runs a shell script in a container like the loader, which can do nothing else. Returns exit code and output.

    The container's name is fixed, because each name that cAdvisor sees becomes a label value for good.
    """
    name = f"{loader.name}-{role}"
    with contextlib.suppress(NotFound):  # left by an update that was killed
        client.containers.get(name).remove(v=True, force=True)
    where.setdefault("user", loader.attrs["Config"]["User"])
    helper = client.containers.run(
        loader.attrs["Image"],
        entrypoint=["/bin/sh", "-c"],
        command=list(script),
        name=name,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        mem_limit="32m",
        memswap_limit="32m",
        detach=True,
        **where,
    )
    try:
        return helper.wait()["StatusCode"], _log(helper)
    finally:
        helper.remove(v=True, force=True)  # v: each run would leave behind the volumes that the image declares


@dataclass(frozen=True)
class _Inside:
    """A service, asked from inside its container, so no port must be reachable from here."""

    client: docker.DockerClient
    service: Container
    loader: Container
    tools: bool

    def missing(self, expected: Mapping[str, str], seconds: int = 0) -> dict[str, str]:
        """The entries of `expected` (URL → text) that the service does not show; all of them if it does not run. If a
        container has to ask, it asks again for so many `seconds`."""
        self.service.reload()
        if self.service.status != "running":
            return dict(expected)
        if self.tools:
            pages = {url: fetch(self.service, url) for url in expected}
            return {url: text for url, text in expected.items() if pages[url][0] or text not in pages[url][1]}
        return self._asked_from_beside(expected, seconds)

    def _asked_from_beside(self, expected: Mapping[str, str], seconds: int) -> dict[str, str]:
        """The same as `missing`, from one container in the service's network: at most seven entries, one bit of the exit
        code for each. It prints nothing, because its output would be shipped as a log."""
        if not expected:
            return {}
        questions = [part for pair in expected.items() for part in pair]
        try:
            missing, _ = _run_once(
                self.client,
                self.loader,
                "ask",
                [ASK, str(seconds), *questions],
                network_mode=f"container:{self.service.id}",
            )
        except (APIError, RequestException):  # the service has stopped meanwhile, or hangs
            return dict(expected)
        return {url: text for bit, (url, text) in enumerate(expected.items()) if missing >> bit & 1}

    def signalled(self, signal: str) -> bool:
        """Sends a signal to the main process. Returns whether it was delivered.

        A process in the container, or in its pid namespace, sends it. The engine counts a signal that it sends itself
        as a stop by hand: it would start the service again neither after a crash nor with the host (moby/moby 41302).
        """
        words = ["kill", "-s", signal.removeprefix("SIG"), "1"]
        if self.tools:
            return execute(self.service, words)[0] == 0
        try:
            code, _ = _run_once(
                self.client,
                self.loader,
                "signal",
                [" ".join(words)],
                user=self.service.attrs["Config"]["User"],  # without capabilities, only the same user may send it
                pid_mode=f"container:{self.service.id}",
                network_mode="none",
            )
        except (APIError, RequestException):
            return False
        return code == 0


def _reload(inside: _Inside, order: Order, *, restart: bool) -> bool:
    """Makes the service reload its files. Returns whether that took a restart."""
    service = inside.service
    service.reload()
    # A service that does not run gets no signal.
    restart = restart or order.reload == "restart" or service.status != "running"
    if not restart and isinstance(order.reload, str) and order.reload != "poll":
        if _was_starting(inside, order) and not inside.missing(order.expect):
            return False
        restart = not inside.signalled(order.reload)
    if restart:
        service.restart(timeout=order.grace_seconds)
    return restart


def _was_starting(inside: _Inside, order: Order) -> bool:
    """Waits until the service answers, at most `START_SECONDS`. Returns whether it did not answer at first.

    A signal kills a process that does not handle it yet. The collector handles it only once all of it has started.
    """
    any_page = dict.fromkeys(order.expect, "")
    begun = time.monotonic()
    waited = False
    waits = pauses(*PAUSES)
    while inside.missing(any_page) and inside.service.status == "running" and time.monotonic() < begun + START_SECONDS:
        waited = True
        time.sleep(next(waits))
    return waited


def _take_over(service: Container, order: Order, deadline: float) -> None:
    """Runs the service's own reload command in it, once the service is healthy. Running it again does no harm."""
    if isinstance(order.reload, str):
        return
    _wait_until_well(service, order, deadline)
    code, words = execute(service, order.reload)
    if code:
        raise RefusedError(f"{service.name} does not take its new files:\n{words.strip()}")


def _wait_until_live(service: Container, order: Order, inside: _Inside, deadline: float) -> None:
    start = time.monotonic()
    _wait_until_well(service, order, deadline)
    _take_over(service, order, deadline)
    waits = pauses(*PAUSES)
    while missing := inside.missing({**order.since_start, **order.expect}, ASKING_SECONDS):
        failed = any("reload_successful" in text for text in missing.values())
        if time.monotonic() > deadline or (failed and time.monotonic() > start + REFUSED_SECONDS):
            raise RefusedError(f"the running service does not say {missing}; its log:\n{_log(service)}")
        time.sleep(next(waits))


def _wait_until_well(service: Container, order: Order, deadline: float) -> None:
    """Waits until the health command exits with 0; without one, until the container has run for three seconds."""
    health = (*LIMITED, *order.health) if order.tools else order.health
    waits = pauses(*PAUSES)
    while True:
        service.reload()
        state = service.attrs["State"]
        if state["Running"] and not state["Restarting"]:
            if not order.health and time.time() - _started(service) > 3:  # noqa: PLR2004 - see above
                return
            if order.health and execute(service, health)[0] == 0:
                return
        if crash_loops(service):
            raise RefusedError(f"{service.name} keeps restarting; its log:\n{_log(service)}")
        if time.monotonic() > deadline:
            raise RefusedError(f"{service.name} is {state['Status']} and not well; its log:\n{_log(service)}")
        time.sleep(next(waits))


def crash_loops(service: Container) -> bool:
    """Whether a service has crashed so often that nobody need wait for it."""
    return bool(service.attrs["State"]["Restarting"]) and service.attrs["RestartCount"] >= CRASH_LOOP_RESTARTS


def _started(service: Container) -> float:
    """Start of the container, as Unix time in seconds."""
    text = service.attrs["State"]["StartedAt"].split(".")[0].removesuffix("Z")
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def _log(service: Container) -> str:
    return service.logs(tail=20).decode(errors="replace")


def main() -> None:
    try:
        print(activate(Order(**json.loads(os.environ["ORDER"]))))
    except (RefusedError, DockerException, OSError) as error:  # exceptions of requests are OSErrors
        sys.exit(str(error))


if __name__ == "__main__":
    main()
