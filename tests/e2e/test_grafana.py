"""Grafana: what it shows comes from files only and changes live. Its links are followed beside the shop (test_shop.py)."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests

from check import grafana as check_grafana
from check import remotes as check_remotes
from config.services.correlation import caddy, dashboard_files, grafana, long_term
from config.services.metrics import api_proxy
from config.settings.grafana import FOLDER
from config.settings.secret_keys import GRAFANA_PASSWORD
from engine.docker_api import execute
from tests.e2e.grafana import Grafana
from tests.support import tracing
from tests.support.deployment import CALM, Deployment
from tests.support.ports import free_port, publish
from tests.support.wait import until

PASSWORD, NEXT_PASSWORD = "first-of-the-tests", "second-of-the-tests"


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    more = tracing.config(memory={"grafana": "256MiB"})
    more["publish"] = publish("grafana")
    more["metrics"] = {**CALM, "long_term": {"local": True}}
    with deploy("grafana", **more) as deployment:
        set_password(deployment, PASSWORD)
        (deployment.folder / "mine.json").write_text(board("Mine"))
        deployment.config["grafana"] = {"dashboards": ["mine.json"]}
        deployment.up()
        yield deployment


def board(title: str, source: str = "prometheus") -> str:
    panel = {"id": 1, "type": "timeseries", "title": "up", "datasource": {"type": source, "uid": source}}
    return json.dumps({"uid": "mine", "title": title, "schemaVersion": 39, "panels": [panel]})


def set_password(stack: Deployment, password: str) -> None:
    """As the user does; the folder of the stack remembers it for the tests."""
    stack.secret(GRAFANA_PASSWORD, password)
    (stack.folder / "password").write_text(password)


def password(stack: Deployment) -> str:
    return (stack.folder / "password").read_text()


def ask(stack: Deployment, path: str, **query: str) -> Any:
    """JSON that Grafana answers the admin."""
    return Grafana(stack, password(stack)).get(path, **query)


def through(stack: Deployment, source: str, path: str, **query: str) -> Any:
    """JSON that a data source answers through Grafana's proxy: as the pages ask it."""
    return Grafana(stack, password(stack)).through(source, path, **query)


def titles(stack: Deployment) -> dict[str, str]:
    """Uid → title of the dashboards in the folder of this project."""
    results = ask(stack, "/api/search", type="dash-db")
    return {one["uid"]: one["title"] for one in results if one["folderTitle"] == FOLDER}


def status(stack: Deployment, password: str) -> int:
    return requests.get(f"{stack.url('grafana')}/api/user", auth=("admin", password), timeout=30).status_code


def root_certificate(stack: Deployment) -> str:
    """Of the authority that the front has made for itself; empty before it has."""
    code, text = execute(stack.container("caddy"), ["cat", f"{caddy.DATA}/caddy/pki/authorities/local/root.crt"])
    return text if code == 0 else ""


def annotations(stack: Deployment, after: int = 0) -> list[dict[str, Any]]:
    """The deployments of the last hour, as dashboards ask for them; those after a time in ns. They come by a queue: wait."""
    streams = through(stack, "loki", "/loki/api/v1/query_range", query='{service="deployments"} | json', since="1h")
    lines = [(int(moment), text) for stream in streams["data"]["result"] for moment, text in stream["values"]]
    return [json.loads(text) for moment, text in sorted(lines) if moment > after]


def test_the_declared_data_sources_and_dashboards_are_there_and_no_others(stack: Deployment) -> None:
    sources = {source["uid"]: source for source in ask(stack, "/api/datasources")}
    assert sources.keys() == {source["uid"] for source in grafana.data_sources(stack.settings)}
    assert all(source["readOnly"] for source in sources.values())
    ours = {path.stem for path in (stack.folder / "dashboards" / "json").glob("*.json")}
    assert titles(stack).keys() == {*ours, "mine"}
    home = ask(stack, "/api/dashboards/home")
    assert home["dashboard"]["title"] == titles(stack)["overview"]


@pytest.mark.parametrize(
    ("source", "path", "key"),
    [
        ("prometheus", "/api/v1/query?query=up", "data"),
        ("loki", "/loki/api/v1/labels", "data"),
        ("jaeger", "/api/v3/services", "services"),
        ("alertmanager", "/api/v2/status", "versionInfo"),
        (long_term.UID, "/api/v1/query?query=up", "data"),
    ],
)
def test_every_data_source_answers_through_grafana(stack: Deployment, source: str, path: str, key: str) -> None:
    assert until(lambda: key in through(stack, source, path))


def test_the_store_for_the_long_term_has_the_selection_and_the_check_says_so(stack: Deployment) -> None:
    query = {"query": "instance:node_memory_used:ratio"}
    assert until(lambda: through(stack, long_term.UID, "/api/v1/query", **query)["data"]["result"])
    assert not through(stack, long_term.UID, "/api/v1/query", query="up")["data"]["result"]
    arguments = stack.client, stack.settings, long_term.UID
    [finding] = until(lambda: [one for one in check_remotes.findings(*arguments) if one.kept])
    assert finding.what == "the store of metrics.long_term takes samples"


def test_nobody_sees_anything_without_the_password(stack: Deployment) -> None:
    for path in ("/api/search", "/api/datasources", "/api/dashboards/uid/mine", "/api/admin/settings"):
        assert requests.get(f"{stack.url('grafana')}{path}", timeout=30).status_code == 401
    assert status(stack, "admin") == 401
    answer = requests.post(f"{stack.url('grafana')}/api/user/signup", json={"email": "me@example.org"}, timeout=30)
    assert answer.status_code in {401, 403, 404, 422}


# What strangers, viewers and guessers can do


ATTACKS = [
    ("GET", "loki/ingester/shutdown"),
    ("POST", "loki/ingester/shutdown"),
    ("POST", "loki/loki/api/v1/push"),
    ("POST", "loki/flush"),
    ("GET", "loki/config"),
    ("DELETE", "loki/loki/api/v1/delete"),
    ("GET", "loki/loki/api/v1/..%2f..%2f..%2fingester/shutdown"),
    ("GET", "prometheus/api/v1/status/config"),
    ("GET", "prometheus/debug/pprof/cmdline"),
    ("POST", "prometheus/-/quit"),
    ("POST", "alertmanager/api/v2/silences"),
    ("POST", "alertmanager/api/v2/alerts"),
    ("POST", "jaeger/api/archive/1"),
]
SILENCE = {
    "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2036-01-01T00:00:00Z",
    "createdBy": "viewer",
    "comment": "all of them",
}


@pytest.fixture(scope="module")
def viewer(stack: Deployment) -> requests.Session:
    """Somebody with the least role, logged in."""
    login = {"login": "viewer", "password": "viewerpw1"}
    response = requests.post(
        f"{stack.url('grafana')}/api/admin/users",
        json={"name": "v", **login}, auth=("admin", PASSWORD), timeout=30,
    )  # fmt: skip
    response.raise_for_status()
    session = requests.Session()
    credentials = {"user": login["login"], "password": login["password"]}
    session.post(f"{stack.url('grafana')}/login", json=credentials, timeout=30).raise_for_status()
    assert session.get(f"{stack.url('grafana')}/api/user", timeout=30).json()["login"] == "viewer"
    return session


@pytest.mark.parametrize(("method", "path"), ATTACKS)
def test_a_data_source_lets_nobody_do_more_than_read(
    stack: Deployment, viewer: requests.Session, method: str, path: str
) -> None:
    started = stack.started("loki")
    url = f"{stack.url('grafana')}/api/datasources/proxy/uid/{path}"
    admin = requests.Session()
    admin.auth = ("admin", PASSWORD)
    for who in (viewer, admin):
        assert who.request(method, url, json={}, timeout=30).status_code in {400, 403, 404}
    assert stack.started("loki") == started
    assert requests.get(f"{stack.past_front('loki')}/ready", timeout=30).ok


def test_nobody_silences_alerts_by_grafana(stack: Deployment, viewer: requests.Session) -> None:
    for path in ("alertmanager/alertmanager/api/v2/silences", "alertmanager/alertmanager/config/api/v1/alerts"):
        answer = viewer.post(f"{stack.url('grafana')}/api/{path}", json=SILENCE, timeout=30)
        assert answer.status_code >= 400
    admin = requests.post(
        f"{stack.url('grafana')}/api/alertmanager/alertmanager/api/v2/silences",
        json=SILENCE, auth=("admin", PASSWORD), timeout=30,
    )  # fmt: skip
    assert admin.status_code >= 400
    assert through(stack, "alertmanager", "/api/v2/silences") == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/prometheus/prometheus/api/v1/rules", "data"),
        ("/api/prometheus/loki/api/v1/rules", "data"),
        ("/api/prometheus/prometheus/api/v1/alerts", "data"),
        ("/api/alertmanager/alertmanager/api/v2/alerts", None),
        ("/api/alertmanager/alertmanager/api/v2/status", "versionInfo"),
        ("/api/datasources/uid/prometheus/health", "status"),
        ("/api/datasources/uid/prometheus/resources/api/v1/labels", "data"),
        ("/api/datasources/uid/loki/resources/labels?start=1", "data"),
    ],
)
def test_its_pages_of_alerts_and_its_data_sources_are_answered(stack: Deployment, path: str, key: str | None) -> None:
    answer = ask(stack, path)
    assert key is None or key in answer


def test_its_metrics_are_for_prometheus_only(stack: Deployment) -> None:
    assert requests.get(f"{stack.url('grafana')}/metrics", timeout=30).status_code == 403
    until(lambda: through(stack, "prometheus", "/api/v1/query", query='up{job="grafana"} == 1')["data"]["result"])


@pytest.mark.parametrize(
    ("headers", "status_code"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403),
    ],
)
def test_another_site_asks_it_nothing(
    stack: Deployment, viewer: requests.Session, headers: dict[str, str], status_code: int
) -> None:
    answer = viewer.get(f"{stack.url('grafana')}/api/user", headers=headers, timeout=30)
    assert answer.status_code == status_code


def test_its_key_is_its_own_and_nobody_else_reads_it(stack: Deployment) -> None:
    code, text = execute(stack.container("grafana"), ["stat", "-c", "%a %s", grafana.SECRET_KEY])
    assert (code, text.split()) == (0, ["400", "44"])
    settings = ask(stack, "/api/admin/settings")["security"]
    assert "SW2YcwTIb9zpOOhoPsMm" not in json.dumps(settings)
    assert "secret_key" not in stack.container("grafana").logs().decode()


def test_another_key_costs_only_the_passwords_that_were_kept_by_the_one_before(stack: Deployment) -> None:
    """So it is for a stack from before the key, which kept them by the one that everybody knows."""
    source = {"name": "mine", "type": "prometheus", "access": "proxy", "url": "http://mine", "basicAuth": True}
    url, admin = f"{stack.url('grafana')}/api/datasources", ("admin", PASSWORD)
    response = requests.post(url, json={**source, "secureJsonData": {"basicAuthPassword": "x"}}, auth=admin, timeout=30)
    response.raise_for_status()
    before = titles(stack)
    try:
        container = stack.container("grafana")
        assert execute(container, ["rm", "-f", grafana.SECRET_KEY])[0] == 0
        container.restart(timeout=30)
        assert until(lambda: titles(stack) == before, seconds=60)
        assert "mine" in {one["name"] for one in ask(stack, "/api/datasources")}
        assert until(lambda: "data" in through(stack, "prometheus", "/api/v1/query", query="up"))
    finally:
        requests.delete(f"{url}/name/mine", auth=admin, timeout=30).raise_for_status()


# The post-deploy check


def complaints(stack: Deployment) -> dict[str, str]:
    dashboards = dashboard_files.read(stack.settings, stack.folder, stack_key="dashboards")
    findings = check_grafana.findings(stack.client, stack.settings, dashboards)
    return {finding.what: finding.detail for finding in findings if not finding.kept}


def test_the_check_is_content_and_finds_a_panel_that_asks_nobody(stack: Deployment) -> None:
    assert until(lambda: not complaints(stack))
    theirs = json.loads(board("Theirs", "prometeus")) | {"uid": "theirs"}
    url = f"{stack.url('grafana')}/api/dashboards"
    requests.post(f"{url}/db", json={"dashboard": theirs}, auth=("admin", PASSWORD), timeout=30).raise_for_status()
    try:
        assert complaints(stack) == {"every panel asks a data source that is there": "theirs asks prometeus"}
    finally:
        requests.delete(f"{url}/uid/theirs", auth=("admin", PASSWORD), timeout=30).raise_for_status()


# Changes


def test_a_changed_dashboard_and_data_source_are_live_without_a_restart(stack: Deployment) -> None:
    started = stack.started("grafana")
    before = ask(stack, "/api/dashboards/uid/mine")["dashboard"]["id"]
    (stack.folder / "mine.json").write_text(board("Renamed"))
    stack.config["metrics"]["scrape_interval"] = "7s"
    stack.up()
    assert titles(stack)["mine"] == "Renamed"
    assert ask(stack, "/api/dashboards/uid/mine")["dashboard"]["id"] == before  # the same: stars and links stay
    assert Grafana(stack, PASSWORD).json_data("prometheus")["timeInterval"] == "7s"
    assert stack.started("grafana") == started


def test_a_broken_dashboard_is_refused_by_name_and_the_old_ones_stay(stack: Deployment) -> None:
    text = (stack.folder / "mine.json").read_text()
    before, started = titles(stack), stack.started("grafana")
    for broken, words in (("{", "is not JSON"), (board("Broken", "prometeus"), "asks the data source prometeus")):
        (stack.folder / "mine.json").write_text(broken)
        printed = stack.up(fails=True)
        assert f"nervous-system:grafana.dashboards: mine.json: {words}" in printed
    (stack.folder / "mine.json").write_text(text)
    assert titles(stack) == before
    assert stack.started("grafana") == started


def test_a_dashboard_that_grafana_does_not_show_as_declared_fails_the_update_and_the_old_one_is_back(
    stack: Deployment,
) -> None:
    before = titles(stack)
    text = (stack.folder / "mine.json").read_text()
    (stack.folder / "mine.json").write_text(board("Refused"))
    with stack.edited(
        "config/services/correlation/grafana.py",
        "/api/dashboards/uid/{uid} {revision}",
        "/api/dashboards/uid/{uid} elsewhere",
    ):
        printed = stack.up(fails=True)
    assert "does not take its new files" in printed
    assert "Grafana has not got what is declared: /api/dashboards/uid/mine" in printed
    assert titles(stack) == before
    (stack.folder / "mine.json").write_text(text)


def test_wrong_passwords_of_strangers_keep_no_deployment_out_and_what_is_no_longer_declared_is_gone(
    stack: Deployment,
) -> None:
    """Last with this password: for five minutes nobody gets in from outside by one."""
    answers = [status(stack, "wrong") for _ in range(api_proxy.WRONG_PASSWORDS + 2)]
    assert answers[-2:] == [429, 429]
    stack.config["metrics"]["scrape_interval"] = "8s"  # a data source changes
    del stack.config["grafana"]
    stack.up()
    assert until(lambda: not complaints(stack))
    # Whoever guesses is told to wait; with a proxy that knows nothing of it the right password is right.
    stack.container("api_proxy").restart(timeout=5)
    assert until(lambda: status(stack, PASSWORD) == 200)
    assert Grafana(stack, PASSWORD).json_data("prometheus")["timeInterval"] == "8s"
    assert "mine" not in titles(stack)
    assert "overview" in titles(stack)


def test_another_password_is_the_only_one_and_whoever_was_logged_in_is_out(stack: Deployment) -> None:
    session = requests.Session()
    session.post(
        f"{stack.url('grafana')}/login", json={"user": "admin", "password": PASSWORD}, timeout=30
    ).raise_for_status()
    assert session.get(f"{stack.url('grafana')}/api/user", timeout=30).status_code == 200
    started = stack.started("grafana")
    begun = time.time_ns()
    set_password(stack, NEXT_PASSWORD)
    stack.up()
    assert status(stack, NEXT_PASSWORD) == 200
    assert status(stack, PASSWORD) == 401
    assert session.get(f"{stack.url('grafana')}/api/user", timeout=30).status_code == 401
    assert stack.started("grafana") == started
    container = stack.container("grafana")
    assert NEXT_PASSWORD not in json.dumps(container.attrs)
    assert NEXT_PASSWORD not in container.logs().decode()
    assert NEXT_PASSWORD not in stack.state()
    assert [one["message"] for one in until(lambda: annotations(stack, begun))] == ["grafana: files or secrets"]


def test_under_a_domain_it_is_reached_by_tls_and_only_who_knows_the_domain_restarts(
    stack: Deployment, tmp_path: Path
) -> None:
    before = {service: stack.started(service) for service in stack.settings.services}
    port = free_port()
    stack.config["grafana"] = {"tls": {"domain": "localhost", "certificate": "internal"}}
    stack.config["publish"]["caddy"] = f"127.0.0.1:{port}"
    begun = time.time_ns()
    stack.up()
    after = {service: stack.started(service) for service in before}
    assert {service for service in before if before[service] != after[service]} <= {
        "grafana",
        "alertmanager",
        "api_proxy",
    }
    assert after["grafana"] != before["grafana"]
    [mark] = until(lambda: annotations(stack, begun))
    assert "grafana: files or secrets" in mark["message"]

    authority = tmp_path / "root.crt"
    authority.write_text(until(lambda: root_certificate(stack)))
    url = f"https://localhost:{port}"
    assert stack.settings.grafana_url == url
    with requests.Session() as browser:
        browser.verify, browser.trust_env = str(authority), False
        assert browser.get(f"{url}/api/user", timeout=30).status_code == 401
        for secret, status_code in (("wrong", 401), (password(stack), 200)):
            login = browser.post(f"{url}/login", json={"user": "admin", "password": secret}, timeout=30)
            assert login.status_code == status_code
        assert "; Secure" in login.headers["Set-Cookie"]
        assert browser.get(f"{url}/api/user", timeout=30).json()["login"] == "admin"
        # Another name has no certificate, and without TLS there is nothing.
        with pytest.raises(requests.exceptions.SSLError):
            browser.get(f"https://127.0.0.1:{port}/login", timeout=30)
        plain = browser.get(f"http://localhost:{port}/login", timeout=30)
        assert (plain.status_code, plain.cookies.get_dict()) == (400, {})
    until(lambda: through(stack, "prometheus", "/api/v1/query", query='up{job="caddy"} == 1')["data"]["result"])


# What survives


def test_a_deployment_without_loki_ends_well_and_is_marked_when_it_is_back(stack: Deployment) -> None:
    begun = time.time_ns()
    stack.up()  # changes nothing, and so is no annotation
    loki = stack.container("loki")
    loki.stop()
    try:
        (stack.folder / "mine.json").write_text(board("Without Loki"))
        stack.config["grafana"]["dashboards"] = ["mine.json"]
        stack.up()
    finally:
        loki.start()
    assert [one["message"] for one in until(lambda: annotations(stack, begun))] == ["grafana: files or secrets"]


def test_after_the_loss_of_its_volume_everything_is_there_again(stack: Deployment) -> None:
    before, authority, begun = titles(stack), root_certificate(stack), time.time_ns()
    assert authority
    stack.container("caddy").remove(force=True)
    container = stack.container("grafana")
    volume = next(mount["Name"] for mount in container.attrs["Mounts"] if mount["Destination"] == grafana.DATA)
    container.remove(force=True)
    stack.client.volumes.get(volume).remove()
    stack.up("--refresh")
    assert titles(stack) == before
    assert until(lambda: root_certificate(stack)) == authority
    assert "grafana" in until(lambda: annotations(stack, begun))[-1]["changed"].split(",")
    assert "prometheus" in annotations(stack)[0]["changed"].split(",")


def test_the_image_of_a_service_is_known_by_the_time(stack: Deployment) -> None:
    expr = 'group by (service, image) (container_start_time_seconds{image!="",service="grafana"})'
    samples = until(lambda: through(stack, "prometheus", "/api/v1/query", query=expr)["data"]["result"])
    images = {sample["metric"]["image"] for sample in samples}
    assert stack.settings.image("grafana").partition("@")[0] in images
