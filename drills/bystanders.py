"""What must not suffer from a bad input: services that run, and the steady input of everybody else."""

import itertools
import time
from collections.abc import Callable

from drills import steady
from drills.ground import SCRAPED_SECONDS, SERVICES, Ground, reached

STEADY = "steady lines, traces and samples all arrive, no service restarts, no other target is down"


def running(ground: Ground) -> dict[str, str]:
    """Since when each service runs."""
    return {service: ground.stack.started(service) for service in SERVICES}


def flows(ground: Ground, attempt: Callable[[Ground], str]) -> str:
    """Makes an attempt during the steady input, and checks that all of the input arrives."""
    flow, since = ground.steady, running(ground)
    first, began = flow.line(), steady.now()
    detail = attempt(ground)
    time.sleep(3)
    last, ended = flow.line(), time.time() - 1
    ground.lines_arrive(first, last, began)
    wanted = flow.traces(began.timestamp(), ended)
    reached("all traces are found", lambda: wanted <= flow.traces_found().keys())
    samples = flow.samples(time.time() - began.timestamp() + 2)
    gap = max((later - sooner for sooner, later in itertools.pairwise(samples)), default=99.0)
    assert gap <= SCRAPED_SECONDS, f"{gap:.0f} s between two scrapes of another target"
    reached("no other target is down", lambda: not ground.stack.query('up{service!="hostile"} == 0'))
    again = running(ground)
    assert again == since, f"restarted: {', '.join(name for name in again if again[name] != since[name])}"
    return detail
