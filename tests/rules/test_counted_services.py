"""Services that the settings count (`metrics.golden_signals`), as Prometheus reads and judges them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from config.alerts import EVERYTHING, render
from config.alerts.golden_signals import ERROR_RATIO, REQUESTS
from config.alerts.response_times import quantile
from config.settings import Settings
from tests.rules.run import complaints, unmet, write
from tests.support.program import settings_of
from toolchain import images

OF_BILLING = 'instance="billing:8000",service="billing"'
ERRORS_HIGH = 'max by (service) (ALERTS{alertname="ApplicationErrorsHigh",alertstate="firing"})'
BILLING = {
    "service": "billing",
    "requests": "jobs_total",
    "errors": 'jobs_total{result=~"error|timeout"}',
    "duration": "job_seconds",
}


def counted(*services: Mapping[str, Any]) -> Settings:
    return settings_of({"metrics": {"golden_signals": list(services)}})


def series(name: str, labels: str, a_minute: float, *, job: str = "application") -> dict[str, str]:
    return {"series": f'{name}{{job="{job}",{labels}}}', "values": f"0+{a_minute:g}x20"}


def jobs(*, failed: float, labels: str = OF_BILLING) -> list[dict[str, str]]:
    """600 jobs a minute."""
    return [
        series("jobs_total", f'{labels},result="ok"', 600 - failed),
        series("jobs_total", f'{labels},result="timeout"', failed),
    ]


def buckets(labels: str = OF_BILLING) -> list[dict[str, str]]:
    """600 jobs a minute: half of them within a second, all of them within two."""
    bounds = {"1.0": 300, "2.0": 600, "+Inf": 600}
    return [series("job_seconds_bucket", f'{labels},le="{bound}"', number) for bound, number in bounds.items()]


def value(number: float, source: str = "settings", service: str = "billing") -> dict[str, object]:
    return {"labels": f'{{service="{service}", source="{source}"}}', "value": number}


def samples(series: str) -> str:
    """An expression: the series without its name."""
    return f"{series} + 0"


FIRING = [{"labels": '{service="billing"}', "value": 1}]
HTTP = series("http_requests_total", f'{OF_BILLING},status="500"', 60)
SPANS = series(
    "traces_span_metrics_calls_total",
    'service="billing",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"',
    60,
    job="spans",
)
NATIVE = {
    "series": f'job_seconds{{job="application",{OF_BILLING}}}',
    "values": "{{schema:0 sum:0 count:0 buckets:[0 0]}}+{{schema:0 sum:900 count:600 buckets:[300 300]}}x20",
}
CASES: dict[str, tuple[Sequence[Mapping[str, Any]], list[dict[str, str]], Mapping[str, list[dict[str, object]]]]] = {
    "a tenth fails": (
        [BILLING],
        jobs(failed=60),
        {samples(REQUESTS): [value(10)], samples(ERROR_RATIO): [value(0.1)], ERRORS_HIGH: FIRING},
    ),
    "one in a hundred fails": ([BILLING], jobs(failed=6), {samples(ERROR_RATIO): [value(0.01)], ERRORS_HIGH: []}),
    "none has ever failed": (
        [BILLING],
        [series("jobs_total", f'{OF_BILLING},result="ok"', 600)],
        {samples(ERROR_RATIO): [value(0)], ERRORS_HIGH: []},
    ),
    "nothing tells of errors": (
        [{"service": "billing", "requests": "jobs_total"}],
        [*jobs(failed=600), *buckets()],
        {samples(REQUESTS): [value(10)], ERROR_RATIO: [], quantile(95): [], ERRORS_HIGH: []},
    ),
    "a library and spans count too": (
        [BILLING],
        [*jobs(failed=0), HTTP, SPANS],
        {samples(REQUESTS): [value(10)], samples(ERROR_RATIO): [value(0)], ERRORS_HIGH: []},
    ),
    "a library counts, and the metrics of the settings are not there": (
        [BILLING],
        [HTTP, SPANS],
        {REQUESTS: [], ERROR_RATIO: [], ERRORS_HIGH: []},
    ),
    "by OTLP": (
        [BILLING],
        [series("jobs_total", f'{OF_BILLING},result="error"', 600, job="otlp")],
        {samples(REQUESTS): [value(10, "settings, by OTLP")], ERRORS_HIGH: FIRING},
    ),
    "scraped, and by OTLP too": (
        [BILLING],
        [*jobs(failed=0), series("jobs_total", f'{OF_BILLING},result="error"', 600, job="otlp")],
        {samples(REQUESTS): [value(10)], ERRORS_HIGH: []},
    ),
    "another job's series": ([BILLING], [series("jobs_total", OF_BILLING, 600, job="haproxy")], {REQUESTS: []}),
    "a classic histogram": ([BILLING], [*jobs(failed=0), *buckets()], {samples(quantile(95)): [value(1.9)]}),
    "a classic histogram in milliseconds": (
        [BILLING | {"duration": "job_milliseconds"}],
        [
            *jobs(failed=0),
            *(
                series("job_milliseconds_bucket", f'{OF_BILLING},le="{bound}"', number)
                for bound, number in {"1000.0": 300, "2000.0": 600, "+Inf": 600}.items()
            ),
        ],
        {samples(quantile(95)): [value(1.9)]},
    ),
    "a proxy in front counts too": (
        [BILLING],
        [
            *jobs(failed=0),
            series(
                "traefik_service_requests_total",
                'instance="traefik:8080",service="traefik",exported_service="billing@docker",code="500"',
                60,
            ),
        ],
        {samples(REQUESTS): [value(10)], ERRORS_HIGH: []},
    ),
    "a native histogram": ([BILLING], [*jobs(failed=0), NATIVE], {f"{quantile(95)} > bool 1": [value(1)]}),
    "a native histogram counts": (
        [BILLING | {"requests": "job_seconds_count", "errors": 'job_seconds_count{result="error"}'}],
        [NATIVE],
        {samples(REQUESTS): [value(10)], f"{quantile(95)} > bool 1": [value(1)]},
    ),
    "several instances": (
        [BILLING],
        [*jobs(failed=60), *jobs(failed=60, labels='instance="billing:8001",service="billing"')],
        {samples(REQUESTS): [value(20)], samples(ERROR_RATIO): [value(0.1)]},
    ),
    "two services by one metric, and a third by a library": (
        [BILLING, BILLING | {"service": "mail"}],
        [
            *jobs(failed=60),
            *jobs(failed=0, labels='instance="mail:8000",service="mail"'),
            *jobs(failed=0, labels='instance="shop:8000",service="shop"'),
            series("http_requests_total", 'instance="shop:8000",service="shop",status="200"', 60),
        ],
        {
            samples(REQUESTS): [value(10), value(10, service="mail"), value(1, "http_requests_total", "shop")],
            ERRORS_HIGH: FIRING,
        },
    ),
}
"""Name → what the settings count, series, and expression → its samples."""


@pytest.mark.parametrize("name", CASES)
def test_a_counted_service_has_golden_signals_and_alerts(tmp_path: Path, name: str) -> None:
    services, input_series, expected = CASES[name]
    assert not unmet(tmp_path, input_series, expected, counted(*services))


def test_prometheus_takes_what_the_settings_take(tmp_path: Path) -> None:
    matchers = ('a="b"', 'a!=""', 'a=~"5..|[.]+(?:x|y){2,3}"', 'a!~"(?i)ok"', 'a="{id}[5m], (x) # é"', 'a="b" , c="d",')
    services = [
        {"service": f"shop-{number}.a_b", "requests": f"jobs_total{{{one}}}", "duration": f"job_seconds{{{one}}}"}
        for number, one in enumerate(matchers)
    ]
    write(tmp_path, rendered := render(counted(*services), EVERYTHING))
    rules = [tmp_path / name for name in rendered]
    command: list[str | Path] = [images.binary("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *rules]
    assert not [*complaints(command, tmp_path)]
