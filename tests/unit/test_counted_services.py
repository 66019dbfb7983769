"""`metrics.golden_signals`: services that are counted by metrics of their own names. tests/rules has Prometheus read them."""

from typing import Any

import pytest
import re2
import yaml

from config.alerts import EVERYTHING, golden_signals, render, response_times
from tests.support.program import PROJECT, refusal, settings_of

KEY = f"Pulumi.test.yaml: {PROJECT}:metrics.golden_signals"


def config(*services: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": {"golden_signals": list(services)}}


def recorded(*services: dict[str, Any]) -> dict[str, str]:
    """Series → the expression that records it."""
    files = render(settings_of(config(*services)), EVERYTHING)
    texts = (files["rules/applications.yml"], files["rules/response-times.yml"])
    rules = [rule for text in texts for rule in yaml.safe_load(text)["groups"][0]["rules"]]
    return {rule["record"]: rule["expr"] for rule in rules if "record" in rule}


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("jobs_total", "jobs_total"),
        ("jobs_total{}", "jobs_total"),
        ('jobs_total{result="error"}', 'jobs_total{result="error"}'),
        (' jobs_total { result != "ok" , queue =~ "a|b" , } ', 'jobs_total{result!="ok",queue=~"a|b"}'),
        ('jobs_total{route="/orders/{id}[5m] or (x), a=b"}', 'jobs_total{route="/orders/{id}[5m] or (x), a=b"}'),
        ('jobs_total{result=""}', 'jobs_total{result=""}'),
        ("job_seconds_count", "job_seconds_count"),
        ("summary_total", "summary_total"),
    ],
)
def test_a_counter_is_a_selector_of_one_metric(text: str, selector: str) -> None:
    settings = settings_of(config({"service": "billing", "requests": text}))
    assert settings.metrics.golden_signals[0].requests == selector


BAD_SELECTORS = {
    "nothing": ("", "is not a name of a metric"),
    "no name": ('{result="error"}', "is not a name of a metric"),
    "a name with a dash": ("jobs-total", "is not a name of a metric"),
    "a name with a dot": ("jobs.total", "is not a name of a metric"),
    "a name that begins with a digit": ("1jobs_total", "is not a name of a metric"),
    "two words": ("jobs total", "is not a name of a metric"),
    "a recorded series": ("service:requests:rate5m", "is a recorded series"),
    "a query": ("sum(rate(jobs_total[5m]))", "is a query"),
    "a sum": ("jobs_total + mails_total", "is a query"),
    "two metrics": ("jobs_total or mails_total", "is a query"),
    "an end of the rule": ('jobs_total{a="b"}) or vector(1', "is a query"),
    "an offset": ("jobs_total offset 5m", "is a query"),
    "a time span": ("jobs_total[5m]", "has a time span in [ ]: leave it out"),
    "a time span behind braces": ('jobs_total{result="error"}[5m]', "has a time span in [ ]: leave it out"),
    "a brace that does not close": ('jobs_total{result="error"', "has braces"),
    "a brace that does not open": ('jobs_total result="error"}', "has braces"),
    "braces twice": ('jobs_total{a="b"}{c="d"}', "has braces"),
    "something behind the braces": ('jobs_total{a="b"} x', "has braces"),
    "a quote that does not close": ('jobs_total{result="error}', "has a double quote that does not close"),
    "single quotes": ("jobs_total{result='error'}", "has a single quote or a backtick"),
    "backticks": ("jobs_total{result=`error`}", "has a single quote or a backtick"),
    "no quotes": ("jobs_total{result=error}", "has something else in its braces"),
    "no value": ("jobs_total{result}", "has something else in its braces"),
    "no comma": ('jobs_total{a="b" c="d"}', "has something else in its braces"),
    "a comma alone": ("jobs_total{,}", "has something else in its braces"),
    "an operator of another language": ('jobs_total{a=="b"}', "has something else in its braces"),
    "an escape": (r'jobs_total{a="b\"c"}', "has a backslash"),
    "an escape in a pattern": (
        r'jobs_total{a=~"5\\.."}',
        "has a backslash: in a regular expression write [.] for a dot",
    ),
    "the job": ('jobs_total{job="application"}', "asks for the label job: leave it out, the stack sets it"),
    "the service": (
        'jobs_total{service="billing"}',
        "asks for the label service: leave it out, the key `service` says it",
    ),
    "the bound": ('jobs_total{le="1"}', "asks for the label le"),
    "the name as a label": ('jobs_total{__name__=~"a|b"}', "asks for the label __name__"),
    "no pattern": ('jobs_total{code=~"5("}', "has a regular expression behind ~ that is not a regular expression"),
    "a pattern that looks ahead": ('jobs_total{code!~"(?!5).."}', "has a regular expression behind ~ that"),
    "a possessive pattern": ('jobs_total{code=~"5++"}', "has a regular expression behind ~ that"),
    "a pattern that repeats much": ('jobs_total{code=~"5{1001}"}', "has a regular expression behind ~ that"),
    "a template": ('jobs_total{a="{{ x }}"}', "has {{"),
    "a line break": ("jobs_total\n  or mails_total", "has a line break"),
}


@pytest.mark.parametrize("bad", BAD_SELECTORS)
@pytest.mark.parametrize("key", ["requests", "errors", "duration"])
def test_what_is_no_selector_is_refused_with_its_key(key: str, bad: str) -> None:
    text, message = BAD_SELECTORS[bad]
    error = refusal(config({"service": "billing", "requests": "jobs_total", key: text}))
    assert error.startswith(f"{KEY}.0.{key}: {message}")
    assert "\n" not in error


@pytest.mark.parametrize(
    ("key", "metric", "message"),
    [
        ("requests", "job_seconds_bucket", "ends in _bucket, which does not count requests"),
        ("errors", 'job_seconds_sum{result="error"}', "ends in _sum, which does not count requests"),
        ("duration", "job_seconds_bucket", "ends in _bucket, which is a part of a histogram: leave that out"),
        ("duration", "job_seconds_count", "ends in _count, which is a part of a histogram: leave that out"),
        ("duration", 'job_seconds_sum{queue="a"}', "ends in _sum, which is a part of a histogram: leave that out"),
    ],
)
def test_a_part_of_a_histogram_is_refused_where_another_is_meant(key: str, metric: str, message: str) -> None:
    error = refusal(config({"service": "billing", "requests": "jobs_total", key: metric}))
    assert error.startswith(f"{KEY}.0.{key}: {message}")


@pytest.mark.parametrize("service", ["", "a b", 'x"} or vector(1)', "{billing}", "-billing", "bill|ing", ".*"])
def test_what_is_no_service_is_refused(service: str) -> None:
    error = refusal(
        config({"service": "mail", "requests": "mails_total"}, {"service": service, "requests": "jobs_total"})
    )
    assert error.startswith(f"{KEY}.1.service: ")


def test_a_service_is_counted_in_one_entry() -> None:
    twice = [{"service": "billing", "requests": metric} for metric in ("jobs_total", "mails_total")]
    assert refusal(config(*twice)).startswith(f"{KEY}: billing occurs twice: ")


@pytest.mark.parametrize("missing", ["service", "requests"])
def test_an_entry_says_which_service_and_what_counts_it(missing: str) -> None:
    entry = {"service": "billing", "requests": "jobs_total"}
    del entry[missing]
    assert refusal(config(entry)).startswith(f"{KEY}.0.{missing}: ")


def test_an_unknown_key_is_refused_with_the_one_that_was_meant() -> None:
    entry = {"service": "billing", "requests": "jobs_total", "error": "jobs_failed_total"}
    assert "metrics.golden_signals.0.error: unknown key; did you mean errors?" in refusal(config(entry))


def test_other_services_keep_their_sources_and_the_counted_one_has_no_other() -> None:
    usual, own = recorded(), recorded({"service": "billing", "requests": "jobs_total", "duration": "job_seconds"})
    assert usual.keys() == own.keys()
    for series in (golden_signals.REQUESTS, golden_signals.ERRORS, golden_signals.ACTIVE, response_times.BUCKETS):
        selectors = re2.findall(r'\{job="[^}]*\}', own[series])
        mine = [selector for selector in selectors if 'service="billing"' in selector]
        assert all('service!="billing"' in selector for selector in selectors if selector not in mine)
        assert len(selectors) - len(mine) == len(re2.findall(r'\{job="[^}]*\}', usual[series]))


def test_the_error_rate_is_unknown_and_not_zero_where_no_errors_are_counted() -> None:
    counted = {"service": "mail", "requests": "mails_total"}
    zero = f'or {golden_signals.REQUESTS}{{service!="mail"}} * 0'
    assert zero in recorded(counted)[golden_signals.ERRORS]
    assert zero not in recorded({**counted, "errors": "mails_failed_total"})[golden_signals.ERRORS]
