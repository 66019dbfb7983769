"""Pages of metrics that are wrong: the target is down with a reason, or what is wrong is left out and counted."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from drills.bystanders import STEADY, flows
from drills.frame import Drill
from drills.ground import Ground, OnGround, reached
from drills.hostile import LABELS, MANY_SERIES, Page

TARGETS: dict[Page, tuple[str, str]] = {
    "broken": ("a page that is no exposition", ""),
    "binary": ("a page of every byte but 0", ""),
    "html": ("a page of HTML", ""),
    "redirect": ("a page that leads to itself without end", ""),
    "large": ("a page of 25 MiB", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "endless": ("a page of 1.2 GiB", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "bomb": ("a page of 256 MiB, as 250 KiB of gzip", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "slow": ("a page that comes a line every half second", ""),
    "many": (f"{MANY_SERIES:,} series", "prometheus_target_scrapes_exceeded_sample_limit_total"),
    "wide": (f"a series with {LABELS} labels", ""),
}  # fmt: skip
"""Page → in words, and the counter of it where there is one."""
SAMPLES: dict[Page, tuple[str, str, str, int]] = {
    "twins": ("the same series twice", "prometheus_target_scrapes_sample_duplicate_timestamp_total", "twin", 1),
    "future": ("a sample of the year 2999", "prometheus_target_scrapes_sample_out_of_bounds_total", "late", 0),
}
"""Page → in words, the counter of the samples that are left out, a series of it and how often that is there. The target stays
up, and its other samples are taken."""
OTHER = '{service="hostile",__name__!~"up|hostile|scrape_.*|ALERTS.*|.*:.*"}'
"""Series of pages that are not the good one: not what Prometheus itself makes of them."""


@contextlib.contextmanager
def serving(ground: Ground, page: Page, counter: str) -> Iterator[Callable[[], bool]]:
    """The target serves this page, and afterwards the good one; gives what tells whether the counter has grown since."""

    def value() -> float:
        return sum(float(one["value"][1]) for one in ground.stack.query(counter)) if counter else 0

    before = value()
    ground.hostile.page = page
    try:
        yield lambda: value() > before
    finally:
        ground.hostile.page = "good"
    reached("the target is up again", lambda: ground.stack.query('up{service="hostile"} == 1'))


def target(ground: Ground, *, page: Page, counter: str) -> str:
    """The target is down, with a reason, and its samples are not taken."""
    with serving(ground, page, counter) as grown:
        reached("the target is down", lambda: ground.stack.query('up{service="hostile"} == 0'))
        targets = ground.stack.get("prometheus", "/api/v1/targets", state="active")["data"]["activeTargets"]
        [reason] = [one["lastError"] for one in targets if one["labels"].get("service") == "hostile"]
        assert reason, "no reason is told"
        if counter:
            reached(f"{counter} grows", grown)
        counts = ground.stack.query(f"count({OTHER})")
        assert not counts, f"{counts[0]['value'][1]} series were taken"
    return f"{reason[:120]}" + (f"; counted in {counter}" if counter else "")


def samples(ground: Ground, *, page: Page, counter: str, series: str, there: int) -> str:
    """The target is up; what is wrong is left out and counted, the rest is taken."""
    with serving(ground, page, counter) as grown:
        reached(f"{counter} grows", grown)
        reached("its other samples are taken", lambda: ground.stack.query('single{service="hostile"} == 3'))
        assert ground.stack.query('up{service="hostile"} == 1'), "the target is down"
        count = len(ground.stack.query(f'{series}{{service="hostile"}}'))
        assert count == there, f"{count} series {series}"
    return f"counted in {counter}"


def drills() -> list[OnGround]:
    result: list[OnGround] = []

    def add(page: Page, cause: str, outcome: str, attempt: Callable[[Ground], str]) -> None:
        result.append(Drill(f"input-target-{page}", cause, f"{outcome}; {STEADY}", partial(flows, attempt=attempt)))

    for page, (what, counter) in TARGETS.items():
        outcome = "the target is down, with a reason" + (f", counted in `{counter}`" if counter else "")
        add(page, what, outcome, partial(target, page=page, counter=counter))
    for page, (what, counter, series, there) in SAMPLES.items():
        outcome = f"the target stays up, what is wrong is left out and counted in `{counter}`"
        add(page, what, outcome, partial(samples, page=page, counter=counter, series=series, there=there))
    return result
