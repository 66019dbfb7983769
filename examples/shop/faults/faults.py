"""Does what the header X-Fault asks for, to see what the stack shows of it. Never in production."""

import os
import time

from fastapi import HTTPException
from opentelemetry import baggage, trace

from telemetry.telemetry import SERVICE, log

_BYTES = {"KiB": 2**10, "MiB": 2**20}
_leaked: list[bytearray] = []


def inject() -> None:
    """A dependency of each route: does what the baggage wants of this service.

    `<service>=<kind>[:<value>]`, several by comma.
    """
    if os.environ.get("SHOP_FAULTS") != "on":
        return
    for fault in str(baggage.get_baggage("fault") or "").split(","):
        service, _, what = fault.strip().partition("=")
        if service == SERVICE:
            kind, _, value = what.partition(":")
            _happen(kind, value)


def _happen(kind: str, value: str) -> None:
    if kind == "latency":
        milliseconds = value.endswith("ms")
        time.sleep(float(value.rstrip("ms")) / (1000 if milliseconds else 1))
    elif kind == "error":
        error = HTTPException(500, "injected")
        log.error("injected fault: error")
        trace.get_current_span().record_exception(error)
        raise error
    elif kind == "panic":
        raise RuntimeError("injected fault: panic")
    elif kind == "leak":
        _leaked.append(bytearray(os.urandom(1)) * (int(value[:-3]) * _BYTES[value[-3:]]))  # written, so that it counts
    elif kind == "logburst":
        for line in range(int(value)):
            log.info("injected fault: log burst", extra={"line": line})
