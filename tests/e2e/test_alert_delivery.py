"""A fired alert reaches the people it is for: through Prometheus, Alertmanager and the receivers of the settings."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Self

import pytest
import requests
import yaml
from docker import DockerClient

from config.alerts import slo
from engine.docker_api import execute
from tests.support.deployment import SHORT, Deployment
from tests.support.outside import Outside, gateway
from tests.support.wait import until

GROUP_INTERVAL = 2
DEADMAN_INTERVAL = 5  # the shortest that settings take
RUNBOOK = "https://runbooks.example/orders"


def _alert(name: str, severity: str, expr: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "labels": {"severity": severity},
        "annotations": {
            "summary": "{{ $value }} orders wait in queue {{ $labels.queue }}",
            "description": "Customers wait for their confirmation.",
            "runbook_url": RUNBOOK,
        },
    }


RULES = {
    "groups": [
        {
            "name": "orders",
            "rules": [
                _alert("QueueLong", "warning", "orders_waiting > 5"),
                _alert("QueueStuck", "warning", "orders_stuck > 5"),
                _alert("QueueStuck", "critical", "orders_stuck > 50"),
            ],
        }
    ]
}
OBJECTIVE = 99.9
SLO = {
    "name": "checkout",
    "service": "orders",
    "objective": OBJECTIVE,
    "window": "7d",
    "total": "sum(rate(orders_total[12s]))",
    "errors": "sum(rate(orders_failed_total[12s]))",
}
QUIET = "orders_stuck 0\n" + "".join(f'orders_waiting{{queue="{queue}"}} 0\n' for queue in ("mail", "print"))


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """With an application whose numbers the tests decide, and rules of the user's own about them."""
    with deploy(
        "alerts",
        alerts={"rule_files": ["orders.yml"]},
        notifications={
            "slack": {"channel": "#on-call"},
            "group_wait": "1s",
            "group_interval": f"{GROUP_INTERVAL}s",
            "deadman_interval": f"{DEADMAN_INTERVAL}s",
        },
    ) as deployment:
        (deployment.folder / "orders.yml").write_text(yaml.safe_dump(RULES))
        # Only the network at first: the receiver listens in it.
        deployment.up(
            "--target", f"urn:pulumi:{deployment.stack}::nervous-system::docker:index/network:Network::network"
        )
        yield deployment


@pytest.fixture(scope="module")
def outside(stack: Deployment, client: DockerClient) -> Iterator[Outside]:
    with Outside(gateway(client, stack.prefix), metrics=QUIET) as server:
        orders = {"service": "orders", "targets": [server.host_port]}
        retention = {"time": SLO["window"], "size": "512MiB"}
        metrics = {**SHORT, "retention": retention, "applications": {"static": [orders]}}
        stack.config["metrics"] = {**stack.config["metrics"], **metrics}
        stack.config["slos"] = [SLO]
        hook = {"name": "hook", "kind": "webhook", "when": [{"labels": {"team": "shop"}, "hours": "day"}]}
        stack.config["notifications"] |= {"receivers": [hook], "hours": {"day": {"zone": "Europe/Berlin"}}}
        stack.secret("receiver_hook", server.url("/hook"))
        stack.secret("slack_webhook", server.url("/slack"))
        stack.secret("deadman_url", server.url("/deadman"))
        stack.up()
        until(lambda: stack.query('up{service="orders"} == 1'))
        yield server


@pytest.fixture(autouse=True)
def _quiet_again(outside: Outside, stack: Deployment) -> Iterator[None]:
    """Nothing of the test's own alerts is left for the next one."""
    yield
    outside.metrics = QUIET
    until(lambda: not [alert for alert in _alerts(stack) if alert["labels"]["alertname"].startswith("Queue")])
    outside.messages.clear()


def _alerts(stack: Deployment) -> list[dict[str, Any]]:
    """What Alertmanager knows."""
    result: list[dict[str, Any]] = stack.get("alertmanager", "/api/v2/alerts")
    return result


def test_two_alerts_of_one_group_reach_slack_in_one_message_once_and_their_end_is_told(outside: Outside) -> None:
    outside.metrics = 'orders_waiting{queue="mail"} 7\norders_waiting{queue="print"} 8\n'

    until(lambda: outside.messages_about("QueueLong"))
    time.sleep(4 * GROUP_INTERVAL)  # what would be repeated had four occasions
    [message] = outside.messages_about("QueueLong")

    assert message["channel"] == "#on-call"
    [attachment] = message["attachments"]
    assert attachment["title"].startswith("[FIRING:2] warning · QueueLong · orders")
    assert "7 orders wait in queue mail" in attachment["text"]
    assert "8 orders wait in queue print" in attachment["text"]
    assert "Customers wait for their confirmation." in attachment["text"]
    assert f"<{RUNBOOK}|Runbook>" in attachment["text"]

    outside.metrics = QUIET
    until(lambda: outside.messages_about("[RESOLVED] warning · QueueLong"))
    time.sleep(2 * GROUP_INTERVAL)
    assert [each["attachments"][0]["color"] for each in outside.messages_about("QueueLong")] == ["danger", "good"]


def test_when_one_of_two_alerts_ends_the_message_says_which(outside: Outside) -> None:
    outside.metrics = 'orders_waiting{queue="mail"} 7\norders_waiting{queue="print"} 8\n'
    until(lambda: outside.messages_about("[FIRING:2] warning · QueueLong"))
    outside.metrics = 'orders_waiting{queue="mail"} 0\norders_waiting{queue="print"} 8\n'
    [attachment] = until(lambda: outside.messages_about("[FIRING:1] warning · QueueLong"))[0]["attachments"]
    assert "Over: *7 orders wait in queue mail*" in attachment["text"]
    assert "\n*8 orders wait in queue print*" in f"\n{attachment['text']}"


def test_links_of_a_message_lead_to_the_published_addresses(outside: Outside, stack: Deployment) -> None:
    outside.metrics = 'orders_waiting{queue="mail"} 7\n'
    [attachment] = until(lambda: outside.messages_about("QueueLong"))[0]["attachments"]
    assert attachment["title_link"].startswith(f"{stack.url('alertmanager')}/#/alerts")
    assert f"<{stack.url('prometheus')}/graph?g0.expr=orders_waiting" in attachment["text"]
    assert requests.get(attachment["title_link"], timeout=10).ok


def test_both_of_a_pair_of_ones_own_are_told(outside: Outside, stack: Deployment) -> None:
    """Whether they are about the same object, only their author knows."""
    outside.metrics = "orders_stuck 100\n"
    until(lambda: outside.messages_about("[FIRING:1] critical · QueueStuck · orders"))
    until(lambda: outside.messages_about("[FIRING:1] warning · QueueStuck · orders"))
    pair = [alert for alert in _alerts(stack) if alert["labels"]["alertname"] == "QueueStuck"]
    assert [alert["status"]["inhibitedBy"] for alert in pair] == [[], []]


def test_the_outside_monitor_is_pinged_at_every_interval(outside: Outside) -> None:
    before = len(outside.pings)
    until(lambda: len(outside.pings) >= before + 3, seconds=4 * DEADMAN_INTERVAL)
    last = outside.pings[-3:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(last)]
    assert all(abs(gap - DEADMAN_INTERVAL) < 1 for gap in gaps), gaps


def test_secrets_of_receivers_show_neither_in_the_engine_nor_in_the_state(outside: Outside, stack: Deployment) -> None:
    for secret in (outside.url("/slack"), outside.url("/hook")):
        for name in stack.containers():
            container = stack.client.containers.get(name)
            assert secret not in json.dumps(container.attrs), name
            assert secret not in container.logs().decode(errors="replace"), name
        assert secret not in stack.state()
        assert secret not in stack.preview("--diff")


def test_alert_test_reaches_every_receiver_and_says_what_one_of_them_answered(
    outside: Outside, stack: Deployment
) -> None:
    printed = stack.operate("alert-test")
    assert "2 promises, all kept" in printed
    assert outside.messages_about("critical · AlertTest")
    assert [hook["commonLabels"]["alertname"] for hook in outside.hooks] == ["AlertTest"]
    outside.hook_status = 410
    try:
        printed = stack.operate("alert-test", fails=True)
    finally:
        outside.hook_status = 200
    [refused] = [line for line in printed.splitlines() if "✗" in line]
    assert "hook (webhook) takes the test alert" in refused
    assert "410: this hook is retired" in refused
    assert outside.url("/hook") not in printed


def test_a_webhook_that_refuses_raises_an_alert_of_its_own(outside: Outside, stack: Deployment) -> None:
    failed = 'alertmanager_notifications_failed_total{integration="slack"}'
    before = sum(float(sample["value"][1]) for sample in stack.query(failed))
    outside.slack_status = 404
    try:
        outside.metrics = 'orders_waiting{queue="mail"} 7\n'
        until(lambda: outside.refused)
        until(lambda: sum(float(sample["value"][1]) for sample in stack.query(failed)) > before)
        until(lambda: "slack" in _failing_integrations(stack))
    finally:
        outside.slack_status = 200
    # As soon as Slack answers again it is told, of this one too.
    until(lambda: outside.messages_about("QueueLong"))
    until(lambda: outside.messages_about("AlertmanagerNotificationsFailing"))


def _failing_integrations(stack: Deployment) -> set[str]:
    rule = _firing(stack, "AlertmanagerNotificationsFailing/critical")
    return {alert["labels"]["integration"] for alert in rule["alerts"]} if rule else set()


class Customers:
    """`with Customers(outside) as customers`: the application counts their orders, and those of them that fail."""

    def __init__(self, outside: Outside) -> None:
        self.a_second, self.failing = 0.0, 0.0
        """Orders, and the share of them that fails."""
        self.ordered, self.failed = 0.0, 0.0
        self._outside, self._end = outside, threading.Event()
        self._thread = threading.Thread(target=self._order)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _order(self) -> None:
        last = time.monotonic()
        while not self._end.wait(0.2):
            now = time.monotonic()
            orders, last = (now - last) * self.a_second, now
            self.ordered, self.failed = self.ordered + orders, self.failed + orders * self.failing
            self._outside.metrics = f"orders_total {self.ordered}\norders_failed_total {self.failed}\n"


# Hardly one before it can be told of its alert, because that ends with the last five minutes.
def test_five_percent_errors_page_when_the_workbook_says_and_one_error_at_night_does_not(
    outside: Outside, stack: Deployment
) -> None:
    fast, burn = slo.FAST, slo.burn(slo.FAST.long)
    with Customers(outside) as customers:
        until(lambda: stack.query("orders_failed_total == 0"))
        customers.ordered, customers.failed, customers.a_second = 3, 1, 0.1
        until(lambda: stack.query(f"{burn} > 100"))  # a third of the night's orders

        customers.a_second = 40
        until(lambda: stack.query(f"{burn} < 1.5"))
        assert not [alert for alert in _alerts(stack) if alert["labels"]["alertname"] == fast.name]
        assert not outside.messages_about(fast.name)

        # Of all orders so far, `factor` thousandths must have failed: the hour is as long as the stack is old.
        least = fast.factor * (1 - OBJECTIVE / 100)
        due = (least * customers.ordered - customers.failed) / (customers.a_second * (0.05 - least))
        begun, customers.failing = time.monotonic(), 0.05
        [message] = until(lambda: outside.messages_about(fast.name), seconds=due + 60)
        took = time.monotonic() - begun
    assert message["attachments"][0]["title"].startswith(f"[FIRING:1] critical · {fast.name} · orders")
    # What a rate over 12 s, an evaluation every 8 s and a scrape take, and half a minute of a busy machine.
    assert due - 2 < took < due + 12 + 8 + 2 + 30, (due, took)


# The last one: the silence and the key stay until the stack is gone.
def test_with_pagerduty_a_critical_alert_goes_there_and_to_slack(outside: Outside, stack: Deployment) -> None:
    stack.secret("pagerduty_key", "0123456789abcdef0123456789abcdef")
    # PagerDuty's address is on the internet, and nothing here may reach for it: silence it before it is configured.
    silence = {
        "matchers": [{"name": "severity", "value": "critical", "isRegex": False}],
        "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600)),
        "createdBy": "test",
        "comment": "nothing goes to the internet",
    }
    requests.post(f"{stack.url('alertmanager')}/api/v2/silences", json=silence, timeout=10).raise_for_status()
    stack.up()
    outside.metrics = "orders_stuck 100\n"
    [alert] = until(
        lambda: [
            alert
            for alert in _alerts(stack)
            if alert["labels"]["alertname"] == "QueueStuck" and alert["labels"]["severity"] == "critical"
        ]
    )
    # The webhook's conditions do not fit.
    assert [receiver["name"] for receiver in alert["receivers"]] == ["pagerduty", "nowhere", "slack"]
    assert alert["status"]["state"] == "suppressed"
    file = "--config.file=/config/current/alertmanager.yml"
    for severity, receivers in {"critical": "pagerduty,nowhere,slack", "warning": "nowhere,slack"}.items():
        code, out = execute(
            stack.container("alertmanager"), ["amtool", "config", "routes", "test", file, f"severity={severity}"]
        )
        assert (code, out.strip()) == (0, receivers)


def _firing(stack: Deployment, name: str) -> dict[str, Any]:
    rule = stack.rules()[name]
    return rule if rule["state"] == "firing" else {}
