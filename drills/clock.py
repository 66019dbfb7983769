"""Clocks that are wrong: of the services, one by one and all at once (`vdso.py` says how), and of those who send something."""

import json
import secrets
import time
from collections.abc import Callable
from functools import partial

from check import pages
from drills import bad_lines, bad_pages, bad_payloads, vdso
from drills.bystanders import STEADY, flows
from drills.frame import Drill
from drills.ground import SERVICES, Ground, OnGround, Promise, reached
from operate import clock_ahead

WRONG_SECONDS = 20
"""So long is a clock of the stack wrong: ten scrapes and evaluations."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
TOLD = ("prometheus", "alertmanager", "loki", "alloy", "otel_collector", "jaeger", "grafana")
"""Those that go by the time of day in what they keep or decide."""
PROMISE = Promise(scraped=False)
AHEAD = Promise(scraped=False, history=False, ended=False)
FORGOTTEN = Promise(scraped=False, history=False)
REFUSED = Promise(scraped=False, lines=False)
"""Everybody else is an hour ahead of Loki, the engine too, which stamps the lines: it refuses what they write meanwhile."""
PROMISES = {
    "clock-ahead-all": AHEAD,
    "clock-ahead-prometheus": AHEAD,
    "clock-ahead-otel_collector": FORGOTTEN,
    "clock-behind-all": REFUSED,
    "clock-behind-loki": REFUSED,
}
"""Drill → its promise, if that is less than everything."""
SET_ASIDE = ("clock-ahead-all", "clock-ahead-prometheus", "clock-ahead-otel_collector")
"""Drills after which Prometheus has samples of the future, which `make up` sets aside."""
MENDED = "; then `make up`, which sets aside what Prometheus has of a time to come"


# Clocks of the stack


def processes(ground: Ground, *services: str) -> list[int]:
    """Ids of all processes of these services."""
    return [int(row[1]) for service in services for row in ground.container(service).top()["Processes"]]


def jumped(ground: Ground, *, name: str, services: tuple[str, ...], seconds: int) -> str:
    """The clock of services is wrong for a while. Only `make up` may restart a service because of it."""
    set_aside, promise = name in SET_ASIDE, PROMISES.get(name, PROMISE)

    def started() -> dict[str, str]:
        own = {"prometheus", clock_ahead.SENDER} if set_aside else set()
        return {one: ground.container(one).attrs["State"]["StartedAt"] for one in SERVICES if one not in own}

    def heal() -> None:
        vdso.set_clock(processes(ground, *services), 0)
        if set_aside:
            ground.make_up()

    before, refused = started(), discarded(ground)
    measured = ground.drill(
        name,
        fault=lambda: vdso.set_clock(processes(ground, *services), seconds),
        heal=heal,
        seconds=WRONG_SECONDS,
        promise=promise,
    )
    after = started()
    anew = [service for service in after if after[service] != before[service]]
    assert not anew, f"started anew: {', '.join(anew)}"
    if promise.lines:
        return measured
    counted = discarded(ground) - refused
    assert counted, "lines were refused, and nobody has counted them"
    return f"{counted:.0f} lines refused by Loki, and counted; {measured}"


def discarded(ground: Ground) -> float:
    """Lines that Loki has refused."""
    return pages.metric(ground.client, ground.stack.settings, "loki", "loki_discarded_samples_total")


# Clocks of the senders


def nanoseconds(seconds: float) -> str:
    """The time of a clock that is `seconds` ahead, in nanoseconds since 1970."""
    return str(time.time_ns() + int(seconds * 10**9))


def span(ground: Ground, *, seconds: int) -> str:
    at = nanoseconds(seconds)
    return bad_payloads.kept(ground, startTimeUnixNano=at, endTimeUnixNano=at)


def record(service: str, text: str, seconds: int) -> str:
    """A log record, on its way by OTLP."""
    resource_logs = bad_payloads.record(service, text, timeUnixNano=nanoseconds(seconds))
    return json.dumps({"resourceLogs": [resource_logs]})


def line(service: str, text: str, seconds: int) -> str:
    """A line, on its way straight to Loki."""
    return json.dumps({"streams": [{"stream": {"service": service}, "values": [[nanoseconds(seconds), text]]}]})


def by_otlp(ground: Ground, service: str, text: str, seconds: int) -> bool:
    answer = bad_payloads.post(ground, record(service, text, seconds).encode(), signal="logs")
    assert answer.ok, bad_payloads.told_by(answer)  # it is the collector's word; Loki says no later, and counts
    return True


def by_push(ground: Ground, service: str, text: str, seconds: int) -> bool:
    answer = bad_lines.push(ground, line(service, text, seconds).encode())
    assert answer.ok or (answer.status_code == 400 and answer.text.strip()), bad_payloads.told_by(answer)
    return answer.ok


Send = Callable[[Ground, str, str, int], bool]
"""Sends a line of a service by a clock that is off by so many seconds; whether it was taken, as far as its sender knows."""


def logged(ground: Ground, *, send: Send, seconds: int, refused: bool, first: bool = False) -> str:
    """A line by a wrong clock after a right one of the same service, or as its first, and a right one after it: that is found."""
    service, began = f"askew{secrets.token_hex(2)}", time.time()

    def found(text: str, off: int) -> bool:
        window = {"start": str(int(began + off) - 1), "end": str(int(time.time() + off) + 2)}
        query = f'{{service="{service}"}} |= `{text}`'
        answer = ground.stack.get("loki", "/loki/api/v1/query_range", query=query, **window)
        return bool(answer["data"]["result"])

    if not first:
        assert send(ground, service, "before", 0), "the right line before it was refused"
        reached("the right line before it is found", lambda: found("before", 0))
    before = discarded(ground)
    accepts = send(ground, service, "askew", seconds)
    if refused:
        reached("Loki counts what it refuses", lambda: discarded(ground) > before)
    else:
        reached("it is found at the time at which it came", lambda: found("askew", 0))
    assert send(ground, service, "after", 0), "the right line after it was refused"
    reached("the right line after it is found", lambda: found("after", 0))
    if not refused:
        return "found at the time at which it came, and the right line after it"
    assert not found("askew", seconds), "it is counted as refused, and found"
    detail = (
        "counted in loki_discarded_samples_total"
        if accepts
        else "refused (400), counted in loki_discarded_samples_total"
    )
    return f"{detail}, the right line after it found"


STAMPED = """\
stamp() {{ date -u -d @$(($(date +%s) + {seconds})) +%Y-%m-%dT%H:%M:%S.123456Z; }}
echo "{{\\"time\\":\\"$(stamp)\\",\\"msg\\":\\"x\\"}}\""""


def written(ground: Ground, *, seconds: int) -> str:
    """A container writes a line with a time. If that time is impossible, the engine's time replaces it."""
    return bad_lines.odd_lines(ground, STAMPED.format(seconds=seconds), 1)


OUT_OF_BOUNDS = "prometheus_target_scrapes_sample_out_of_bounds_total"
SENT: dict[str, tuple[str, str, Callable[[Ground], str]]] = {
    "span-ahead": ("a span an hour ahead, by OTLP", bad_payloads.FOUND, partial(span, seconds=HOUR)),
    "span-behind": ("a span a day behind, by OTLP", bad_payloads.FOUND, partial(span, seconds=-DAY)),
    "record-ahead": ("a log record an hour ahead, by OTLP", "found at the time at which it came, its own as `own_time`; a right one after it is found", partial(logged, send=by_otlp, seconds=HOUR, refused=False)),
    "record-minutes": ("a log record five minutes ahead, by OTLP", "found at the time at which it came, its own as `own_time`; a right one after it is found", partial(logged, send=by_otlp, seconds=5 * MINUTE, refused=False)),
    "record-behind": ("a log record a day behind, by OTLP, of a service that has sent right ones", "found at the time at which it came, its own as `own_time`; a right one after it is found", partial(logged, send=by_otlp, seconds=-DAY, refused=False)),
    "record-first": ("a log record two hours behind, by OTLP, the first of its service", "found at the time at which it came, its own as `own_time`; a right one after it is found", partial(logged, send=by_otlp, seconds=-2 * HOUR, refused=False, first=True)),
    "push-ahead": ("a line an hour ahead, straight to Loki", "refused (400), and counted; a right one after it is found", partial(logged, send=by_push, seconds=HOUR, refused=True)),
    "push-behind": ("a line two hours behind, straight to Loki, of a service that has sent right ones", "refused (400), and counted; a right one after it is found", partial(logged, send=by_push, seconds=-2 * HOUR, refused=True)),
    "line-ahead": ("a line of a container whose own time is an hour ahead", "found at the time at which the engine got it", partial(written, seconds=HOUR)),
    "line-behind": ("a line of a container whose own time is four hours behind", "found at the time at which the engine got it", partial(written, seconds=-4 * HOUR)),
    "sample-ahead": ("a sample whose own time is an hour ahead", f"left out, and counted in `{OUT_OF_BOUNDS}`; the target's other samples are taken", partial(bad_pages.samples, page="ahead", counter=OUT_OF_BOUNDS, series="hostile", there=0)),
    "sample-behind": ("a sample whose own time is a day behind", "the target is down, with a reason", partial(bad_pages.target, page="behind", counter="")),
}  # fmt: skip
"""Name → what is sent, what must come of it, how."""


def drills() -> list[OnGround]:
    result: list[OnGround] = []
    for name, (what, outcome, send) in SENT.items():
        holds = f"{outcome}; {STEADY}"
        result.append(Drill(f"clock-{name}", what, holds, partial(flows, attempt=send)))
    for which, services in [("all", SERVICES), *((service, (service,)) for service in TOLD)]:
        for way, seconds in (("behind", -HOUR), ("ahead", HOUR)):
            name = f"clock-{way}-{which}"
            whose = f"of {which}" if which != "all" else "of all services at once"
            cause = f"the clock {whose} jumps an hour {way}, and back after {WRONG_SECONDS} s"
            if name in SET_ASIDE:
                cause += MENDED
            run = partial(jumped, name=name, services=services, seconds=seconds)
            promise = PROMISES.get(name, PROMISE)
            counted = "" if promise.lines else "; lines that Loki refused before are counted"
            result.append(Drill(name, cause, promise.text + counted, run))
    return result
