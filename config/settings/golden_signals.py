"""Settings of services whose requests are counted by metrics of their own names."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from config.settings import expressions
from config.settings.model import Model, ServiceName

_LIKE = 'like jobs_total or jobs_total{result="error"}'
_NAME = "[a-zA-Z_][a-zA-Z0-9_]*"
_VALUE = re.compile(r'"[^"]*"')
_MATCHER = re.compile(rf'({_NAME})\s*(=~|!~|!=|=)\s*"([^"]*)"')
_MATCHERS = re.compile(rf"\s*(?:{_MATCHER.pattern}\s*(?:,\s*|$))*")

_FAULTS = (
    (r"['`]", f"has a single quote or a backtick: write values in double quotes, {_LIKE}"),
    (r'"', f"has a double quote that does not close: write it {_LIKE}"),
    (
        r"[()*/+<>]|\s(?:or|and|unless|offset)\s",
        f"is a query: name one metric, {_LIKE}; its rate and sum are made here",
    ),
    (r"\[", f"has a time span in [ ]: leave it out, {_LIKE}; the rate over five minutes is made here"),
    (r"^[^{]*:", "is a recorded series: name the metric that your service serves"),
    (r"[{}]", f"has braces that enclose no matchers at its end: write it {_LIKE}"),
    (rf"^(?!{_NAME}$)", f"is not a name of a metric: write it {_LIKE}"),
)
"""What may be left of a selector without its values and its braces → what it says of it. The first that is found counts."""

_TAKEN = {
    "job": "the stack sets it",
    "service": "the key `service` says it",
    "le": "all buckets count",
    "__name__": "the name stands before the braces",
}
"""Label → why no selector may ask for it."""


def _selector(text: str) -> str:
    """PromQL's selector of one metric, without blanks. It is judged here and not by a parser of PromQL, which would take whole
    queries, and would not say what to write instead.

    Raises:
        ValueError: `text` is anything else.
    """
    if fault := next(_faults(text), ""):
        raise ValueError(fault)
    metric, _, matchers = text.partition("{")
    labels = ",".join(f'{label}{sign}"{value}"' for label, sign, value in _MATCHER.findall(matchers))
    return f"{metric.strip()}{{{labels}}}" if labels else metric.strip()


def _faults(text: str) -> Iterator[str]:
    if "\\" in text:
        yield "has a backslash: in a regular expression write [.] for a dot"
    bare = re.sub(r"\s*\{[^{}\"'`]*\}$", "", _VALUE.sub("", text))
    yield from (what for pattern, what in _FAULTS if re.search(pattern, bare))
    matchers = text.partition("{")[2].removesuffix("}")
    if not _MATCHERS.fullmatch(matchers):
        yield f'has something else in its braces than label="value", separated by commas: write it {_LIKE}'
    for label, sign, value in _MATCHER.findall(matchers):
        if label in _TAKEN:
            yield f"asks for the label {label}: leave it out, {_TAKEN[label]}"
        if "~" in sign:
            yield from _faults_of_pattern(value)


def _faults_of_pattern(pattern: str) -> Iterator[str]:
    if fault := expressions.fault(pattern):
        yield f"has a regular expression behind ~ that {fault}"


def _selector_without(ends: str, why: str, text: str) -> str:
    """`_selector` of a metric whose name has none of these ends. `why` one is refused."""
    selector = _selector(text)
    if end := re.match(rf"\w+({ends})\b", selector):
        msg = f"ends in {end[1]}, which {why}"
        raise ValueError(msg)
    return selector


_counter = partial(
    _selector_without,
    "_bucket|_sum",
    "does not count requests: name the counter, of a histogram the one that ends in _count",
)
_histogram = partial(_selector_without, "_bucket|_count|_sum", "is a part of a histogram: leave that out")


CounterSelector = Annotated[str, AfterValidator(_counter)]
"""``jobs_total``, ``jobs_total{result="error"}``: PromQL without rate and sum."""
HistogramSelector = Annotated[str, AfterValidator(_histogram)]
"""``job_seconds``, without ``_bucket``."""


class CountedService(Model):
    """A service whose metrics have names of its own. It is counted by these metrics only, whatever else it serves or sends.
    Each names one metric, with matchers for other labels than `service` and `job`."""

    service: ServiceName
    requests: CounterSelector
    """Counter of all requests, e.g. `jobs_total`."""
    errors: CounterSelector | None = None
    """Counter of those that failed, e.g. `jobs_total{result="error"}`. Without it the error rate is unknown."""
    duration: HistogramSelector | None = None
    """Histogram in seconds, classic or native, e.g. `job_seconds`."""
