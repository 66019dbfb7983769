"""The collector's file: what goes which way, and how much of it."""

import json
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest
import re2
import yaml

from config import masking
from config.services.traces import otel_collector
from config.settings.logs import Level
from tests.support.program import settings_of
from tests.support.secret_lines import WITH_SECRETS, WITHOUT_SECRETS, clear_text, secrets


def main_file(config: dict[str, Any] | None = None) -> dict[str, Any]:
    return otel_collector.main_file(settings_of(config))


def delivered(config: dict[str, Any] | None = None) -> dict[str, Any]:
    """The file as the collector reads it, before it replaces variables."""
    files = otel_collector.container(settings_of(config)).config
    assert files is not None
    document: dict[str, Any] = yaml.safe_load(files.files["collector.yml"])
    return document


def test_every_part_is_in_a_pipeline_and_every_pipeline_has_its_parts() -> None:
    main = main_file()
    for kind in ("receivers", "processors", "exporters"):
        used = {part for pipeline in main["service"]["pipelines"].values() for part in pipeline.get(kind, [])}
        assert used - main["connectors"].keys() == main[kind].keys()
    for connector in main["connectors"]:
        pipelines = main["service"]["pipelines"].values()
        assert any(connector in pipeline["exporters"] for pipeline in pipelines)
        assert any(connector in pipeline["receivers"] for pipeline in pipelines)


def test_what_comes_in_is_bounded_first_and_masked_before_anything_sees_it() -> None:
    for pipeline in main_file()["service"]["pipelines"].values():
        if "otlp" in pipeline["receivers"]:
            first, second, *more = pipeline["processors"]
            assert (first, second) == ("memory_limiter", "transform/received")
            assert set(more) <= {"transform/senders"}
            assert pipeline["exporters"] == ["forward/received"]
        if "forward/received" in pipeline["receivers"]:
            assert pipeline["exporters"] == ["forward/masked"]
            assert pipeline["processors"][0] in ("filter/suspect", "filter/owned", "filter/unsuspected")


def test_logs_get_a_level_by_their_number_or_else_by_their_text() -> None:
    [labels] = main_file()["processors"]["transform/labels"]["log_statements"]
    statements = labels["statements"]
    [number] = [text for text in statements if '"warn") where log.severity_number' in text and "IsMatch" not in text]
    assert number.endswith("log.severity_number >= 13 and log.severity_number <= 16")
    [text] = [text for text in statements if '"warn") where' in text and "IsMatch" in text]
    assert re.search(r'IsMatch\(log.severity_text, "\^\(\?i:.*\bwarning\b', text)
    assert {level for level in get_args(Level) if any(f'"level"], "{level}")' in text for text in statements)} == {
        *get_args(Level)
    }


def test_spans_are_counted_before_sampling_and_exemplars_come_from_after_it() -> None:
    main = main_file()
    pipelines, connectors = main["service"]["pipelines"], main["connectors"]
    [before] = [p for p in pipelines.values() if "span_metrics" in p["exporters"]]
    [after] = [p for p in pipelines.values() if "span_metrics/kept" in p["exporters"]]
    assert "tail_sampling" not in before["processors"]
    assert after["processors"][0] == "tail_sampling"
    assert "exemplars" not in connectors["span_metrics"]
    assert connectors["span_metrics/kept"]["exemplars"]["enabled"]


def test_what_is_stored_says_its_service_where_links_find_it_and_nothing_is_counted_by_it() -> None:
    main = main_file()
    pipelines = main["service"]["pipelines"].values()
    for pipeline in pipelines:
        assert ("transform/named" in pipeline.get("processors", [])) == ("otlp_grpc/jaeger" in pipeline["exporters"])
        if "transform/named" in pipeline.get("processors", []):
            assert pipeline["processors"][-1] == "transform/named"  # after the cuts, which would drop it among many
    resource, span = main["processors"]["transform/named"]["trace_statements"]
    name = 'resource.attributes["service.name"]'
    assert resource["statements"] == [f'set(resource.attributes["observability.service"], {name})']
    assert span["statements"] == ['delete_key(span.attributes, "observability.service")']
    [labels] = main["processors"]["transform/labels"]["log_statements"]
    assert f'set(resource.attributes["service"], {name})' in labels["statements"]


def test_exemplars_stay_for_two_scrapes() -> None:
    connectors = main_file({"metrics": {"scrape_interval": "30s"}})["connectors"]
    assert connectors["span_metrics"]["metrics_flush_interval"] == "30s"
    assert connectors["span_metrics/kept"]["metrics_flush_interval"] == "1m0s"


@pytest.mark.parametrize(("limit", "hard", "spike", "traces"), [("1GiB", 819, 204, 20_480), ("256MiB", 204, 51, 5_120)])
def test_what_is_held_in_memory_follows_the_containers_limit(limit: str, hard: int, spike: int, traces: int) -> None:
    processors = main_file({"memory": {"otel_collector": limit}})["processors"]
    limiter = processors["memory_limiter"]
    assert (limiter["limit_mib"], limiter["spike_limit_mib"]) == (hard, spike)
    assert processors["tail_sampling"]["num_traces"] == traces
    assert processors["tail_sampling"]["decision_cache"]["sampled_cache_size"] >= 5 * traces


def test_what_jaeger_cannot_take_waits_on_disk_without_end() -> None:
    exporter = main_file({"traces": {"queue": "2GiB"}})["exporters"]["otlp_grpc/jaeger"]
    assert exporter["sending_queue"]["storage"] == "file_storage"
    assert (exporter["sending_queue"]["sizer"], exporter["sending_queue"]["queue_size"]) == ("bytes", 2 * 2**30)
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_dollars_are_doubled_for_they_name_variables() -> None:
    blocked = delivered({"logs": {"mask": {"order": r"order=(\w+)$"}}})["processors"]["redaction"]["blocked_values"]
    assert blocked[-1] == r"order=(\w+)$$"


def test_the_running_collector_tells_its_files_by_a_digest_of_them() -> None:
    one, other = (
        otel_collector.container(settings_of({"traces": {"sampling": {"rest": rest}}})).config for rest in (10, 20)
    )
    assert one is not None
    assert other is not None
    [text] = one.expect.values()
    version = text.removeprefix('config_version="').removesuffix('"')
    assert {"name": "config.version", "value": version} in delivered()["service"]["telemetry"]["resource"]["attributes"]
    assert one.expect != other.expect


FORMS: dict[str, Callable[[str], str]] = {
    "text": str,
    "list": lambda text: json.dumps(["a", text], ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps({"message": json.dumps({"text": text})}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("marked", WITH_SECRETS)
def test_secrets_and_personal_data_in_values_are_masked(marked: str, form: Callable[[str], str]) -> None:
    """As the redaction processor does it, which looks at lists and maps as JSON. Cards are `transform/unmasked`'s business."""
    text = form(clear_text(marked))
    for pattern in masking.VALUES:
        text = re2.sub(pattern, "****", text)
    of_cards = [secret for secret in secrets(marked) if secret.strip("0123456789. ") == ""]
    assert not [secret for secret in secrets(marked) if secret not in of_cards and secret in text]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("text", WITHOUT_SECRETS)
def test_what_is_no_secret_is_left_as_it_is(text: str, form: Callable[[str], str]) -> None:
    text = form(text)
    for pattern in masking.VALUES:
        assert re2.sub(pattern, "****", text) == text


@pytest.mark.parametrize(
    ("key", "is_secret"),
    [
        ("password", True),
        ("db.password", True),
        ("http.request.header.authorization", True),
        ("http.request.header.set-cookie", True),
        ("X-API-Key", True),
        ("session_id", True),
        ("accessToken", True),
        ("aws.secret_access_key", True),
        ("userPassword", True),
        ("passphrase", True),
        ("db.pass", True),
        ("gen_ai.usage.input_tokens", False),
        ("token_count", False),
        ("service.name", False),
    ],
)
def test_attributes_are_masked_by_their_name(key: str, *, is_secret: bool) -> None:
    assert any(re2.search(pattern, key) for pattern in masking.KEYS) == is_secret
