"""The cost of more containers for the services that watch them: cAdvisor, log shipper, socket proxy, Prometheus."""

from bench import measure
from bench.figures import Row, row
from bench.measured_stack import running
from tests.support.deployment import Deployment
from tests.support.ports import publish
from tests.support.shop import Shop
from tests.support.wait import until

CONTAINERS = {"x1": 5, "x3": 15, "x10": 50}
WATCHING = ("cadvisor", "alloy", "socket_proxy", "prometheus")
# Writes a line every ten seconds, and does nothing else.
IDLE = "while :; do echo still here; sleep 10; done"


def run(seconds: float) -> list[Row]:
    """Rows for each number of idle containers, in addition to those of the stack and of this machine."""
    with running(publish=publish("prometheus")) as stack, Shop(stack.client, f"{stack.prefix}-shop") as shop:
        result = _measured(stack, "none", 0, seconds)
        running_now = 0
        for subject, number in CONTAINERS.items():
            for more in range(running_now, number):
                shop.start(f"idle{more}", stack.config["images"]["busybox"], ["sh", "-c", IDLE])
            running_now = number
            query = f'count(container_last_seen{{name=~"{shop.name}-.*"}}) >= {number}'
            until(lambda: stack.query(query), seconds=120)  # noqa: B023 - called within this iteration
            result += _measured(stack, subject, number, seconds)
        return result


def _measured(stack: Deployment, subject: str, number: int, seconds: float) -> list[Row]:
    costs = measure.cost({service: stack.container(service) for service in WATCHING}, seconds, warm_up=15)
    of_job = 'sum(scrape_samples_post_metric_relabeling{job="cadvisor"})'
    result = [
        row(subject, "more containers", "", number),
        row(subject, "series", "of cadvisor", float(stack.query(of_job)[0]["value"][1])),
    ]
    for service, cost in costs.items():
        result += [
            row(subject, f"{service} CPU", "% of a core", 100 * cost.cores),
            row(subject, f"{service} memory", "MiB", cost.peak_mib),
        ]
    return result
