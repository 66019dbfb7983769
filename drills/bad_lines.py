"""Log lines that are odd or too long, and what is pushed straight to Loki: each is found, left out, or refused with a reason."""

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import requests

from drills import steady
from drills.bad_payloads import JSON, NANOSECONDS_A_DAY, told_by, too_large
from drills.bystanders import STEADY, flows
from drills.frame import Drill
from drills.ground import Ground, OnGround
from drills.hostile import bomb
from tests.support.wait import until


def lines_of(ground: Ground, script: str, wanted: Callable[[list[Any]], bool], *, seconds: float = 60) -> list[Any]:
    """What Loki has of a container that runs a script, once it is as wanted."""
    logs = ground.steady.logs
    name = f"careless{secrets.token_hex(2)}"
    logs.began = steady.now() - steady.BEFORE
    container = logs.run(name, f"{script}; sleep 300")
    try:
        with contextlib.suppress(Exception):  # told by who asked
            until(lambda: wanted(logs.lines(name)), seconds=seconds)
        return list(logs.lines(name))
    finally:
        logs.shop.remove(container)


def long_line(ground: Ground) -> str:
    """The shipper leaves it out, as the docs say; what follows it is there."""
    script = "head -c 10485760 /dev/zero | tr '\\0' x; echo; echo after"
    texts = [line.text for line in lines_of(ground, script, lambda lines: any(line.text == "after" for line in lines))]
    assert texts == ["after"], f"lengths of what is found: {[len(text) for text in texts]}"
    return "left out, the next line found"


def odd_lines(ground: Ground, script: str, texts: int) -> str:
    lines = lines_of(ground, script, lambda lines_now: len(lines_now) >= texts)
    assert len(lines) == texts, f"{len(lines)} of {texts} lines: {[line.text[:60] for line in lines]}"
    streams = {tuple(sorted(line.labels)) for line in lines}
    assert streams == {("level", "service", "source")}, f"labels {streams}"
    return f"{texts} of {texts} lines found"


def push(ground: Ground, body: bytes, kind: str = JSON, **headers: str) -> requests.Response:
    """Straight to Loki."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{ground.stack.past_front('loki')}/loki/api/v1/push"
    return requests.post(url, data=body, headers={"Content-Type": kind, **named}, timeout=60)


def pushed(ground: Ground, labels: int, *, at: int = 0) -> str:
    """A line that Loki refuses, with a reason."""
    stream = {f"label{number}": "x" for number in range(labels)} | {"service": "careless"}
    body = {"streams": [{"stream": stream, "values": [[str(at or time.time_ns()), "careless"]]}]}
    answer = push(ground, json.dumps(body).encode())
    assert answer.status_code == 400, told_by(answer)
    assert answer.text.strip(), "no reason is told"
    return told_by(answer)


def log_lines() -> dict[str, tuple[str, str, Callable[[Ground], str]]]:
    """Name → what is written, what must come of it, how."""
    nested = "'" + '{"a":' * 10_000 + "1" + "}" * 10_000 + "'"
    many = "'" + json.dumps({"level": "info", **{f"key{number}": "x" for number in range(100)}}) + "'"
    year = 365 * NANOSECONDS_A_DAY
    one = "the line is found, under three labels"
    line = b'{"streams": [{"stream": {"service": "careless"}, "values": [["%d", "' % time.time_ns()
    claims = b"\xff\xff\xff\xff\x0f" + b"\0" * 20  # snappy: 4 GiB when unpacked
    return {
        "line-long": ("a line of 10 MiB", "it is left out; the next line is found", long_line),
        "line-binary": ("a line of control characters and bytes above 127", one, lambda g: odd_lines(g, "printf '\\001\\002\\377\\376\\200\\033[31m\\n'; echo after", 2)),
        "line-utf8": ("a line that is not UTF-8", one, lambda g: odd_lines(g, "printf 'caf\\351 \\303\\050\\n'; echo after", 2)),
        "line-open": ("a last line without its end", one, lambda g: odd_lines(g, "printf 'no end'; exec sleep 1", 1)),
        "line-nested": ("JSON nested 10,000 deep", one, lambda g: odd_lines(g, f"echo {nested}; echo after", 2)),
        "line-keys": ("JSON with 100 keys", one, lambda g: odd_lines(g, f"echo {many}", 1)),
        "line-future": ("a time in the year 2999", one, lambda g: odd_lines(g, """echo '{"time":"2999-01-01T00:00:00.5Z","msg":"x"}'""", 1)),
        "line-past": ("a time in the year 1970", one, lambda g: odd_lines(g, """echo '{"time":"1970-01-01T00:00:00.5Z","msg":"x"}'""", 1)),
        "push-labels": ("100 labels, straight to Loki", "refused (400)", lambda g: pushed(g, 100)),
        "push-past": ("a line of last year, straight to Loki", "refused (400)", lambda g: pushed(g, 0, at=time.time_ns() - year)),
        "push-future": ("a line of next year, straight to Loki", "refused (400)", lambda g: pushed(g, 0, at=time.time_ns() + year)),
        "push-bomb": ("a line of 256 MiB as 250 KiB of gzip, straight to Loki", "refused (4xx)", lambda g: too_large(lambda: push(g, bomb(line), Content_Encoding="gzip"))),
        "push-snappy": ("a request that says it has 4 GiB, straight to Loki", "refused (4xx)", lambda g: too_large(lambda: push(g, claims, "application/x-protobuf"))),
    }  # fmt: skip


def drills() -> list[OnGround]:
    return [
        Drill(f"input-{name}", cause, f"{outcome}; {STEADY}", partial(flows, attempt=write))
        for name, (cause, outcome, write) in log_lines().items()
    ]
