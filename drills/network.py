"""Services that do not reach each other, names that nobody resolves, a webhook and a registry that are away."""

import contextlib
from collections.abc import Iterator
from functools import partial

from drills.frame import Drill
from drills.ground import SERVICES, Ground, OnGround, Promise

AWAY_SECONDS = 120
CUTS = (
    ("otel_collector", "api_proxy"),
    ("api_proxy", "jaeger"),
    ("prometheus", "scrape_proxy"),
    ("alloy", "loki"),
    ("prometheus", "alertmanager"),
    ("alloy", "socket_proxy"),
    ("prometheus", "node_exporter"),
    ("grafana", "api_proxy"),
    ("otel_collector", "prometheus"),
)
EVERYTHING = Promise()


def cut(ground: Ground, *, one: str, other: str) -> str:
    with contextlib.ExitStack() as apart:
        return ground.drill(
            _name(one, other),
            fault=lambda: apart.enter_context(ground.cut(one, other)),
            heal=apart.close,
            seconds=AWAY_SECONDS,
            promise=EVERYTHING,
        )


def _name(one: str, other: str) -> str:
    return f"cut-{one}-{other}"


@contextlib.contextmanager
def no_names(ground: Ground) -> Iterator[None]:
    """The file that says who resolves names, of every container, names one that is not there."""
    files = {ground.container(service).attrs["ResolvConfPath"] for service in SERVICES}
    volumes = {file: {"bind": f"/{number}", "mode": "rw"} for number, file in enumerate(sorted(files))}
    inside = " ".join(str(where["bind"]) for where in volumes.values())

    def everywhere(one: str, other: str) -> None:
        script = f"for file in {inside}; do sed 's/{one}/{other}/' $file > /new; cat /new > $file; done"
        ground.as_root(script, volumes=volumes, network_mode="none")

    everywhere(r"127\.0\.0\.11", "127.0.0.99")
    try:
        yield
    finally:
        everywhere(r"127\.0\.0\.99", "127.0.0.11")


def dns_gone(ground: Ground) -> str:
    with contextlib.ExitStack() as silent:
        return ground.drill(
            "dns-gone",
            fault=lambda: silent.enter_context(no_names(ground)),
            heal=silent.close,
            seconds=AWAY_SECONDS,
            promise=EVERYTHING,
        )


def webhook_down(ground: Ground) -> str:
    def answer(status: int) -> None:
        ground.outside.slack_status = status

    before = ground.outside.refused
    measured = ground.drill(
        "webhook-down",
        fault=lambda: answer(503),
        heal=lambda: answer(200),
        seconds=AWAY_SECONDS,
        promise=EVERYTHING,
    )
    refused = ground.outside.refused - before
    assert refused, "nothing was sent while the webhook was down"
    return f"{refused} attempts refused; {measured}"


def registry_gone(ground: Ground) -> str:
    """The registry of an image does not answer, but the engine has the image."""
    stack = ground.stack
    images = dict(stack.config["images"])
    there = f"127.0.0.1:9/{stack.prefix}/node_exporter:1"
    ground.client.images.get(stack.settings.image("node_exporter")).tag(there)

    def use(image: str | None) -> None:
        stack.config["images"] = {**images, "node_exporter": image} if image else images
        stack.write()
        stack.up()

    try:
        measured = ground.drill(
            "registry-gone", fault=lambda: use(there), heal=lambda: None, seconds=0, promise=EVERYTHING
        )
        running = ground.container("node_exporter").attrs["Config"]["Image"]
        assert running == there, f"node_exporter runs {running}"
    finally:
        use(None)
        ground.client.images.remove(there, noprune=True)
    return measured


def drills() -> list[OnGround]:
    cuts = [
        Drill(
            _name(one, other),
            f"no packet between {one} and {other} for {AWAY_SECONDS} s",
            EVERYTHING.text,
            partial(cut, one=one, other=other),
        )
        for one, other in CUTS
    ]
    names = f"no container resolves a name for {AWAY_SECONDS} s: its resolver is gone"
    webhook = f"Slack's webhook answers 503 for {AWAY_SECONDS} s (group_interval 2 s, by default 5 min)"
    registry = "an image changes to one of a registry where nobody listens, which the engine has already; `pulumi up`"
    return [
        *cuts,
        Drill("dns-gone", names, EVERYTHING.text, dns_gone),
        Drill("webhook-down", webhook, EVERYTHING.text, webhook_down),
        Drill("registry-gone", registry, EVERYTHING.text, registry_gone),
    ]
