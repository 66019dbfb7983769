"""What waits in queues of the collector, and whether it leaves them.

Something waits at most moments: a batch is collected for a second, and is in the queue until its receiver has answered. So a queue
that is not empty breaks no promise; one that nothing leaves does.
"""

import time
from dataclasses import dataclass

from docker import DockerClient

from check.pages import page, total
from config.settings import Settings

PATIENCE_SECONDS = 5
"""How long something that waits has to leave. A batch is sent after one second (`flush_timeout`)."""
LOOK_SECONDS = 0.5
_SIGNALS = {"traces": "spans", "logs": "log_records"}
"""Value of `data_type` at the size of a queue → name of its items in other metrics."""


@dataclass(frozen=True)
class Queue:
    """A queue of one exporter for one signal."""

    waiting: float
    """Bytes."""
    sent: float
    """Items since the collector's start, as `lost`."""
    lost: float


@dataclass(frozen=True)
class Delivery:
    """The queues of an exporter, after a look of at most `PATIENCE_SECONDS`."""

    queues: tuple[Queue, ...]
    stuck: bool
    """Whether something waits in one of them, and nothing has left it."""

    @property
    def sent(self) -> float:
        return sum(queue.sent for queue in self.queues)

    @property
    def lost(self) -> float:
        return sum(queue.lost for queue in self.queues)

    def __str__(self) -> str:
        stuck = f", none has left for {PATIENCE_SECONDS} s" if self.stuck else ""
        waiting = sum(queue.waiting for queue in self.queues)
        return (
            f"{self.sent:.0f} sent since the collector's start, {self.lost:.0f} lost, {waiting:.0f} bytes wait{stuck}"
        )


def delivery(client: DockerClient, settings: Settings, exporter: str) -> Delivery:
    """What the collector's `exporter` has delivered.

    Raises:
        LookupError: the collector does not answer.
    """
    first = queues = _queues(client, settings, exporter)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stuck := any(now.waiting and now.sent <= before.sent for now, before in zip(queues, first, strict=True)):
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_SECONDS)
        queues = _queues(client, settings, exporter)
    return Delivery(queues, stuck)


def _queues(client: DockerClient, settings: Settings, exporter: str) -> tuple[Queue, ...]:
    text, own = page(client, settings, "otel_collector", "/metrics"), f'exporter="{exporter}"'
    return tuple(
        Queue(
            waiting=total(text, "otelcol_exporter_queue_size", own, f'data_type="{kind}"'),
            sent=total(text, f"otelcol_exporter_sent_{items}_total", own),
            lost=sum(total(text, f"otelcol_exporter_{how}_failed_{items}_total", own) for how in ("enqueue", "send")),
        )
        for kind, items in _SIGNALS.items()
    )
