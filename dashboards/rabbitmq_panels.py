"""The row of RabbitMQ on the dashboard of databases."""

from config.alerts.rule import Job
from dashboards import colours, panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
NODE, QUEUES = (f'job="{job}",{CHOSEN}' for job in (Job.RABBITMQ, Job.RABBITMQ_QUEUES))
UP = f"up{{{NODE}}}"
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.rabbitmq"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((ready(), unacked(), messages(), memory()), "RabbitMQ", closed=True)


def ready() -> AnyPanel:
    return panels.timeseries(
        "Messages that wait",
        "Messages of each queue that no consumer has taken yet. A queue that only grows has too few consumers, or none.",
        units.counted("messages"),
        *top(f"sum by (queue) (rabbitmq_detailed_queue_messages_ready{{{QUEUES}}})", "queue", count=FEW),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def unacked() -> AnyPanel:
    return panels.timeseries(
        "Messages unacknowledged",
        "Messages of each queue that consumers have taken and not acknowledged yet.",
        units.counted("messages"),
        *top(f"sum by (queue) (rabbitmq_detailed_queue_messages_unacked{{{QUEUES}}})", "queue", count=FEW),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def messages() -> AnyPanel:
    def counted(what: str) -> str:
        return f"sum(rate(rabbitmq_global_messages_{what}_total{{{NODE}}}[{RATE}]))"

    return panels.timeseries(
        "Messages",
        "Messages per second: from publishers, to consumers, and those that no queue wanted and no publisher got back.",
        units.counted("messages/s"),
        PromQL(counted("received"), "published"),
        PromQL(counted("delivered"), "delivered"),
        PromQL(counted("unroutable_dropped"), "dropped"),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        colours={"published": colours.BLUE, "delivered": colours.GREEN, "dropped": colours.RED},
    )


def memory() -> AnyPanel:
    used, limit = (
        f"rabbitmq_{what}{{{NODE}}}" for what in ("process_resident_memory_bytes", "resident_memory_limit_bytes")
    )
    return panels.timeseries(
        "RabbitMQ memory",
        "Memory of each node, as a share of its watermark. At 100 % RabbitMQ blocks all publishers.",
        units.SHARE,
        *top(f"max by (instance) ({used} / {limit})", "instance", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        maximum=1,
    )
