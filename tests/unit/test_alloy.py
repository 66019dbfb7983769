"""Alloy's config."""

import hashlib
from typing import Any

import pytest

from config.container import Container
from config.services.logs import alloy
from config.services.logs.log_stages import Stage
from tests.support.program import settings_of


def container_of(**logs: Any) -> Container:
    return alloy.container(settings_of({"logs": logs}))


def blocks(**logs: Any) -> dict[str, str]:
    """First line of each block → the rest of it."""
    text = alloy.config_file(settings_of({"logs": logs}))
    parts = [part.partition(" {\n") for part in text.strip().split("\n\n")]
    return {head: body.removesuffix("\n}") for head, _, body in parts}


def test_it_waits_for_loki_for_ever_and_reads_nothing_meanwhile() -> None:
    assert (
        blocks()['loki.write "loki"']
        == """\
  endpoint {
    url = "http://loki:3100/loki/api/v1/push"
    batch_wait = "1s"
    batch_size = "131072B"
    remote_timeout = "30s"
    min_backoff_period = "500ms"
    max_backoff_period = "10s"
    max_backoff_retries = 0
    retry_on_http_429 = false
    queue_config {
      capacity = "131072B"
    }
  }"""
    )


def test_containers_are_found_in_every_state_through_the_proxy() -> None:
    assert (
        blocks()['discovery.docker "containers"']
        == """\
  host = "tcp://socket_proxy:2375"
  refresh_interval = "5s"
  filter {
    name = "status"
    values = ["running", "paused", "restarting", "removing", "exited", "dead"]
  }"""
    )


def test_a_position_does_not_hang_on_a_containers_address() -> None:
    relabel = blocks()['discovery.relabel "containers"']
    assert relabel.endswith("""\
  rule {
    action = "labelkeep"
    regex = "__meta_docker_container_id|container|service|source"
  }""")
    assert "log_stream" not in relabel  # nobody knows it before a line is read


def test_lines_go_from_every_source_through_the_pipeline_to_loki() -> None:
    for name, body in blocks(system="journal").items():
        if name.startswith("loki.source."):
            assert "forward_to = [loki.process.pipeline.receiver]" in body
    assert blocks()['loki.process "pipeline"'].startswith("  forward_to = [loki.write.loki.receiver]\n  stage.")


@pytest.mark.parametrize(("system", "read"), [("syslog", True), ("journal", False), ("off", False)])
def test_the_hosts_log_is_read_once(system: str, read: bool) -> None:  # noqa: FBT001 - a column of the table
    alloy_blocks = blocks(system=system)
    assert ("/var/log/syslog" in alloy_blocks['local.file_match "files"']) == read
    assert ('loki.source.journal "journal"' in alloy_blocks) == (system == "journal")


def test_the_running_config_is_told_by_its_hash_and_its_components() -> None:
    container = container_of(fuse={"lines": 7})
    assert container.config is not None
    text = container.config.files["config.alloy"]
    assert container.config.expect == {
        "http://127.0.0.1:12345/metrics": f'sha256="{hashlib.sha256(text.encode()).hexdigest()}"',
        "http://127.0.0.1:12345/-/healthy": "All Alloy components are healthy",
    }


def test_it_is_its_own_user_and_nothing_reports_home() -> None:
    container = container_of()
    assert (container.user, container.capabilities, container.data) == ("473:4", (), "/var/lib/alloy/data")
    assert "--disable-reporting" in container.command
    assert f"--storage.path={container.data}" in container.command


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        (Stage("decolorize", {}), "stage.decolorize { }"),
        (Stage("labels", {"values": {"a": "b"}}), 'stage.labels {\n  values = {"a" = "b"}\n}'),
        (Stage("limit", {"rate": 7, "drop": True}), "stage.limit {\n  rate = 7\n  drop = true\n}"),
        (Stage("replace", {"replace": 'a"b\\c\x01é'}), 'stage.replace {\n  replace = "a\\"b\\\\c\\u0001é"\n}'),
        (
            Stage("match", {"selector": '{a="b"}'}, (Stage("regex", {"expression": "x"}),)),
            'stage.match {\n  selector = "{a=\\"b\\"}"\n  stage.regex {\n    expression = "x"\n  }\n}',
        ),
        (
            Stage("metrics", {}, (Stage("counter", {"name": "a", "action": "inc"}),)),
            'stage.metrics {\n  metric.counter {\n    name = "a"\n    action = "inc"\n  }\n}',
        ),
    ],
)
def test_a_stage_is_spelled(stage: Stage, text: str) -> None:
    assert "\n".join(alloy.spelled(stage)) == text
