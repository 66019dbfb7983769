"""Golden signals from pages that real libraries served, after 80 requests that were well and 20 that failed. Those that count
the requests of Prometheus have some of them too.

`pages/<library>.txt` is such a page, reduced to its metrics of requests. Its first line names the version and how the page
was made, its second line the source that counts it. A proxy's third line names the source of the service behind it, `orders`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.alerts import golden_signals, response_times
from config.alerts.request_sources import SOURCES
from config.alerts.rule import Job
from dashboards import source_variables
from tests.rules.run import ROOT, unmet
from tests.support import dashboard_queries

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)$")
FAILED = re.compile(
    r'(?:status|code)="(?:5..|Internal|2|error)"|code_class="5"|status_code="STATUS_CODE_ERROR"'
    r'|(?:error_type|error)="(?!none")[^"]|result="failure"|success="false"|state="failed"|type="task-failed"'
    r"|^\w+_(?:failed|errors|fault|failed_jobs)_total"
)


JOBS = {"spans": Job.SPANS, "haproxy": Job.HAPROXY, "access-log": Job.ALLOY}
"""Pages that no application serves."""
OWN_PAGES = {"traefik": Job.TRAEFIK, "caddy": Job.CADDY_PAGE}
"""Pages that `exporters` may name too."""
WAYS = {Job.OTLP: ", by OTLP", **dict.fromkeys(OWN_PAGES.values(), ", own page")}
"""How the name of a source ends by its job."""


@dataclass(frozen=True)
class Page:
    text: str
    job: Job = Job.APPLICATION

    def sources(self, service: str) -> dict[str, str]:
        """Each service that the page is about → the source that counts it, as its first lines say."""
        way = WAYS.get(self.job, "")
        lines = re.findall(r"^# source( of orders)?: (.+)$", self.text, re.MULTILINE)
        return {f"orders of {service}" if behind else service: source + way for behind, source in lines}

    def series(self, service: str, *, well: bool) -> Iterator[dict[str, str]]:
        """As if each minute brought what the page tells. `well`: without what failed."""
        for sample in filter(None, map(SAMPLE.match, self.text.splitlines())):
            name, labels, value = sample.groups(default="")
            if not (well and FAILED.search(sample[0])):
                own = re.sub(r'(^|,)(job|service|instance)="', r'\1exported_\2="', labels.rstrip(","))
                own = own.replace('="orders', f'="orders of {service}')
                every = ",".join(filter(None, (f'job="{self.job}",service="{service}"', own)))
                yield {"series": f"{name}{{{every}}}", "values": f"0+{float(value):g}x20"}


def _pages() -> Iterator[tuple[str, Page]]:
    """Service → its page. What OpenTelemetry calls by its unit also comes by OTLP."""
    for path in sorted(Path(__file__).with_name("pages").glob("*.txt")):
        text = path.read_text()
        yield path.stem, Page(text, JOBS.get(path.stem, Job.APPLICATION))
        page = Page(text, Job.OTLP)
        if "seconds_count" in text and {*page.sources("").values()} <= {source.name for source in SOURCES}:
            yield f"{path.stem}, by OTLP", page
        if path.stem in OWN_PAGES:
            yield f"{path.stem} itself", Page(text, OWN_PAGES[path.stem])
        if path.stem == "access-log":
            yield f"{path.stem} of Promtail", Page(text, Job.PROMTAIL)


PAGES = dict(_pages())
COUNTED = {service: source for name, page in PAGES.items() for service, source in page.sources(name).items()}


def _expected(values: dict[str, float], suffix: str = "") -> list[dict[str, object]]:
    return [_sample(f"{service}{suffix}", COUNTED[service], value) for service, value in values.items()]


def _sample(service: str, source: str, value: float) -> dict[str, object]:
    return {"labels": f'{{service="{service}", source="{source}"}}', "value": value}


def _fires(services: Iterable[str]) -> list[dict[str, object]]:
    return [{"labels": f'{{service="{service}"}}', "value": 1} for service in services]


def _counters(*names: str) -> list[dict[str, str]]:
    """Counters of one request per second."""
    return [{"series": name, "values": "0+60x20"} for name in names]


def test_each_library_has_golden_signals_and_its_errors_an_alert(tmp_path: Path) -> None:
    series = [one for name, page in PAGES.items() for one in page.series(name, well=False)]
    series += [one for name, page in PAGES.items() for one in page.series(f"{name} well", well=True)]
    timed = [service for name, page in PAGES.items() if "_bucket" in page.text for service in page.sources(name)]
    expressions = {
        f"abs({golden_signals.REQUESTS}{{service!~'.* well'}} - 100 / 60) < bool 0.05": _expected(
            dict.fromkeys(COUNTED, 1)
        ),
        f"abs({golden_signals.ERROR_RATIO}{{service!~'.* well'}} - 0.2) < bool 0.01": _expected(
            dict.fromkeys(COUNTED, 1)
        ),
        f"{golden_signals.ERROR_RATIO}{{service=~'.* well'}} + 0": _expected(dict.fromkeys(COUNTED, 0), " well"),
        f"{response_times.quantile(95)} < bool 1": [
            *_expected(dict.fromkeys(timed, 1)),
            *_expected(dict.fromkeys(timed, 1), " well"),
        ],
        'max by (service) (ALERTS{alertname="ApplicationErrorsHigh",alertstate="firing"})': _fires(COUNTED),
    }
    assert not unmet(tmp_path, series, expressions)


ROUTES = {
    "opentelemetry-flask-stable": ["GET /", "GET /fail"],
    "opentelemetry-flask": ["GET /", "GET /fail"],
    "opentelemetry-express": ["GET ", "GET /", "GET /fail"],  # it gives no route to what it does not know
    "prometheus-flask-exporter": ["GET /", "GET /fail"],
    "prometheus-fastapi-instrumentator": ["GET /", "GET /fail"],
    "client_golang": ["GET /", "GET /fail"],
    "fastify-metrics": ["GET /", "GET /fail"],
    "express-prom-bundle": ["all"],
    "django-prometheus": ["GET django_site.urls.index", "GET django_site.urls.fail", "GET <unnamed view>"],
    "gin": ["GET /", "GET /fail"],
    "yabeda-rails": ["get orders of yabeda-rails index"],
    "grpc": ["grpc.health.v1.Health Check"],
    "spring-boot": ["GET /", "GET /fail"],
    "spans": ["GET /"],
    "dramatiq": ["pack"],
    "bullmq": ["pack"],
    "flower": ["shop.pack"],
    "traefik": ["all"],
}
"""Page → what its service was asked for, as the dashboard shows it."""
BOARD = [query for query in dashboard_queries.queries() if query.board == "golden-signals"]


def _variables(source: str) -> dict[str, str]:
    """What the dashboard's hidden variables should be for a service that this source counts."""
    rows = [row for row in SOURCES if row.name == source]
    durations = [row.duration.metric for row in rows if row.duration]
    labels = [label for row in rows for label in row.routes] or ["none"]
    return {
        "job": "|".join(dict.fromkeys(row.job for row in rows)),
        "counter": "|".join(dict.fromkeys(row.counter for row in rows)),
        "durations": "|".join(f"{one}_bucket|{one}" for one in dict.fromkeys(durations)) or "none",
        "per_second": "1000" if rows[0].milliseconds else "1",
        "by": "".join(f":{label}" for label in dict.fromkeys(labels)),
    }


def test_the_dashboard_of_a_service_reads_its_routes_and_its_statuses_whatever_counts_it(tmp_path: Path) -> None:
    pages = {name: page for name, page in PAGES.items() if "of orders" not in page.text}
    expressions: dict[str, list[dict[str, object]]] = {}
    for name, page in pages.items():
        values = _variables(page.sources(name)[name])
        for query in BOARD:
            if query.panel == "variable" and query.ref in values:
                expression = query.filled_in(service=name).removeprefix("query_result(").removesuffix(")")
                expressions[f"{expression} * 0"] = [
                    {"labels": f'{{{query.ref}="{values[query.ref]}"}}', "value": 0},
                ]
        by = ",".join(f'"{label}"' for label in values["by"].split(":")[1:])
        # Without the choice of the largest, which takes promtool minutes.
        routes, statuses, p95 = (
            dashboard_queries.filled_in(expr, service=name, **{**values, "by": by, "__rate_interval": "5m"})
            for expr in (
                source_variables.by_route(),
                source_variables.by_status(),
                source_variables.p95_by_route(),
            )
        )
        if name in ROUTES:
            expressions[f"({routes}) * 0"] = [{"labels": f'{{route="{route}"}}', "value": 0} for route in ROUTES[name]]
        expressions[f"count({routes}) > bool 0"] = [{"labels": "{}", "value": 1}]
        expressions[f"abs(sum({statuses}) - 100 / 60) < bool 0.9"] = [{"labels": "{}", "value": 1}]
        if "_bucket" in page.text:
            expressions[f"max({p95}) < bool 1"] = [{"labels": "{}", "value": 1}]
    series = [one for name, page in pages.items() for one in page.series(name, well=False)]
    assert not unmet(tmp_path, series, expressions)


def test_a_service_that_nothing_counts_has_no_routes_and_no_fault(tmp_path: Path) -> None:
    expressions: dict[str, list[dict[str, object]]] = {}
    nothing = {"job": "none", "counter": "none", "durations": "none", "per_second": "1", "by": ":none"}
    for query in BOARD:
        if query.panel == "variable" and query.ref in nothing:
            expression = query.filled_in(service="gone").removeprefix("query_result(").removesuffix(")")
            expressions[expression] = [{"labels": f'{{{query.ref}="{nothing[query.ref]}"}}', "value": 0}]
        elif query.panel in {"Requests by route", "p95 by route", "Answers by status"}:
            expressions[query.filled_in(service="gone", **{**nothing, "by": '"none"'})] = []
    assert not unmet(tmp_path, _counters('up{job="application"}'), expressions)


def test_a_service_with_metrics_of_its_own_is_not_counted_by_its_proxy(tmp_path: Path) -> None:
    series = _counters(
        'http_requests_total{job="application",service="orders",status="200"}',
        'traces_span_metrics_calls_total{job="spans",service="cart",span_kind="SPAN_KIND_SERVER"}',
        *(
            f'traefik_service_requests_total{{job="application",service="traefik",exported_service="{name}",code="500"}}'
            for name in ("orders@docker", "cart@docker", "stock@docker")
        ),
        'traefik_entrypoint_requests_total{job="application",service="traefik",entrypoint="web",code="200"}',
    )
    sources = {"orders": "http_requests_total", "cart": "spans", "stock": "Traefik, per service", "traefik": "Traefik"}
    expressions = {
        f"{golden_signals.REQUESTS} + 0": [_sample(service, source, 1) for service, source in sources.items()],
        f"{golden_signals.ERROR_RATIO} + 0": [
            _sample(service, source, int(service == "stock")) for service, source in sources.items()
        ],
    }
    assert not unmet(tmp_path, series, expressions)


def test_a_proxy_with_a_scrape_label_that_exporters_name_too_is_counted_once(tmp_path: Path) -> None:
    series = _counters(
        *(
            f'traefik_{kind}_requests_total{{job="{job}",service="traefik",{label},code="200"}}'
            for job in (Job.APPLICATION, Job.TRAEFIK)
            for kind, label in (("entrypoint", 'entrypoint="web"'), ("service", 'exported_service="orders@docker"'))
        ),
    )
    sources = {"traefik": "Traefik", "orders": "Traefik, per service"}
    expected = [_sample(service, source, 1) for service, source in sources.items()]
    assert not unmet(tmp_path, series, {f"{golden_signals.REQUESTS} + 0": expected})


def test_all_that_a_proxy_counts_of_a_service_is_one_sum(tmp_path: Path) -> None:
    """Two providers, two routes, two proxies. Some series are the same but for the label that is replaced."""
    labels = (
        'service="traefik",exported_service="orders@docker"',
        'service="traefik",exported_service="orders@file"',
        'service="edge",exported_service="orders@file"',
    )
    series = _counters(
        *(f'traefik_service_requests_total{{job="application",{which},code="200"}}' for which in labels),
        *(
            f'traefik_service_request_duration_seconds_bucket{{job="application",{which},code="200",le="{bound}"}}'
            for which in labels
            for bound in ("0.1", "+Inf")
        ),
        *(
            f'kong_http_requests_total{{job="application",service="kong",exported_service="stock",route="{route}",code="200"}}'
            for route in ("web", "mobile")
        ),
        *(
            f'kong_request_latency_ms_bucket{{job="application",service="kong",exported_service="stock",route="{route}",le="{bound}"}}'
            for route in ("web", "mobile")
            for bound in ("25.0", "100.0", "+Inf")
        ),
    )
    expressions = {
        f"{golden_signals.REQUESTS}{{service!='kong'}} + 0": [
            _sample("orders", "Traefik, per service", 3),
            _sample("stock", "Kong, per service", 2),
        ],
        f"{response_times.quantile(50)}{{service!='kong'}} + 0": [
            _sample("orders", "Traefik, per service", 0.05),
            _sample("stock", "Kong, per service", 0.0125),
        ],
    }
    assert not unmet(tmp_path, series, expressions)


def test_a_worker_that_also_answers_requests_is_counted_by_these(tmp_path: Path) -> None:
    series = _counters(
        *(
            f'dramatiq_messages_total{{job="application",service="{service}"}}'
            for service in ("shop", "cart", "worker")
        ),
        'http_requests_total{job="application",service="shop",status="200"}',
        'traefik_service_requests_total{job="application",service="traefik",exported_service="cart@docker",code="200"}',
    )
    sources = {"shop": "http_requests_total", "cart": "Traefik, per service", "worker": "Dramatiq"}
    expected = [_sample(service, source, 1) for service, source in sources.items()]
    assert not unmet(tmp_path, series, {f"{golden_signals.REQUESTS} + 0": expected})


def test_a_long_job_is_not_slow(tmp_path: Path) -> None:
    # Twenty seconds each.
    series = _counters(
        'dramatiq_messages_total{job="application",service="worker"}',
        'http_requests_total{job="application",service="shop",status="200"}',
        *(
            f'{metric}_bucket{{job="application",service="{service}",le="{bound}"}}'
            for service, metric, bounds in (
                ("worker", "dramatiq_message_duration_milliseconds", ("20000.0", "+Inf")),
                ("shop", "http_request_duration_seconds", ("20", "+Inf")),
            )
            for bound in bounds
        ),
    )
    expressions = {
        f"{response_times.quantile(95)} + 0": [
            _sample("worker", "Dramatiq", 19),
            _sample("shop", "http_requests_total", 19),
        ],
        'max by (service) (ALERTS{alertname="ApplicationSlow",alertstate="firing"})': _fires(["shop"]),
    }
    assert not unmet(tmp_path, series, expressions)


@pytest.mark.parametrize(
    ("metric", "label", "name", "service"),
    [
        ("traefik_service_requests_total", "exported_service", "orders@docker", "orders"),
        ("traefik_service_requests_total", "exported_service", "orders-2@docker", "orders-2"),
        ("traefik_service_requests_total", "exported_service", "orders", "orders"),
        ("traefik_service_requests_total", "exported_service", "default-orders-80@kubernetes", "default-orders"),
        ("traefik_service_requests_total", "exported_service", "default-orders-80@kubernetescrd", "default-orders"),
        ("traefik_service_requests_total", "exported_service", "<b>@docker", None),
        ("traefik_service_requests_total", "exported_service", "", None),
        ("kong_http_requests_total", "exported_service", "orders.test", "orders.test"),
        ("nginx_ingress_controller_requests", "exported_service", "-", None),
    ],
)
def test_a_service_has_the_plain_name_that_its_proxy_has_for_it(
    tmp_path: Path, metric: str, label: str, name: str, service: str | None
) -> None:
    status = "status" if metric.startswith("nginx") else "code"
    series = _counters(f'{metric}{{job="application",service="proxy",{label}="{name}",{status}="200"}}')
    expected = [{"labels": f'{{service="{service}"}}', "value": 1}] if service else []
    assert not unmet(tmp_path, series, {f"sum by (service) ({golden_signals.REQUESTS}{{service!='proxy'}})": expected})


@pytest.mark.parametrize("source", sorted({source.name for source in SOURCES}))
def test_each_source_has_a_page(source: str) -> None:
    assert source in COUNTED.values()


def test_the_documentation_lists_the_sources_in_their_order() -> None:
    text = (ROOT / "docs/instrumentation/sources.md").read_text()
    listed = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert listed == list(dict.fromkeys(source.name for source in SOURCES if source.job not in WAYS))
