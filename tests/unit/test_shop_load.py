"""The load generator of the shop: what it plans, what it sends, and what it says of it."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from examples.shop.load.__main__ import app
from examples.shop.load.faults import Fault
from examples.shop.load.generator import Generator, ShopNotReadyError
from examples.shop.load.profiles import PROFILES, ROUTES, Phase, Profile, in_turn, planned
from examples.shop.load.report import NOT_SENT, PhaseReport, Report, Sample, summed_up
from tests.support.wait import until

ERROR = Fault("orders", "error")
SLOW = Fault("orders", "latency", "1500ms")


class FakeShop(ThreadingHTTPServer):
    """Answers as the shop does; `requests` is what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.requests: list[tuple[str, str, str | None]] = []
        self.ready = True
        self.gone = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: ClassVar[dict[str, Any]] = {
        "POST /login": {"token": "t-1"},
        "GET /products": {"products": [{"id": 7}, {"id": 8}]},
        "POST /orders": {"order": 4711, "trace_id": "0af7651916cd43dd8448eb211c80319c"},
    }

    def do_GET(self) -> None:
        assert isinstance(self.server, FakeShop)
        if self.server.gone:
            self.close_connection = True
            return
        fault = self.headers.get("X-Fault")
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((f"{self.command} {self.path}", content.decode(), fault))
        needs_login = self.path in {"/orders", "/users/me"}
        unknown = needs_login and self.headers.get("Authorization") != "Bearer t-1"
        status = 401 if unknown else 500 if fault or not self.server.ready else 201 if self.path == "/orders" else 200
        body = json.dumps(self.bodies.get(f"{self.command} {self.path}", {})).encode()
        self.send_response(status)
        self.send_header("X-Trace-Id", "0af7651916cd43dd8448eb211c80319c")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - as http.server calls them

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    with FakeShop() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("text", ["orders=error", "products=latency:1500ms", "auth=leak:5MiB", "users=logburst:500"])
def test_a_fault_is_written_as_it_is_read(text: str) -> None:
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgres=error", "'postgres' is not a service of the shop, which has gateway, auth, users, products, orders"),
        ("orders", "'' is not a kind of fault, which are latency, error, panic, leak, logburst"),
        ("orders=fire", "'fire' is not a kind of fault"),
        ("orders=latency", "latency takes a time such as 1500ms"),
        ("orders=latency:long", "latency takes a time such as 1500ms"),
        ("orders=error:500", "error takes no value"),
        ("orders=leak:5", "leak takes a size such as 5MiB"),
    ],
)
def test_a_fault_that_no_service_knows_is_refused_and_the_message_says_which_there_are(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}: {re.escape(message)}"):
        Fault.parse(text)


def test_the_turns_are_as_many_as_the_weights_say_and_spread_evenly() -> None:
    turns = in_turn({"a": 3, "b": 1})
    assert [next(turns) for _ in range(8)] == ["a", "a", "b", "a"] * 2


def test_a_part_of_nothing_never_has_its_turn() -> None:
    turns = in_turn({"a": 1.0, "b": 0.0})
    assert {next(turns) for _ in range(100)} == {"a"}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_profile_sends_as_many_requests_as_its_rates_and_times_make(profile: Profile) -> None:
    for phase in profile.phases:
        assert len(list(planned(phase))) == phase.seconds * phase.rate


def test_the_spike_is_several_times_the_usual_rate_and_ends() -> None:
    before, spike, after = PROFILES["spike"].phases
    assert spike.rate >= 4 * before.rate
    assert after.rate == before.rate


def test_the_incident_begins_and_ends_without_faults() -> None:
    before, incident, recovery = PROFILES["incident"].phases
    assert {fault.kind for fault, _ in incident.faults} == {"error", "latency"}
    assert {fault.service for fault, _ in incident.faults} == {"orders"}
    assert not before.faults
    assert not recovery.faults


def test_only_requests_that_reach_a_service_carry_its_fault_in_the_part_that_is_said() -> None:
    phase = Phase("incident", 100, 12, ((ERROR, 0.25), (SLOW, 0.5)))
    counts = Counter((route.name, fault) for route, fault in planned(phase))
    assert counts["POST /orders", ERROR] == 75
    assert counts["POST /orders", SLOW] == 150
    assert counts["POST /orders", None] == 75
    assert {route for route, fault in counts if fault} == {"POST /orders"}


def test_another_time_keeps_rates_and_proportions() -> None:
    shorter = PROFILES["incident"].lasting(66)
    assert [phase.seconds for phase in shorter.phases] == [6, 45, 15]
    assert [phase.rate for phase in shorter.phases] == [5, 5, 5]


def test_another_fault_takes_the_place_of_the_incidents_own_in_all_requests_that_reach_it() -> None:
    changed = PROFILES["incident"].with_fault(Fault("users", "panic"))
    assert [bool(phase.faults) for phase in changed.phases] == [False, True, False]
    counts = Counter((route.name, fault is not None) for route, fault in planned(changed.phases[1]))
    assert {route for route, faulty in counts if faulty} == {"GET /users/me", "POST /login"}
    assert not {route for route, faulty in counts if not faulty} & {"GET /users/me", "POST /login"}


def test_a_profile_that_would_send_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="500000 requests are more than 100000"):
        PROFILES["steady"].lasting(100_000)


def test_what_is_reported_is_what_the_shop_was_asked(shop: FakeShop) -> None:
    phases = (Phase("before", 0.5, 48), Phase("incident", 0.5, 48, ((ERROR, 0.5),)))
    report = Generator(shop.url).run(Profile("test", "", phases))

    requests = shop.requests[2:]  # the first ones are its preparation
    paths = Counter(re.sub(r"/\d+$", "/{id}", path) for path, _, _ in requests)
    assert {name: route.requests for name, route in report.routes.items()} == paths
    assert paths.keys() == {route.name for route in ROUTES}
    assert report.requests == len(requests) == 48
    assert {path for path, _, _ in requests if path.startswith("GET /products/")} == {
        "GET /products/7",
        "GET /products/8",
    }
    faulty = [path for path, _, fault in requests if fault == "orders=error"]
    assert faulty == ["POST /orders"] * report.faults["orders=error"].requests == ["POST /orders"] * 3
    assert report.faults["orders=error"].statuses == {"500": 3}
    assert len(report.faults["orders=error"].trace_ids) == 3
    assert report.routes["POST /orders"].statuses == {"201": 9, "500": 3}
    assert report.routes["GET /users/me"].statuses == {"200": 8}  # the login holds
    assert [order.order for order in report.orders] == ["4711"] * 9
    assert [(phase.requests, phase.statuses) for phase in report.phases] == [
        (24, {"200": 18, "201": 6}),
        (24, {"200": 18, "201": 3, "500": 3}),
    ]


def test_phases_follow_each_other_and_last_as_long_as_they_should(shop: FakeShop) -> None:
    report = Generator(shop.url).run(Profile("test", "", (Phase("one", 0.4, 5), Phase("two", 0.2, 5))))
    one, two = report.phases
    assert 0.4 <= (one.ended - one.started).total_seconds() < 2
    assert one.ended <= two.started < two.ended


@pytest.mark.parametrize("seconds", [[0.1], [0.1, 0.2, 0.3]])
def test_latencies_are_of_what_was_answered(seconds: list[float]) -> None:
    samples = [Sample("p", "GET /", None, "200", value) for value in seconds]
    report = summed_up("test", "", [], [*samples, Sample("p", "GET /", None, NOT_SENT, 0)])
    latency = report.routes["GET /"].latency_ms
    assert latency
    assert latency.max == max(seconds) * 1000
    assert latency.p50 == pytest.approx(sorted(seconds)[len(seconds) // 2] * 1000)
    assert report.routes["GET /"].statuses == {"200": len(seconds), NOT_SENT: 1}


def test_a_route_that_was_never_answered_has_no_latency() -> None:
    report = summed_up("test", "", [], [Sample("p", "GET /", None, "no answer", 10)])
    assert report.routes["GET /"].latency_ms is None


def test_a_shop_that_goes_away_in_the_middle_is_told_by_the_report(shop: FakeShop) -> None:
    def phase_begins(text: str) -> None:
        if text.startswith("alone"):
            until(lambda: len(shop.requests) == 2 + 5)  # its preparation, and the first phase
            shop.gone = True

    phases = (Phase("before", 0.1, 50), Phase("alone", 0.1, 100))
    report = Generator(shop.url).run(Profile("test", "", phases), on_phase=phase_begins)
    assert report.phase("before").statuses == {"200": 4, "201": 1}
    assert report.phase("alone").statuses == {"no answer": 10}


def test_a_shop_that_is_not_there_ends_the_run_with_one_message(shop: FakeShop) -> None:
    url = shop.url
    shop.shutdown()
    shop.server_close()
    result = CliRunner().invoke(app, ["steady", "--url", url])
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"no answer from the shop at {url}" in result.stderr
    assert "make shop" in result.stderr


def test_a_shop_that_is_not_well_is_not_ready(shop: FakeShop) -> None:
    shop.ready = False
    with pytest.raises(ShopNotReadyError, match="answers POST /login with 500"):
        Generator(shop.url).run(PROFILES["steady"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["noisy"], "'noisy' is not a profile, which are steady, spike, incident"),
        (["steady", "--fault", "orders=error"], "steady has no faults; the profile with faults is incident"),
        (["incident", "--fault", "orders=fire"], "'fire' is not a kind of fault"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_the_report_is_a_file_that_says_what_was_sent(shop: FakeShop, tmp_path: Any) -> None:
    file = tmp_path / "report.json"
    result = CliRunner().invoke(app, ["incident", "--url", shop.url, "--seconds", "2.2", "--report", str(file)])
    assert result.exit_code == 0, result.output
    report = Report.model_validate_json(file.read_text())
    assert report.requests == 11
    assert [phase.name for phase in report.phases] == ["before", "incident", "recovery"]
    assert isinstance(report.phases[0], PhaseReport)
