"""The policies on retention and on the disk."""

from collections.abc import Iterable
from typing import Any

import pytest

from policies.readers import declared_resources as declared
from policies.readers import retention_settings
from tests.policy.pack_host import UNKNOWN, Resource, ask

JAEGER = "service: {{pipelines: {{}}}}\nextensions: {{jaeger_storage: {{backends: {{traces: {}}}}}}}"


def carries(*texts: str) -> Resource:
    """A container that gets files."""
    uploads = [{"file": f"/etc/{number}.yml", "content": text} for number, text in enumerate(texts)]
    return Resource({"mustRun": False, "uploads": uploads}, "loader")


def runs(*command: str, **more: Any) -> Resource:
    """A service with a command line."""
    return Resource({"command": command, **more}, more.get("name", "app"))


def metrics(**bounds: str) -> str:
    """Prometheus' file."""
    return f"scrape_configs: []\nstorage: {{tsdb: {{retention: {bounds}}}}}"


def logs(period: str, more: str = "", *, enabled: bool = True) -> str:
    """Loki's file."""
    return (
        f"compactor: {{retention_enabled: {str(enabled).lower()}}}\nlimits_config: {{retention_period: {period}{more}}}"
    )


def traces(backend: str) -> str:
    """Jaeger's file."""
    return JAEGER.format(backend)


@pytest.mark.parametrize(
    ("span", "days"),
    [("30d", 30), ("1y", 365), ("2w", 14), ("744h", 31), ("168h0m0s", 7), ("0s", 0)],
)
def test_a_duration_is_read_as_its_service_spells_it(span: str, days: float) -> None:
    assert retention_settings.days_of(span) == days


@pytest.mark.parametrize(("size", "gib"), [("45GB", 45), ("512MB", 0.5), ("1TiB", 1024), (1073741824, 1), ("0", 0)])
def test_a_size_is_read_as_its_service_spells_it(size: Any, gib: float) -> None:
    assert retention_settings.gib_of(size) == gib


@pytest.mark.parametrize("wrong", ["long", "", "10 parsecs"])
def test_a_text_that_is_neither_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        retention_settings.days_of(wrong)
    with pytest.raises(ValueError, match="is not a"):
        retention_settings.gib_of(wrong)


PASSES = [
    pytest.param([], id="nothing"),
    pytest.param([carries(metrics(time="60d", size="45GB"))], id="metrics"),
    pytest.param([carries(metrics(size="45GB"))], id="metrics by their size alone"),
    pytest.param([runs("--storage.tsdb.retention.time=60d")], id="metrics by a flag"),
    pytest.param([carries(logs("30d"))], id="logs"),
    pytest.param([carries(logs("30d", ", retention_stream: [{selector: '{a=\"b\"}', period: 1d}]"))], id="a part of them shorter"),
    pytest.param([carries(traces("{badger: {ttl: {spans: 168h0m0s}}}"))], id="traces in Badger"),
    pytest.param([carries(traces("{badger: {}}"))], id="traces in Badger by default"),
    pytest.param(
        [carries(traces("{elasticsearch: {server_urls: ['http://e:9200']}}")), runs("es-index-cleaner", "8", "http://e:9200")],
        id="traces in Elasticsearch",
    ),
]  # fmt: skip


@pytest.mark.parametrize("resources", PASSES)
def test_retention_within_the_bounds_passes(resources: Iterable[Resource]) -> None:
    assert ask("retention-bounds", resources) == []


REFUSED = [
    pytest.param([carries(metrics(time="29d"))], "/etc/0.yml: metrics are kept 29 days, but at least 30", id="short"),
    pytest.param([carries(metrics(time="401d"))], "401 days, but at most 400 are allowed in prod", id="long"),
    pytest.param([runs("--storage.tsdb.retention.time=7d")], "container app: metrics are kept 7 days", id="flag"),
    pytest.param([carries(metrics(time="0s"))], "metrics are kept 0 days", id="no time"),
    pytest.param([carries(metrics(time="soon"))], "'soon' is not a duration", id="not a duration"),
    pytest.param([carries(logs("13d"))], "logs are kept 13 days, but at least 14", id="logs, short"),
    pytest.param([carries(logs("91d"))], "logs are kept 91 days, but at most 90", id="logs, long"),
    pytest.param([carries(logs("0s"))], "logs are kept for ever", id="logs, never deleted"),
    pytest.param([carries(logs("30d", enabled=False))], "without compactor.retention_enabled): logs are", id="off"),
    pytest.param(
        [carries(logs("30d", ", retention_stream: [{selector: '{a=\"b\"}', period: 1y}]"))],
        '{a="b"}: logs are kept 365 days',
        id="a part of them longer",
    ),
    pytest.param([carries("overrides: {fake: {retention_period: 1d}}")], "fake: logs are kept 1 days", id="overrides"),
    pytest.param([carries(traces("{badger: {ttl: {spans: 24h}}}"))], "traces are kept 1 days", id="traces, short"),
    pytest.param(
        [carries(traces("{badger: {ttl: {spans: 0s}}}"))], "traces are kept for ever", id="traces, never deleted"
    ),
    pytest.param(
        [carries(traces("{opensearch: {server_urls: ['http://o:9200']}}"))],
        "(no jaeger-es-index-cleaner deletes): traces are kept for ever",
        id="never deleted",
    ),
    pytest.param([runs("es-index-cleaner", "60", "http://e:9200")], "traces are kept 59 days", id="cleaned late"),
    pytest.param([Resource({"uploads": UNKNOWN})], "container app: uploads is not known before", id="unknown files"),
    pytest.param([carries("a: [")], "/etc/0.yml is not YAML", id="broken"),
    pytest.param([carries("scrape_configs: []\nstorage: [a]")], "container loader: ", id="not a config of Prometheus"),
]


@pytest.mark.parametrize(("resources", "says"), REFUSED)
def test_retention_outside_the_bounds_is_refused(resources: Iterable[Resource], says: str) -> None:
    [violation] = ask("retention-bounds", resources)
    assert says in violation


def test_the_environment_sets_the_bounds() -> None:
    [short] = [[carries(metrics(time="2h"), logs("1d"))]]
    assert ask("retention-bounds", short, stack="dev") == []
    assert len(ask("retention-bounds", short, stack="prod")) == 2
    assert len(ask("retention-bounds", short, stack="prod-eu")) == 2
    assert len(ask("retention-bounds", short, stack="dev", config={"environment": "production"})) == 2


def test_the_config_sets_the_bounds() -> None:
    config = {"days": {"dev": {"metrics": [0, 10]}, "*": {"metrics": [0, 20]}}}
    resources = [carries(metrics(time="15d"), logs("1y"))]
    assert ask("retention-bounds", resources, config=config) == []
    [violation] = ask("retention-bounds", resources, config=config, stack="dev")
    assert "at most 10 are allowed in dev" in violation


QUEUE = "service: {pipelines: {}}\nexporters: {otlp: {sending_queue: {storage: file, sizer: bytes, queue_size: 107374182400}}}"


def budget(gib: int) -> Resource:
    """A stack with its own disk budget."""
    return Resource({"disk_budget_mib": gib * 1024}, "project-stack", declared.STACK)


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([carries(metrics(time="60d", size="100GB"))], None, id="metrics"),
        pytest.param([carries(metrics(time="60d", size="151GB"))], "the stack would keep 151 GiB (metrics 151)", id="too many"),
        pytest.param([carries(metrics(time="60d"))], "the size of the metrics is unlimited", id="without a size"),
        pytest.param([runs("--storage.tsdb.retention.size=151GB")], "would keep 151 GiB", id="by a flag"),
        pytest.param([carries(logs("150d"))], None, id="logs"),
        pytest.param([carries(logs("151d"))], "(logs of 151 days 151)", id="too many logs"),
        pytest.param(
            [carries(logs("365d") + "\nschema_config: {configs: [{object_store: filesystem}, {object_store: s3}]}")],
            None,
            id="logs elsewhere",
        ),
        pytest.param([carries(traces("{badger: {ttl: {spans: 80d}}}"))], "traces of 80 days 160", id="too many traces"),
        pytest.param(
            [carries(traces("{elasticsearch: {server_urls: ['http://far:9200']}}")), runs("es-index-cleaner", "99", "x ")],
            None,
            id="traces in another Elasticsearch",
        ),
        pytest.param(
            [
                carries(traces("{elasticsearch: {server_urls: ['http://near:9200']}}")),
                runs("es-index-cleaner", "99", "x "),
                runs(name="near"),
            ],
            "traces of 98 days 196",
            id="traces in the stack's own",
        ),
        pytest.param([carries(QUEUE), carries(QUEUE)], None, id="one queue, in two containers"),
        pytest.param([carries(QUEUE, metrics(size="51GB"))], "the stack would keep 151 GiB (queue of otlp 100", id="queue"),
        pytest.param(
            [runs(name=name, logDriver="json-file", logOpts={"max-size": "40g", "max-file": "2"}) for name in "ab"],
            "the containers' own logs 160",
            id="logs of containers",
        ),
        pytest.param([carries(metrics(size="99GB")), budget(100)], None, id="within the stack's own budget"),
        pytest.param([carries(metrics(size="99GB")), budget(98)], "the stack's disk budget is 98 GiB", id="beyond it"),
        pytest.param([carries(metrics(size="151GB")), budget(400)], "of the disk of 200 GiB", id="a budget beyond the disk"),
        pytest.param([carries(metrics(size="151GB")), budget(98)], "of the disk of 200 GiB", id="beyond both, reported once"),
        pytest.param([Resource({"uploads": UNKNOWN})], "uploads is not known", id="unknown files"),
        pytest.param([Resource({"logDriver": UNKNOWN})], "logDriver is not known", id="unknown log"),
    ],
)  # fmt: skip
def test_the_data_fits_the_disk(resources: Iterable[Resource], says: str | None) -> None:
    messages = ask("disk-budget", resources)
    assert len(messages) == (says is not None), messages
    assert says is None or says in messages[0]


@pytest.mark.parametrize(
    ("config", "fits"),
    [
        ({}, True),
        ({"disk_gib": 100.0}, False),
        ({"fill_percent": 50.0}, False),
        ({"logs_gib_per_day": 5.0}, False),
        ({"traces_gib_per_day": 10.0}, False),
        ({"disk_gib": 1000.0, "logs_gib_per_day": 5.0}, True),
    ],
)
def test_the_config_sets_the_disk_and_the_daily_amounts(config: dict[str, Any], *, fits: bool) -> None:
    resources = [carries(metrics(size="60GB"), logs("30d"), traces("{badger: {ttl: {spans: 7d}}}"))]
    assert (ask("disk-budget", resources, config=config) == []) is fits
