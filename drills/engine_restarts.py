"""The engine itself restarts, or the host loses power: on a second engine, with network, processes and /run of its own.

The engine of this machine is another one, which is not touched: the second sees neither its socket nor its firewall rules
nor its processes, and ends with the drill. All that happens there is `python -m drills.engine_restarts NAME DATA IMAGES`, with the
images on stdin and their names by service as JSON; the last line printed is the result.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from docker import DockerClient

from config.images import without_digest
from drills import clock, vdso
from drills.crashes import started_anew
from drills.frame import Drill, in_short
from drills.ground import SERVICES, Ground, OnGround, Promise, reached
from tests.support import leftovers
from tests.support.deployment import ROOT
from toolchain import engine_setup, pulumi_cli

DAEMON = "/usr/sbin/dockerd"
NAMESPACES = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
APART = """set -e
mount --make-rshared /  # in here: what containers mount of the host has to be shared
mount -t tmpfs tmpfs /run
ip link set lo up
exec "$0" -m drills.engine_restarts "$@"
"""
PROMISE = Promise(undecided=True, scraped=False)
CLOCKS = {"clock-ahead-host": 2700, "clock-behind-host": -2700}
"""Drill → seconds by which the clock of the whole host jumps. A shipper that starts searches the end of a log for longer than
that."""
CLOCK_SECONDS = 20
CLOCK_PROMISES = {
    "clock-ahead-host": replace(clock.AHEAD, jumped=True),
    "clock-behind-host": replace(clock.PROMISE, jumped=True),
}
"""Drill → what must still hold."""


class Engine:
    """A Docker engine in this mount and network namespace, which has no other one."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def start(self) -> None:
        """Starts the engine, and returns when it answers."""
        log = (self._data.parent / "dockerd.log").open("ab")
        command = [DAEMON, "--data-root", str(self._data)]
        self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        reached(
            "the engine answers",
            lambda: Path("/run/docker.sock").exists() and engine_setup.connect(engine_setup.configured()).ping(),
            90,
        )

    def stop(self) -> None:
        """In good order: it stops its containers."""
        self._process.terminate()
        self._process.wait(timeout=120)

    def lose_power(self) -> None:
        """Everything dies at once: the engine, what it runs containers by, and every container."""
        assert os.getpid() == 1, "the processes here are not only this engine's"
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and folder.name != "1":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(folder.name), signal.SIGKILL)
        self._process.wait(timeout=30)
        for file in ("docker.pid", "docker/containerd/containerd.pid"):
            Path("/run", file).unlink(missing_ok=True)

    @staticmethod
    def client() -> DockerClient:
        return engine_setup.connect(engine_setup.configured())


def inside(name: str, data: Path, references: Mapping[str, str]) -> str:
    """The drill itself. It has the images of the first engine, and no network to get others from."""
    second = Engine(data)
    second.start()
    try:
        subprocess.run(["docker", "load"], stdin=sys.stdin, stdout=subprocess.DEVNULL, check=True)
        with Ground(second.client(), pulumi_cli.ensure().environment(), references) as ground:
            if name in CLOCKS:
                return clock_jumped(ground, name)
            away = second.stop if name == "engine-restarted" else second.lose_power

            def back() -> None:
                second.start()
                started_anew(ground, *SERVICES)

            return ground.drill(name, fault=away, heal=back, seconds=5, promise=PROMISE)
    finally:
        second.stop()


def clock_jumped(ground: Ground, name: str) -> str:
    """Everything here but the drill itself has another time: the engine, what it runs containers by, all processes in them."""
    assert os.getpid() == 1, "the processes here are not only this engine's"

    def everybody() -> list[int]:
        return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and folder.name != "1"]

    def back() -> None:
        vdso.set_clock(everybody(), 0)
        if ahead:
            ground.make_up()
        ground.container("alloy").restart()

    ahead = CLOCKS[name] > 0
    ground.steady.off = timedelta(seconds=CLOCKS[name])
    return ground.drill(
        name,
        fault=lambda: vdso.set_clock(everybody(), CLOCKS[name]),
        heal=back,
        seconds=CLOCK_SECONDS,
        promise=CLOCK_PROMISES[name],
    )


def apart(ground: Ground, *, name: str) -> str:
    """Makes the namespaces and runs the drill in there, with the images of the stack that is here."""
    references = {service: ground.stack.settings.image(service) for service in (*SERVICES, "busybox")}
    names = {service: without_digest(reference) for service, reference in references.items()}
    for service, reference in references.items():
        if "@" in reference:  # a digest is not saved with an image
            ground.client.images.get(reference).tag(names[service])
    with tempfile.TemporaryDirectory(prefix=leftovers.PREFIX, dir="/var/tmp") as folder:
        saved = subprocess.Popen(["docker", "save", *sorted(set(names.values()))], stdout=subprocess.PIPE)
        process = subprocess.run(
            [*NAMESPACES, "sh", "-c", APART, sys.executable, name, f"{folder}/data", json.dumps(names)],
            cwd=ROOT,
            stdin=saved.stdout,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        saved.kill()
        saved.wait()
    lines = ["", *process.stdout.strip().splitlines()]
    assert lines[-1].startswith("{"), f"it ended with {process.returncode}: {process.stdout} {process.stderr}"
    result = json.loads(lines[-1])
    assert result["held"], result["detail"]
    return str(result["detail"])


def drills() -> list[OnGround]:
    causes = {
        "engine-restarted": "the Docker engine is stopped in good order and started again after 5 s",
        "engine-killed": "the engine, what it runs containers by, and all containers die at once, as when the host loses power",
    }
    return [
        Drill(name, f"{cause}; on a second engine of its own", PROMISE.text, partial(apart, name=name))
        for name, cause in causes.items()
    ]


def clock_drills() -> list[OnGround]:
    cause = "the clock of the engine and of all that it runs jumps {minutes} min {way}, and back after {seconds} s; then {mended}the "
    cause += "shipper is started anew; on a second engine of its own"
    return [
        Drill(
            name,
            cause.format(
                minutes=abs(off) // 60,
                way="ahead" if off > 0 else "behind",
                seconds=CLOCK_SECONDS,
                mended=f"{clock.MENDED.removeprefix('; then ')}, and " if off > 0 else "",
            ),
            CLOCK_PROMISES[name].text,
            partial(apart, name=name),
        )
        for name, off in CLOCKS.items()
    ]


def main() -> None:
    begun, name, data = time.monotonic(), sys.argv[1], Path(sys.argv[2])
    references = json.loads(sys.argv[3])
    data.mkdir()
    try:
        result = {"held": True, "detail": inside(name, data, references)}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        result = {"held": False, "detail": in_short(error)}
    print(json.dumps({**result, "seconds": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
