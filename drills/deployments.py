"""Deployments that are killed, that meet each other, that have the wrong key or a damaged state."""

import functools
import json
import os
import random
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

from drills.frame import Drill
from drills.ground import Ground, OnGround, Promise, reached
from tests.support.ports import free_port
from tests.support.processes import kill_session

KILLS = 10
SEED = 9
"""Seed of the random points at which updates are killed."""
EVERYTHING = Promise(scraped=False)
"""Prometheus is not touched, but the machine may be busy with two deployments."""


def change(ground: Ground) -> None:
    """A threshold, whose files Prometheus takes while it runs, and a port, which replaces two containers."""
    config = ground.stack.config
    config["alerts"] = {**config["alerts"], "thresholds": {"cpu": random.SystemRandom().randint(50, 99)}}
    listen = {service: f"127.0.0.1:{free_port()}" for service in ("node_exporter", "blackbox_exporter")}
    config["publish"] = {**config["publish"], **listen}
    ground.stack.write()


def update(ground: Ground) -> "subprocess.Popen[bytes]":
    """A `pulumi up` that goes on beside this."""
    return subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", ground.stack.stack, "--non-interactive"],
        cwd=ground.stack.folder,
        env=dict(ground.stack.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@functools.cache
def _whole(ground: Ground) -> float:
    """How long such an update takes here, in seconds."""
    change(ground)
    begun = time.monotonic()
    ground.stack.up()
    return time.monotonic() - begun


def killed(ground: Ground, *, number: int, share: float) -> str:
    """Killed with all its processes, after a share of the time that such an update takes."""
    whole = _whole(ground)
    change(ground)

    def kill() -> None:
        running = update(ground)
        time.sleep(whole * share)
        kill_session(running)

    measured = ground.drill(f"up-killed-{number}", fault=kill, heal=ground.make_up, seconds=0, promise=EVERYTHING)
    state = json.loads(ground.stack.state())["deployment"]
    assert not state.get("pending_operations"), "the state still knows of what was begun"
    return f"killed {whole * share:.1f} s of about {whole:.1f} s after its start; {measured}"


def two_at_once(ground: Ground) -> str:
    change(ground)

    def both() -> None:
        first = update(ground)
        reached("the state is locked", lambda: list(_state(ground).glob("locks/**/*.json")), 30)
        printed = ground.make_up(fails=True)
        assert "the stack is currently locked" in printed, printed
        code = first.wait(timeout=300)
        assert code == 0, f"the first one ended with {code}"

    return ground.drill("two-ups", fault=both, heal=lambda: None, seconds=0, promise=EVERYTHING)


def wrong_passphrase(ground: Ground) -> str:
    def lock_out() -> None:
        printed = ground.stack.operate("up", fails=True, environment={"PULUMI_CONFIG_PASSPHRASE": "another"})
        assert "incorrect passphrase" in printed, printed
        assert "Traceback" not in printed, printed

    return ground.drill("wrong-passphrase", fault=lock_out, heal=ground.make_up, seconds=0, promise=EVERYTHING)


def _state(ground: Ground) -> Path:
    return ground.stack.folder / "state" / ".pulumi"


def lock_left(ground: Ground) -> str:
    """As a killed `up` leaves it."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = {
        "pid": ended.pid,
        "username": "drill",
        "hostname": socket.gethostname(),
        "timestamp": "2026-01-01T00:00:00Z",
    }
    folder = _state(ground) / "locks" / "organization" / "nervous-system" / ground.stack.stack
    folder.mkdir(parents=True, exist_ok=True)

    def leave() -> None:
        (folder / "left.json").write_text(json.dumps(lock))

    return ground.drill("state-locked", fault=leave, heal=ground.make_up, seconds=0, promise=EVERYTHING)


def lock_of_another(ground: Ground) -> str:
    """Leaves the lock of a process on another machine, which may still run."""
    folder = _state(ground) / "locks" / "organization" / "nervous-system" / ground.stack.stack
    folder.mkdir(parents=True, exist_ok=True)
    lock = {"pid": os.getpid(), "username": "colleague", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}

    def refused() -> None:
        (folder / "other.json").write_text(json.dumps(lock))
        try:
            printed = ground.make_up(fails=True)
        finally:
            (folder / "other.json").unlink()
        assert "colleague@elsewhere" in printed, printed

    return ground.drill("state-locked-elsewhere", fault=refused, heal=ground.make_up, seconds=0, promise=EVERYTHING)


def state_damaged(ground: Ground) -> str:
    """Half of the state's file is gone."""
    file = _state(ground) / "stacks" / "nervous-system" / f"{ground.stack.stack}.json"
    whole = file.read_bytes()

    def damage() -> None:
        file.write_bytes(whole[: len(whole) // 2])

    return ground.drill("state-damaged", fault=damage, heal=ground.make_up, seconds=0, promise=EVERYTHING)


def drills() -> list[OnGround]:
    points = random.Random(SEED)  # noqa: S311 - the same each time
    kills = [
        Drill(
            f"up-killed-{number}",
            f"`pulumi up` that changes rules and replaces two containers is killed (SIGKILL, with its plugins) after {share:.0%} of its time; `make up`",
            f"{EVERYTHING.text}; no operation is left pending",
            partial(killed, number=number, share=share),
        )
        for number, share in enumerate((points.uniform(0.05, 0.95) for _ in range(KILLS)), start=1)
    ]
    rest = [
        ("two-ups", "`make up` while another `up` runs", f"the second is refused, naming the lock; the first ends well; {EVERYTHING.text}", two_at_once),
        ("wrong-passphrase", "`make up` with another passphrase, then with the right one", f"refused in one message; {EVERYTHING.text}", wrong_passphrase),
        ("state-locked", "the lock of a killed `up` is left in the state; `make up`", EVERYTHING.text, lock_left),
        ("state-locked-elsewhere", "a lock of another machine", f"`make up` is refused and names its holder; {EVERYTHING.text}", lock_of_another),
        ("state-damaged", "half of the state's file is gone; `make up`", EVERYTHING.text, state_damaged),
    ]  # fmt: skip
    return [*kills, *(Drill(*each) for each in rest)]
