"""Promtail's config."""

from typing import Any

import pytest
import yaml

from config.container import Container
from config.services.logs import promtail
from config.services.logs.log_stages import Stage
from tests.support.program import settings_of


def container_of(**logs: Any) -> Container:
    return promtail.container(settings_of({"logs": logs}))


def config_of(container: Container) -> dict[str, Any]:
    assert container.config is not None
    document: dict[str, Any] = yaml.safe_load(container.config.files["promtail.yml"])
    return document


def test_it_waits_for_loki_for_ever_and_reads_nothing_meanwhile() -> None:
    [client] = config_of(container_of())["clients"]
    assert client["backoff_config"] == {"min_period": "500ms", "max_period": "10s", "max_retries": 0}
    assert client["drop_rate_limited_batches"] is True
    assert client["batchsize"] == 128 * 1024
    assert client["url"] == "http://loki:3100/loki/api/v1/push"


def test_long_lines_are_cut_where_loki_would_and_not_at_256_kib() -> None:
    limits = config_of(container_of(limits={"line_size": "2MiB"}))["limits_config"]
    assert limits == {"max_line_size": 2 * 2**20, "max_line_size_truncate": True}


def test_containers_are_found_in_every_state_through_the_proxy() -> None:
    docker = config_of(container_of())["scrape_configs"][0]
    assert docker["docker_sd_configs"] == [
        {
            "host": "tcp://socket_proxy:2375",
            "refresh_interval": "5s",
            "filters": [
                {"name": "status", "values": ["running", "paused", "restarting", "removing", "exited", "dead"]}
            ],
        }
    ]


@pytest.mark.parametrize(
    ("system", "jobs"),
    [
        ("syslog", ["docker", "file", "system"]),
        ("journal", ["docker", "file", "journal"]),
        ("off", ["docker", "file"]),
    ],
)
def test_every_source_has_the_same_pipeline(system: str, jobs: list[str]) -> None:
    *sources, version = config_of(container_of(system=system))["scrape_configs"]
    assert [source["job_name"] for source in sources] == jobs
    assert len({str(source["pipeline_stages"]) for source in sources}) == 1
    assert version["static_configs"] == []


def test_a_job_that_reads_nothing_tells_which_config_is_live() -> None:
    one, other = container_of(), container_of(fuse={"lines": 7})
    for container in (one, other):
        assert container.config is not None
        assert container.config.expect == {
            "http://127.0.0.1:9080/config": config_of(container)["scrape_configs"][-1]["job_name"]
        }
    assert one.config != other.config


def test_it_is_root_of_its_own_volume_and_nothing_else() -> None:
    container = container_of()
    assert (container.user, container.capabilities, container.data) == ("0:4", (), "/promtail")
    assert config_of(container)["positions"]["filename"].startswith("/promtail/")


def test_damaged_positions_do_not_keep_it_from_starting() -> None:
    assert config_of(container_of())["positions"]["ignore_invalid_yaml"] is True


@pytest.mark.parametrize(
    ("stage", "item"),
    [
        (Stage("decolorize", {}), {"decolorize": {}}),
        (Stage("labels", {"values": {"level": "level"}}), {"labels": {"level": "level"}}),
        (Stage("structured_metadata", {"values": {"a": "b"}}), {"structured_metadata": {"a": "b"}}),
        (Stage("label_keep", {"values": ["level"]}), {"labelallow": ["level"]}),
        (Stage("limit", {"rate": 7, "drop": True}), {"limit": {"rate": 7, "drop": True}}),
        (
            Stage("match", {"selector": '{a="b"}'}, (Stage("regex", {"expression": "x"}),)),
            {"match": {"selector": '{a="b"}', "stages": [{"regex": {"expression": "x"}}]}},
        ),
        (
            Stage("metrics", {}, (Stage("counter", {"name": "a", "source": "b", "action": "inc"}),)),
            {"metrics": {"a": {"type": "counter", "source": "b", "config": {"action": "inc"}}}},
        ),
    ],
)
def test_a_stage_is_spelled(stage: Stage, item: dict[str, Any]) -> None:
    assert promtail.spelled(stage) == item
