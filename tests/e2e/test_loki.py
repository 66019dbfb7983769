"""Loki on a real engine: what it deletes, refuses, raises and takes, and what of that changes without a restart."""

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
import requests

from tests.support.deployment import Deployment
from tests.support.wait import until

DAY = 86_400
FASTER = [
    ("config/services/logs/loki.py", 'COMPACTION_INTERVAL = "10m"', 'COMPACTION_INTERVAL = "5s"'),
    ("config/services/logs/loki.py", 'DELETE_DELAY = "2h"', 'DELETE_DELAY = "1s"'),
    ("config/services/logs/loki.py", 'CHECKPOINT_INTERVAL = "5m"', 'CHECKPOINT_INTERVAL = "5s"'),
    ("config/services/logs/loki_rules.py", 'INTERVAL = "1m"', 'INTERVAL = "2s"'),
]
"""What would be waited for in minutes and hours."""
READY_SECONDS = 120


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    with deploy("loki", logs={"shipper": "promtail"}) as stack, ExitStack() as edits:
        stack.config["memory"]["loki"] = "512MiB"
        for path, usual, faster in FASTER:
            edits.enter_context(stack.edited(path, usual, faster))
        stack.up()
        stack.container("promtail").stop(timeout=30)  # what Loki has is what the tests push
        yield stack


def push(stack: Deployment, labels: Mapping[str, str], *lines: str, ago: float = 0) -> requests.Response:
    """One stream, its lines a microsecond apart, the last of them `ago` seconds before now."""
    last = time.time_ns() - int(ago * 1e9)
    values = [[str(last - 1000 * (len(lines) - number)), line] for number, line in enumerate(lines, start=1)]
    body = {"streams": [{"stream": dict(labels), "values": values}]}
    return requests.post(f"{stack.past_front('loki')}/loki/api/v1/push", json=body, timeout=30)


def lines(stack: Deployment, query: str) -> set[str]:
    """The lines of the last days."""
    answer = stack.get("loki", "/loki/api/v1/query_range", query=query, since="240h", limit="5000")
    return {line for stream in answer["data"]["result"] for _, line in stream["values"]}


def metric(stack: Deployment, name: str, **labels: str) -> float:
    """Sum of a metric's series that carry `labels`, by Loki's own page."""
    page = requests.get(f"{stack.url('loki')}/metrics", timeout=30).text
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith((f"{name}{{", f"{name} ")) and all(label in line for label in wanted)
    )


def identity(stack: Deployment) -> tuple[str, str]:
    return str(stack.container("loki").id), stack.started("loki")


def chunks(stack: Deployment) -> int:
    """How many chunks are on its disk."""
    stream, _ = stack.container("loki").get_archive("/loki/chunks/fake")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        return sum(member.isfile() for member in archive)


def flushed(stack: Deployment) -> bool:
    """Whether all is on its disk. What came after a flush needs another one: the line about a deployment takes its time."""
    requests.post(f"{stack.past_front('loki')}/flush", timeout=30).raise_for_status()
    return metric(stack, "loki_ingester_memory_chunks") == 0


def restart(stack: Deployment) -> None:
    """Hands over the index at once, which else is done every 15 minutes; and reads it anew."""
    stack.container("loki").restart(timeout=60)
    until(lambda: requests.get(f"{stack.url('loki')}/ready", timeout=5).ok, seconds=READY_SECONDS)


def test_a_shorter_retention_is_in_force_without_a_restart_and_deletes_what_it_is_for(stack: Deployment) -> None:
    everything = set()
    for age, ago in (("old", 3 * DAY), ("new", 0)):
        for service, level in (("shop", "debug"), ("shop", "info"), ("batch", "info"), ("audit", "debug")):
            line = f"{age} {service} {level}"
            push(stack, {"service": service, "level": level}, line, ago=ago).raise_for_status()
            everything.add(line)
        # Chunks of their own, as after a day: one goes when all that is in it is old enough.
        until(lambda: flushed(stack), seconds=120)
    count = metric(stack, "loki_ingester_checkpoint_creations_total")
    until(lambda: metric(stack, "loki_ingester_checkpoint_creations_total") > count + 1)  # nothing to replay is left
    restart(stack)
    names = '{service=~"shop|batch|audit"}'
    assert lines(stack, names) == everything
    before, chunk_count = identity(stack), chunks(stack)

    stack.config["logs"]["retention"] = {"levels": {"debug": "1d"}, "services": {"batch": "2d", "audit": "30d"}}
    stack.up()
    until(lambda: chunks(stack) < chunk_count - 1, seconds=240)  # Loki looks each minute for what to delete
    assert identity(stack) == before
    restart(stack)
    assert lines(stack, names) == everything - {"old shop debug", "old batch info"}
    until(lambda: stack.query("time() - loki_compactor_apply_retention_last_successful_run_timestamp_seconds < 60"))


@pytest.mark.whatever_was_set
def test_ten_thousand_values_of_a_label_make_no_more_streams_than_are_allowed(stack: Deployment) -> None:
    before = identity(stack)
    stack.config["logs"]["limits"] = {"streams": 100}
    stack.up()
    assert identity(stack) == before
    now, statuses = str(time.time_ns()), set()
    for batch in range(10):
        streams = [
            {"stream": {"service": "careless", "level": f"user-{number}"}, "values": [[now, "hello"]]}
            for number in range(1000 * batch, 1000 * (batch + 1))
        ]
        body = json.dumps({"streams": streams})
        answer = requests.post(
            f"{stack.past_front('loki')}/loki/api/v1/push",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        statuses.add(answer.status_code)
    assert statuses == {429}
    assert (
        metric(stack, "loki_ingester_memory_streams") <= 100 + 1
    )  # the check's record came by OTLP, which has its own bound
    refused = metric(stack, "loki_discarded_samples_total", reason="stream_limit")
    assert 9_900 <= refused < 10_000
    assert len(stack.get("loki", "/loki/api/v1/series", match='{service="careless"}')["data"]) == 10_000 - refused

    def alerted_after_one_more() -> bool:  # for a second sample of the counter
        push(stack, {"service": "late"}, "x")
        return bool(stack.rules()["LogLinesRefused/warning"]["state"] == "firing")

    until(alerted_after_one_more)
    until(lambda: stack.rules()["LokiStreamsHigh/warning"]["state"] == "pending")


@pytest.mark.whatever_was_set
@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({f"label_{number}": "x" for number in range(7)}, "max_label_names_per_series"),
        ({"service": "x" * 513}, "label_value_too_long"),
    ],
)
def test_labels_that_nobody_needs_are_refused_and_counted(
    stack: Deployment, labels: dict[str, str], reason: str
) -> None:
    assert push(stack, labels, "hello").status_code == 400
    assert metric(stack, "loki_discarded_samples_total", reason=reason) == 1


@pytest.mark.whatever_was_set
def test_a_line_longer_than_allowed_is_cut_and_kept(stack: Deployment) -> None:
    stack.config["logs"]["limits"] = {"line_size": "1KiB"}
    stack.up()
    push(stack, {"service": "wordy", "level": "info"}, "x" * 5000).raise_for_status()
    until(lambda: lines(stack, '{service="wordy"}') == {"x" * 1024})


@pytest.mark.whatever_was_set
def test_a_log_alert_reaches_alertmanager_and_its_threshold_changes_without_a_restart(stack: Deployment) -> None:
    push(stack, {"service": "refunds", "level": "error"}, *(f"no refund {number}" for number in range(50)))
    before = identity(stack)
    assert not _alerts(stack, "LogErrorBurst", service="refunds")

    stack.config["alerts"] = {"runbooks": "https://runbooks.example", "thresholds": {"log_errors": 20}}
    stack.up()
    [alert] = until(lambda: _alerts(stack, "LogErrorBurst", service="refunds"), seconds=90)
    assert identity(stack) == before
    labels = {"alertname": "LogErrorBurst", "environment": "loki", "service": "refunds", "severity": "warning"}
    assert alert["labels"] == labels
    assert alert["annotations"]["headline"] == "refunds has logged 50 errors in five minutes"
    assert alert["annotations"]["runbook_url"] == "https://runbooks.example/LogErrorBurst.md"


def _alerts(stack: Deployment, name: str, *, service: str) -> list[dict[str, Any]]:
    """Those that Alertmanager knows. Other containers of this machine may have some of their own."""
    alerts: list[dict[str, Any]] = stack.get("alertmanager", "/api/v2/alerts", filter=f'alertname="{name}"')
    return [alert for alert in alerts if alert["labels"]["service"] == service]


@pytest.mark.whatever_was_set
def test_a_log_by_otlp_is_found_and_what_varies_is_no_label(stack: Deployment) -> None:
    def attributes(**texts: str) -> list[dict[str, Any]]:
        return [{"key": key.replace("__", "."), "value": {"stringValue": text}} for key, text in texts.items()]

    resource = attributes(service__name="billing", service="billing", host__name="h-4711", session="s-1")
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityText": "ERROR",
        "body": {"stringValue": "card refused"},
        "attributes": attributes(user_id="u-1", level="error"),
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
    }
    body = {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": [record]}]}]}
    requests.post(f"{stack.past_front('loki')}/otlp/v1/logs", json=body, timeout=30).raise_for_status()

    with_trace = '{service="billing"} | trace_id="5b8efff798038103d269b633813fc60c" | user_id="u-1" | session="s-1"'
    until(lambda: lines(stack, with_trace) == {"card refused"})
    [labels] = stack.get("loki", "/loki/api/v1/series", match='{service="billing"}')["data"]
    assert labels == {"service": "billing", "level": "error"}


@pytest.mark.whatever_was_set
def test_limits_that_loki_refuses_never_reach_it(stack: Deployment) -> None:
    before = identity(stack)
    with stack.edited("config/services/logs/loki.py", '"deletion_mode": "filter-only"', '"deletion_mode": "sometimes"'):
        printed = stack.up(fails=True)
    assert "loki: its validator refuses the new files" in printed
    assert "unknown deletion mode" in printed
    assert identity(stack) == before
    push(stack, {"service": "shop", "level": "info"}, "still here").raise_for_status()


@pytest.mark.whatever_was_set
def test_what_only_a_start_reads_restarts_loki_and_nothing_else(stack: Deployment) -> None:
    others = {service: stack.started(service) for service in stack.settings.services if service != "loki"}
    identifier, started = identity(stack)
    with stack.edited("config/services/logs/loki.py", '"max_concurrent": 4', '"max_concurrent": 3'):
        stack.up()
        assert "max_concurrent: 3" in requests.get(f"{stack.past_front('loki')}/config", timeout=30).text
        assert stack.container("loki").id == identifier
        assert stack.started("loki") > started
    assert {service: stack.started(service) for service in others} == others
