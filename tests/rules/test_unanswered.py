"""Which rules and panels can never have data: asked of a real Prometheus that scrapes a page of the test's own."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from check.queries import of_counted, of_dashboard, of_rules
from check.unanswered import Verdict, judged
from config.services.correlation.own_dashboards import adapted
from config.settings.golden_signals import CountedService
from config.yaml_text import dump
from tests.brought_boards import graph, row, variable
from tests.support.ports import free_port
from tests.support.services import running
from tests.support.wait import until
from toolchain import images

PAGE = b"""\
# TYPE node_load1 gauge
node_load1 0.5
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 7
# TYPE requests_total counter
requests_total{code="200"} 3
# TYPE failures_total counter
# TYPE dropped_total counter
# TYPE seconds histogram
seconds_bucket{le="1"} 1
seconds_bucket{le="+Inf"} 1
seconds_sum 1
seconds_count 1
"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    targets = [{"targets": [f"127.0.0.1:{server.server_port}"]}]
    jobs = [{"job_name": "node_exporter", "static_configs": targets}]
    main = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(dump(main))
    command = [str(images.binary("prometheus")), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    url, query = f"http://127.0.0.1:{port}", {"query": "node_load1"}
    try:
        with running(command, f"{url}/-/ready", folder / "log", seconds=30):
            until(lambda: requests.get(f"{url}/api/v1/query", query, timeout=5).json()["data"]["result"])
            yield url
    finally:
        server.shutdown()


def judge(prometheus: str, *files: Any, filtered: Sequence[str] = ()) -> list[Verdict]:
    def ask(service: str, paths: Sequence[str]) -> list[Any]:
        if service != "prometheus":
            return [{"data": [{"job": "x"}] if "present" in path else []} for path in paths]
        answers = [requests.get(f"{prometheus}{path}", timeout=10) for path in paths]
        return [answer.json() if answer.ok else None for answer in answers]

    return judged(files, ask, filtered=filtered)


@pytest.mark.parametrize(
    ("expr", "missing"),
    [
        ("node_load1 > 4", ()),
        ('rate(node_cpu_seconds_total{mode="iowait"}[5m]) > 0.1', ()),  # another value may come
        ('sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m])) > 0.1', ()),
        ("histogram_quantile(0.9, sum by (le) (rate(seconds_bucket[5m]))) > 2", ()),
        ("rate(failures_total[5m]) > 0", ()),  # described, and nothing has failed yet
        ("absent(node_gone)", ()),
        ("node_gone or node_load1", ()),
        ("node_load1 unless node_gone", ()),
        ("node_gone or vector(0)", ()),
        ('ALERTS{alertname="X"}', ()),
        ('{__name__=~"node_.+", job="node_exporter"}', ()),
        ("node_gone > 1", ("node_gone",)),
        ("rate(node_gone[5m]) > 1", ("node_gone",)),
        ("node_load1 / on (instance) node_gone", ("node_gone",)),
        ("node_load1 and node_gone", ("node_gone",)),
        ("node_gone unless node_load1", ("node_gone",)),
        ("node_gone or node_lost", ("node_gone", "node_lost")),
        ("max_over_time(node_gone[5m:1m])", ("node_gone",)),
        ("-(node_gone)", ("node_gone",)),
        ('up{job="node"} == 0', ('{__name__="up",job="node"}',)),
        ('node_load1{cluster="a"}', ('{__name__="node_load1",cluster!=""}',)),
        ('seconds_bucket{cluster="a"}', ('{__name__="seconds_bucket",cluster!=""}',)),
    ],
)
def test_a_rule_that_can_never_fire_is_told_and_what_it_lacks(
    prometheus: str, expr: str, missing: tuple[str, ...]
) -> None:
    text = dump({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": expr}]}]})
    [verdict] = judge(prometheus, of_rules("rules.yml", text))
    assert verdict.all == 1
    assert dict(verdict.unanswered) == ({"alert A": missing} if missing else {})


def test_what_the_files_record_themselves_counts(prometheus: str) -> None:
    rules = [
        {"record": "job:load:max", "expr": "max by (job) (node_load1)"},
        {"record": "job:gone:max", "expr": "max by (job) (node_gone)"},
        {"record": "job:itself:max", "expr": "job:itself:max + 1"},
    ]
    alerts = [{"alert": name, "expr": f"job:{name}:max > 1"} for name in ("load", "gone", "itself")]
    files = [
        of_rules(name, dump({"groups": [{"name": "g", "rules": some}]})) for name, some in (("a", rules), ("b", alerts))
    ]
    recorded, alerting = judge(prometheus, *files)
    assert set(recorded.unanswered) == {"record job:gone:max", "record job:itself:max"}
    assert set(alerting.unanswered) == {"alert gone", "alert itself"}


def test_a_description_counts_only_where_no_part_of_the_page_is_dropped(prometheus: str) -> None:
    text = dump({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "dropped_total > 0"}]}]})
    [verdict] = judge(prometheus, of_rules("rules.yml", text), filtered=["node_exporter"])
    assert dict(verdict.unanswered) == {"alert A": ("dropped_total",)}


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ({"requests": "requests_total"}, {}),
        ({"requests": "requests_total", "errors": 'requests_total{code=~"5.."}'}, {}),
        ({"requests": "requests_total", "errors": "failures_total"}, {}),  # described, and nothing has failed yet
        ({"requests": "requests_total", "duration": "seconds"}, {}),
        ({"requests": "requests_totl"}, {"requests": ("requests_totl",)}),
        (
            {"requests": "requests_total", "errors": 'requests_total{cod="500"}'},
            {"errors": ('{__name__="requests_total",cod!=""}',)},
        ),
        (
            {"requests": "requests_total", "duration": "secs"},
            {"duration": ("secs", "secs_bucket")},
        ),
    ],
)
def test_a_mistyped_metric_that_counts_a_service_is_told(
    prometheus: str, named: dict[str, str], missing: dict[str, tuple[str, ...]]
) -> None:
    [verdict] = judge(prometheus, of_counted(CountedService(service="billing", **named)))
    assert dict(verdict.unanswered) == missing


JOB = variable("job", "query", "label_values(node_load1, job)")


@pytest.mark.parametrize(
    ("panel", "missing"),
    [
        (graph(1, 'rate(requests_total{job=~"$job"}[$__rate_interval])'), ()),
        (graph(1, "rate(requests_total[[[interval]]])"), ()),
        (graph(1, "topk($limit, requests_total)"), ()),
        (graph(1, "sum by ($by) (requests_total offset $ago)"), ()),
        (graph(1, "node_${what}"), ()),
        (graph(1, "$expr > 3"), ()),
        (graph(1, "sum_over_time(node_load1[$__interval:$step]) / $__range_s # $node"), ()),
        (graph(1, "this is not PromQL"), ()),
        (graph(1, 'node_gone{job="$job"}'), ("node_gone",)),
        (graph(1, "rate(node_gone[$__interval])"), ("node_gone",)),
        (graph(1, 'node_load1{job="${job:regex}", pod=~"a.+"}'), ('{__name__="node_load1",pod!=""}',)),
        (graph(1, "topk($limit, node_gone)"), ("node_gone",)),
        (graph(1, "node_gone", "$ds"), ("node_gone",)),
        (row(1, graph(2, "node_gone")), ("node_gone",)),
        (graph(1, '{service="present"} |= "{x}"', "loki"), ()),
        (graph(1, 'sum(rate({service="$job"} | json | line_format "{{.a}}" [5m]))', "loki"), ()),
        (graph(1, 'rate({service="gone", env=~"$job"} | json [5m])', "loki"), ('{service="gone"}',)),
    ],
)
def test_a_panel_that_can_never_have_data_is_told(
    prometheus: str, panel: dict[str, Any], missing: tuple[str, ...]
) -> None:
    listed = [JOB, variable("ds", "datasource", "prometheus")]
    board = {"title": "T", "panels": [panel], "templating": {"list": listed}}
    [verdict] = judge(prometheus, of_dashboard("b", adapted(json.loads(json.dumps(board)), "b", {})))
    assert verdict.missing == missing
    assert len(verdict.unanswered) == bool(missing)
    assert verdict.all == 2  # with the variable


def test_a_panel_of_which_a_part_has_data_is_no_empty_one(prometheus: str) -> None:
    panel = graph(1)
    panel["targets"].append({"refId": "B", "expr": "node_gone"})
    variables = {"list": [variable("v", "query", {"query": "label_values(node_lost, job)"})]}
    [verdict] = judge(prometheus, of_dashboard("b", {"panels": [panel], "templating": variables}))
    assert dict(verdict.unanswered) == {"variable v": ("node_lost",)}
    assert verdict.missing == ("node_gone", "node_lost")
