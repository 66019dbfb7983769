"""Loki's files: what is kept how long, what is limited, and which of it takes a restart."""

from datetime import date
from typing import Any

import pytest
import yaml

from config.container import ConfigFiles
from config.services.logs import log_pipeline, loki
from config.settings import Settings
from config.settings.metrics import Metrics
from tests.support.program import config_of, described, refusal, settings_of
from tests.unit.relabel import relabelled

GIB = 2**30
S3 = {"bucket": "shop-logs", "endpoint": "https://minio.example"}


def files_of(config: dict[str, Any] | None = None, secrets: tuple[str, ...] = ()) -> ConfigFiles:
    return config_of("loki", settings_of(config, secrets=secrets))


def read(config: ConfigFiles, name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(config.files[name])
    return document


def main(config: dict[str, Any] | None = None) -> dict[str, Any]:
    return read(files_of(config), loki.MAIN)


def limits(config: dict[str, Any] | None = None) -> dict[str, Any]:
    in_force: dict[str, Any] = read(files_of(config), loki.LIMITS)["overrides"]["fake"]
    return in_force


def logs(**config: Any) -> dict[str, Any]:
    return {"logs": config}


# What is found.


def test_what_is_in_memory_is_found_whatever_its_time() -> None:
    assert main()["querier"]["query_ingesters_within"] == "0s"


# What is kept.


def test_by_default_logs_are_kept_30_days_and_the_compactor_deletes_them() -> None:
    assert limits()["retention_period"] == "30d"
    compactor = main()["compactor"]
    assert (compactor["retention_enabled"], compactor["delete_request_store"]) == (True, "filesystem")


def test_a_services_retention_wins_over_a_levels_and_both_over_the_general_one() -> None:
    config = limits(
        logs(retention={"time": "14d", "levels": {"debug": "3d", "error": "60d"}, "services": {"batch": "7d"}})
    )
    assert config["retention_period"] == "14d"
    assert config["retention_stream"] == [
        {"selector": '{level="debug"}', "priority": 1, "period": "3d"},
        {"selector": '{level="error"}', "priority": 1, "period": "60d"},
        {"selector": '{service="batch"}', "priority": 2, "period": "7d"},
    ]


@pytest.mark.parametrize(
    ("retention", "lookback"),
    [({}, "2592000s"), ({"time": "2d"}, "172800s"), ({"time": "2d", "levels": {"error": "3d"}}, "259200s")],
)
def test_queries_reach_back_as_far_as_anything_is_kept(retention: dict[str, Any], lookback: str) -> None:
    assert limits(logs(retention=retention))["max_query_lookback"] == lookback


# Limits.


def test_limits_are_those_of_the_settings() -> None:
    own = limits(logs(limits={"streams": 77, "line_size": "256KiB", "rate": "1MiB"}))
    assert own["max_global_streams_per_user"] == 77
    assert (own["max_line_size"], own["max_line_size_truncate"]) == ("256KB", True)
    assert (own["ingestion_rate_mb"], own["per_stream_rate_limit"]) == (1, "1MB")


@pytest.mark.parametrize("own", [{}, {"rate": "64KiB"}, {"rate": "64KiB", "line_size": "4MiB"}])
def test_a_batch_with_a_line_of_the_greatest_size_fits_into_a_burst(own: dict[str, str]) -> None:
    settings = settings_of(logs(limits=own))
    assert limits(logs(limits=own))["ingestion_burst_size_mb"] * 2**20 > settings.logs.limits.line_size


def test_logs_by_otlp_get_the_same_three_labels_as_others() -> None:
    otlp = limits()["otlp_config"]
    assert otlp["resource_attributes"]["ignore_defaults"] is True
    rules = [*otlp["resource_attributes"]["attributes_config"], *otlp["log_attributes"]]
    indexed = {name for rule in rules if rule["action"] == "index_label" for name in rule["attributes"]}
    assert indexed == set(log_pipeline.LABELS)


def test_nobody_can_have_lines_deleted_over_http() -> None:
    assert limits()["deletion_mode"] == "filter-only"


def test_it_tells_nobody_about_itself() -> None:
    assert main()["analytics"] == {"reporting_enabled": False}


# Memory.


@pytest.mark.parametrize(("memory", "mib"), [("256MiB", 256), ("2GiB", 2048), ("4GiB", 4096)])
def test_what_it_keeps_in_memory_follows_its_limit(memory: str, mib: int) -> None:
    config = main({"memory": {"loki": memory}})
    assert config["ingester"]["wal"]["replay_memory_ceiling"] == f"{mib // 4}MB" if mib < 4096 else "1GB"
    assert config["chunk_store_config"]["chunk_cache_config"]["embedded_cache"]["max_size_mb"] == mib // 16
    assert config["query_range"]["results_cache"]["cache"]["embedded_cache"]["max_size_mb"] == mib // 64
    ingester = config["ingester"]
    open_chunks = 1000 * (ingester["chunk_target_size"] + ingester["chunk_block_size"])
    assert open_chunks < 0.65 * mib * 2**20
    assert config["distributor"]["max_decompressed_size"] == mib // 32 * 2**20
    assert described("loki", settings_of()).go_memory_percent


@pytest.mark.parametrize("own", [{}, {"line_size": "4MiB"}, {"line_size": "64KiB"}])
def test_a_request_with_a_line_of_the_greatest_size_is_taken_and_none_that_needs_much_of_the_memory(
    own: dict[str, str],
) -> None:
    config = {"memory": {"loki": "256MiB"}, **logs(limits=own)}
    line = settings_of(config).logs.limits.line_size
    for size in main(config)["distributor"].values():
        assert line < size <= 8 * 2**20


# What takes a restart.


@pytest.mark.parametrize(
    "config",
    [
        logs(retention={"time": "7d"}),
        logs(retention={"levels": {"debug": "2d"}}),
        logs(limits={"streams": 50}),
        logs(limits={"line_size": "64KiB"}),
        logs(limits={"rate": "1MiB"}),
        {"alerts": {"thresholds": {"log_errors": 7}}},
    ],
    ids=["retention", "of a level", "streams", "line", "rate", "log alert"],
)
def test_retention_limits_and_log_alerts_change_without_a_restart(config: dict[str, Any]) -> None:
    before, after = files_of(), files_of(config)
    assert after.reload == "poll"
    assert after.since_start == before.since_start
    assert after.expect != before.expect
    assert described("loki", settings_of(config)).command == described("loki", settings_of()).command


@pytest.mark.parametrize("config", [{"memory": {"loki": "1GiB"}}, logs(s3=S3)], ids=["memory", "storage"])
def test_what_only_a_start_reads_says_so(config: dict[str, Any]) -> None:
    assert files_of(config).since_start != files_of().since_start


def test_each_version_shows_where_it_is_looked_for() -> None:
    config = files_of()
    [marker] = config.since_start.values()
    assert marker in config.files[loki.MAIN]
    of_limits, of_rules, *_ = config.expect.values()
    assert of_limits.removeprefix('user="').removesuffix('"') in read(config, loki.LIMITS)["overrides"]
    names = [group["name"] for group in read(config, loki.RULES)["groups"]]
    assert names[-1] == of_rules.removeprefix(";").removesuffix('"')


def test_the_validator_sees_the_very_limits_that_will_be_in_force_but_the_maps_that_loki_takes_only_once() -> None:
    twice = loki.streams_by_way(1).keys()
    assert main()["limits_config"] == {name: value for name, value in limits().items() if name not in twice}
    assert twice <= limits().keys()


# Object storage.


def test_object_storage_takes_chunks_index_and_delete_requests() -> None:
    config = main(logs(s3=S3))
    assert config["storage_config"]["aws"] == {
        "bucketnames": "shop-logs",
        "region": "us-east-1",
        "endpoint": "https://minio.example",
        "s3forcepathstyle": True,
    }
    assert [period["object_store"] for period in config["schema_config"]["configs"]] == ["s3"]
    assert config["compactor"]["delete_request_store"] == "s3"


def test_amazon_needs_no_endpoint() -> None:
    config = main(logs(s3={"bucket": "shop-logs", "region": "eu-central-1"}))
    assert config["storage_config"]["aws"] == {"bucketnames": "shop-logs", "region": "eu-central-1"}


def test_logs_of_before_the_move_stay_where_they_are() -> None:
    config = main(logs(s3={**S3, "since": "2026-12-01"}))
    assert [(period["from"], period["object_store"]) for period in config["schema_config"]["configs"]] == [
        ("2024-01-01", "filesystem"),
        ("2026-12-01", "s3"),
    ]
    assert settings_of(logs(s3={**S3, "since": "2026-12-01"})).logs.s3.since == date(2026, 12, 1)  # type: ignore[union-attr]


def test_the_key_is_a_file_that_only_its_path_is_told_of() -> None:
    settings: Settings = settings_of(logs(s3=S3), secrets=("s3_credentials",))
    container = described("loki", settings)
    assert container.environment == {"AWS_SHARED_CREDENTIALS_FILE": "/config/current/secrets/s3_credentials"}
    text = config_of("loki", settings).secrets["s3_credentials"].render("AKID:se:cret\n")
    assert text == "[default]\naws_access_key_id = AKID\naws_secret_access_key = se:cret\n"


@pytest.mark.parametrize("secret", ["AKID", "AKID:", ":secret", ""])
def test_a_key_of_another_form_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(ValueError, match="<access key id>:<secret access key>") as caught:
        loki.credentials_file(secret)
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("secrets", [(), ("s3_credentials",)])
def test_without_object_storage_no_key_is_handed_out(secrets: tuple[str, ...]) -> None:
    settings = settings_of(secrets=secrets)
    assert described("loki", settings).environment == {}
    assert not config_of("loki", settings).secrets


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (logs(retention={"levels": {"debug": "12h"}}), "logs.retention.levels.debug: 12h is shorter than 1d"),
        (logs(retention={"levels": {"trace": "2d"}}), "logs.retention.levels.trace"),
        (logs(retention={"services": {'a"}': "2d"}}), "logs.retention.services"),
        (logs(s3={"bucket": "Shop"}), "logs.s3.bucket"),
        (logs(s3={"bucket": "shop", "since": "soon"}), "logs.s3.since"),
    ],
)
def test_what_loki_would_refuse_is_refused_before(config: dict[str, Any], message: str) -> None:
    assert message in refusal(config)


# What it shows.


@pytest.mark.parametrize(
    ("labels", "presence"),
    [
        ({"user": "version-0123456789ab", "limit_name": "max_concurrent_tail_requests"}, False),
        ({"user": "fake", "rule_group": "/loki/rules/fake/logs.yml;version-0123456789ab"}, False),
        ({"user": "fake", "rule_group": "/loki/rules/fake/logs.yml;logs"}, True),
        ({"tenant": "fake"}, True),
        ({"__name__": "loki_request_message_bytes_bucket", "le": "1"}, False),
        ({"__name__": "loki_request_duration_seconds_bucket", "le": "1"}, True),
    ],
)
def test_what_nobody_asks_about_is_not_kept_of_lokis_page(labels: dict[str, str], *, presence: bool) -> None:
    assert (relabelled(labels, loki.metric_relabel_configs()) is not None) == presence


def test_an_external_label_is_no_template_of_a_log_alert() -> None:
    """Loki 3.7 refused the whole file for the first one; of these rules its alerts carry the very text. A stack file may not
    say it in the first place."""
    owner = "a$b c{{ $labels.x }}d{{{"
    settings = settings_of().model_copy(update={"metrics": Metrics(external_labels={"owner": owner})})
    for group in read(config_of("loki", settings), loki.RULES)["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["owner"] == 'a$b c{{ "{{" }} $labels.x }}d{{ "{{" }}{'


def test_log_alerts_carry_what_prometheus_adds_to_its_own_and_link_to_their_pages() -> None:
    settings = settings_of({"environment": "prod", "metrics": {"external_labels": {"region": "eu"}}})
    groups = read(config_of("loki", settings), loki.RULES)["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    assert len(alerts) >= 3
    for alert in alerts:
        assert alert["labels"].items() >= {"environment": "prod", "region": "eu", "severity": "warning"}.items()
        assert alert["annotations"]["runbook_url"].endswith(f"/runbooks/{alert['alert']}.md")
