"""Golden signals from pages that real libraries served, after 80 requests that were well and 20 that failed.

`pages/<library>.txt` is such a page, reduced to its metrics of requests. Its first line names the version and how the page
was made, its second line the source that counts it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from config.alerts import EVERYTHING, Thresholds, golden_signals, render
from config.alerts.request_sources import SOURCES
from config.alerts.rule import Job
from config.settings.logs import Logs
from config.settings.traces import Traces
from tests.rules.run import ADDRESSES, ROOT, complaints, write
from toolchain import images

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)$")
FAILED = re.compile(r'(?:status|code)="(?:5..|Internal|2)"|status_code="STATUS_CODE_ERROR"')


@dataclass(frozen=True)
class Page:
    text: str
    job: Job = Job.APPLICATION

    @property
    def source(self) -> str:
        """The source that counts it, as its second line says."""
        source = self.text.splitlines()[1].removeprefix("# source: ")
        return f"{source}, by OTLP" if self.job is Job.OTLP else source

    def series(self, service: str, *, well: bool) -> Iterator[dict[str, str]]:
        """As if each minute brought what the page tells. `well`: without what failed."""
        for sample in filter(None, map(SAMPLE.match, self.text.splitlines())):
            name, labels, value = sample.groups(default="")
            if not (well and FAILED.search(labels)):
                own = re.sub(r'(^|,)(job|service|instance)="', r'\1exported_\2="', labels.rstrip(","))
                every = ",".join(filter(None, (f'job="{self.job}",service="{service}"', own)))
                yield {"series": f"{name}{{{every}}}", "values": f"0+{float(value):g}x20"}


_JOBS = {"spans": Job.SPANS, "access-log": Job.ALLOY}
"""Page → the job that reads it, if it is not your own service's."""


def _pages() -> Iterator[tuple[str, Page]]:
    """Service → its page. What OpenTelemetry calls by its unit also comes by OTLP."""
    for path in sorted(Path(__file__).with_name("pages").glob("*.txt")):
        text = path.read_text()
        yield path.stem, Page(text, _JOBS.get(path.stem, Job.APPLICATION))
        if "# source: OpenTelemetry" in text and "seconds_count" in text:
            yield f"{path.stem}, by OTLP", Page(text, Job.OTLP)
        if path.stem == "access-log":
            yield f"{path.stem} of Promtail", Page(text, Job.PROMTAIL)


PAGES = dict(_pages())


def _expected(values: dict[str, float]) -> list[dict[str, object]]:
    return [
        {"labels": f'{{service="{service}", source="{PAGES[service.removesuffix(" well")].source}"}}', "value": value}
        for service, value in values.items()
    ]


def _fires(services: list[str]) -> list[dict[str, object]]:
    return [{"labels": f'{{service="{service}"}}', "value": 1} for service in services]


def test_each_library_has_golden_signals_and_its_errors_an_alert(tmp_path: Path) -> None:
    series = [one for name, page in PAGES.items() for one in page.series(name, well=False)]
    series += [one for name, page in PAGES.items() for one in page.series(f"{name} well", well=True)]
    both = [*PAGES, *(f"{name} well" for name in PAGES)]
    timed = [name for name in both if "_bucket" in PAGES[name.removesuffix(" well")].text]
    expressions = {
        # A scrape may count as a request, and some libraries count it.
        f"abs({golden_signals.REQUESTS}{{service!~'.* well'}} - 100 / 60) < bool 0.05": _expected(
            dict.fromkeys(PAGES, 1)
        ),
        f"abs({golden_signals.ERROR_RATIO}{{service!~'.* well'}} - 0.2) < bool 0.01": _expected(
            dict.fromkeys(PAGES, 1)
        ),
        f"{golden_signals.ERROR_RATIO}{{service=~'.* well'}} + 0": _expected({f"{name} well": 0 for name in PAGES}),
        f"{golden_signals.quantile(95)} < bool 1": _expected(dict.fromkeys(timed, 1)),
        'max by (service) (ALERTS{alertname="ApplicationErrorsHigh",alertstate="firing"})': _fires(list(PAGES)),
    }
    tests = [{"expr": expr, "eval_time": "15m", "exp_samples": samples} for expr, samples in expressions.items()]
    document = {
        "rule_files": ["applications.yml"],
        "evaluation_interval": "1m",
        "fuzzy_compare": True,
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    rules = render(Thresholds(), ADDRESSES, EVERYTHING, Logs(), Traces())["rules/applications.yml"]
    write(tmp_path, {"applications.yml": rules, "pages.yml": yaml.safe_dump(document)})
    assert not [*complaints([images.binary("promtool"), "test", "rules", tmp_path / "pages.yml"], tmp_path)]


@pytest.mark.parametrize("source", sorted({source.name for source in SOURCES}))
def test_each_source_has_a_page(source: str) -> None:
    assert source in {page.source for page in PAGES.values()}


def test_the_documentation_lists_the_sources_in_their_order() -> None:
    text = (ROOT / "docs/instrumentation/README.md").read_text()
    listed = re.findall(r"^\| `([^`]+)` \|", text.partition("### Libraries")[2].partition("\n## ")[0], re.MULTILINE)
    assert listed == list(dict.fromkeys(source.name for source in SOURCES if source.job is not Job.OTLP))
