"""Processes that die, and containers that somebody stops."""

import time
from functools import partial

from drills.frame import Drill
from drills.ground import SERVICES, Ground, OnGround, Promise

RESTARTED_SECONDS = 90
PROMISES = {
    "prometheus": Promise(scraped=False),
    # Its traces wait in memory; a stop decides them, a kill does not.
    "otel_collector": Promise(undecided=True),
}
"""Where less is promised than everything."""


def started_anew(ground: Ground, *services: str) -> None:
    """Waits until the engine has started them again by itself."""
    deadline = time.monotonic() + RESTARTED_SECONDS
    while away := _away(ground, services):
        assert time.monotonic() < deadline, f"not started again within {RESTARTED_SECONDS} s: {', '.join(away)}"
        time.sleep(0.3)


def _away(ground: Ground, services: tuple[str, ...]) -> list[str]:
    """Those that do not run, each with what the engine says of it."""
    states = {service: ground.container(service).attrs["State"] for service in services}
    return [
        f"{service} ({state['Status']}, exit code {state['ExitCode']}, {state['Error'] or 'no error'})"
        for service, state in states.items()
        if not state["Running"]
    ]


def killed(ground: Ground, *, service: str) -> str:
    return ground.drill(
        f"kill-{service}",
        fault=lambda: ground.stack.crash(service),
        heal=lambda: started_anew(ground, service),
        seconds=2,
        promise=PROMISES.get(service, Promise()),
    )


def stopped(ground: Ground, *, service: str) -> str:
    container = ground.container(service)
    return ground.drill(
        f"stop-{service}",
        fault=lambda: container.stop(timeout=60),
        heal=ground.make_up,
        seconds=5,
        promise=Promise(scraped=service != "prometheus"),
    )


ALL_KILLED = Promise(undecided=True, scraped=False)


def all_killed(ground: Ground) -> str:
    """All at once and without warning, as when the host loses power; the engine starts them again in any order."""
    return ground.drill(
        "kill-all",
        fault=lambda: ground.stack.crash(*SERVICES),
        heal=lambda: started_anew(ground, *SERVICES),
        seconds=2,
        promise=ALL_KILLED,
    )


def drills() -> list[OnGround]:
    kills = [
        Drill(
            f"kill-{service}",
            f"SIGKILL to the main process of {service}; Docker starts it again",
            PROMISES.get(service, Promise()).text,
            partial(killed, service=service),
        )
        for service in SERVICES
    ]
    stops = [
        Drill(
            f"stop-{service}",
            f"`docker stop` of {service}; `make up`",
            Promise(scraped=service != "prometheus").text,
            partial(stopped, service=service),
        )
        for service in SERVICES
    ]
    everything = Drill(
        "kill-all",
        "SIGKILL to the main processes of all containers at once, as when the host loses power; Docker starts them again",
        ALL_KILLED.text,
        all_killed,
    )
    return [*kills, *stops, everything]
