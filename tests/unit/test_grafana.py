"""Grafana's files: where its data sources lead, and how a running one is made to take them."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from config import links
from config.additions import Dashboard
from config.container import DIRECTORY, ConfigFiles
from config.services.correlation import grafana
from config.settings import Settings
from config.settings.secret_keys import GRAFANA_PASSWORD, GRAFANA_SECRET_KEY
from tests.support import grafana_page
from tests.support.program import SECRET_TEXT, settings_of

SOURCES = "provisioning/datasources/stack.yml"
BOARD = json.dumps({"uid": "overview", "title": "Overview", "panels": []})


def stack(config: dict[str, Any] | None = None) -> Settings:
    return settings_of(config, secrets=[GRAFANA_PASSWORD])


def files(config: dict[str, Any] | None = None, **dashboards: str | Dashboard) -> ConfigFiles:
    service_config = grafana.container(
        stack(config), {uid: Dashboard(one) if isinstance(one, str) else one for uid, one in dashboards.items()}
    ).config
    assert service_config is not None
    return service_config


def ini(config: dict[str, Any] | None = None, **dashboards: str | Dashboard) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string(files(config, **dashboards).files["grafana.ini"])
    return parser


def sources(config: dict[str, Any] | None = None) -> dict[str, Any]:
    """Uid → data source, as Grafana reads it: `$$` is a `$`."""
    text = files(config).files[SOURCES]
    assert not re.search(r"(?<!\$)\$(?!\$)", text), "Grafana would fill in a variable of its environment"
    return {source["uid"]: source for source in yaml.safe_load(text.replace("$$", "$"))["datasources"]}


def test_data_sources_have_fixed_uids_and_names_and_lead_to_where_the_services_can_be_read_only() -> None:
    assert {uid: (source["name"], source["url"]) for uid, source in sources().items()} == {
        "prometheus": ("Prometheus", "http://api_proxy:29090"),
        "loki": ("Loki", "http://api_proxy:23100"),
        "jaeger": ("Jaeger", "http://api_proxy:36686"),
        "alertmanager": ("Alertmanager", "http://api_proxy:29093"),
    }
    assert not any(source["editable"] for source in sources().values())
    assert [uid for uid, source in sources().items() if source.get("isDefault")] == ["prometheus"]


def test_every_link_leads_to_a_data_source_that_is_there() -> None:
    data_sources = sources()
    named = re.findall(r"'(?:datasourceUid|alertmanagerUid)': '(\w+)'", str(data_sources))
    assert len(named) == 5
    assert set(named) <= data_sources.keys()


# Links from a trace, a line and an exemplar, as the page makes them


def trace(service: str, process: dict[str, str], span: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """One as Jaeger answers it, and its span: `service.name` is beside the tags."""

    def tags(of: dict[str, str]) -> list[dict[str, str]]:
        return [{"key": key, "type": "string", "value": value} for key, value in of.items()]

    own_span = {
        "traceID": "4bf92f",
        "spanID": "00f067",
        "processID": "p1",
        "operationName": "GET /",
        "tags": tags({"span.kind": "server", **span}),
    }
    processes = {"p1": {"serviceName": service, "tags": tags({"telemetry.sdk.language": "python", **process})}}
    return {"traceID": "4bf92f", "spans": [own_span], "processes": processes}, own_span


@pytest.mark.parametrize("name", ["orders", "orders-v2", 'the "old" shop', "a\\\\b", "unknown_service"])
def test_a_span_leads_to_lines_and_metrics_of_its_service(name: str) -> None:
    jaeger = sources()["jaeger"]["jsonData"]
    trace_and_span = trace(name, {links.SERVICE_TAG: name}, {"service": "forged", "service.name": "forged"})
    assert (
        grafana_page.related_logs(jaeger["tracesToLogsV2"], *trace_and_span)
        == f'{{service=`{name}`}} | trace_id="4bf92f"'
    )
    queries = grafana_page.metrics(jaeger["tracesToMetrics"], *trace_and_span)
    assert queries["Requests/s"] == f"sum(rate(traces_span_metrics_calls_total{{service=`{name}`}}[5m]))"
    for query in queries.values():
        assert query.count(f"{{service=`{name}`") == query.count("{") == query.count("}")


def test_a_span_from_before_the_tag_has_no_link_to_logs_and_queries_of_nothing() -> None:
    jaeger = sources()["jaeger"]["jsonData"]
    trace_and_span = trace("orders", {}, {})
    assert grafana_page.related_logs(jaeger["tracesToLogsV2"], *trace_and_span) is None
    for query in grafana_page.metrics(jaeger["tracesToMetrics"], *trace_and_span).values():
        assert re.findall(r"\{service=`[^`]+`", query)  # of a service that there is not, and not of all


def test_an_exemplar_and_a_line_lead_to_their_trace_once() -> None:
    data_sources = sources()
    period = ("1764000000000", "1764003600000")
    [destination] = data_sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    [(title, target)] = grafana_page.exemplar_links(destination, "4bf92f", period)
    assert (destination["name"], title) == ("trace_id", "Open the trace")
    assert grafana_page.trace_id(target) == "4bf92f"
    [field] = data_sources["loki"]["jsonData"]["derivedFields"]
    labels = {"service": "orders", "parent_trace_id": "other", "trace_id": "4bf92f"}
    [(title, target)] = grafana_page.line_links(field, labels)
    assert title == "Open the trace"
    assert grafana_page.trace_id(target) == "4bf92f"
    assert grafana_page.line_links(field, {"service": "orders"}) == []


def test_no_text_stands_where_a_yes_or_no_belongs() -> None:
    words = {"on", "off", "true", "false", "yes", "no"}
    assert [place for place, text in grafana_page.texts(sources()) if text.lower() in words] == []


def test_steps_of_queries_are_those_of_the_scrapes() -> None:
    data_sources = sources({"metrics": {"scrape_interval": "20s"}})
    assert data_sources["prometheus"]["jsonData"]["timeInterval"] == "20s"


def test_nobody_gets_in_without_the_password_and_nothing_is_told_to_the_world() -> None:
    settings = ini()
    assert settings["auth.anonymous"]["enabled"] == "false"
    assert settings["users"]["allow_sign_up"] == "false"
    assert settings["snapshots"]["external_enabled"] == "false"
    assert settings["public_dashboards"]["enabled"] == "false"
    assert set(settings["analytics"].values()) == {"false"}
    assert settings["security"]["disable_gravatar"] == "true"
    assert settings["news"]["news_feed_enabled"] == "false"
    assert settings["cloud_migration"]["enabled"] == "false"
    plugins = settings["plugins"]
    assert (plugins["plugin_admin_enabled"], plugins["public_key_retrieval_disabled"]) == ("false", "true")


def test_nothing_is_installed_that_nobody_has_pinned() -> None:
    """By default Grafana 13 takes 18 plugins from the internet, and newer ones of those that its image has."""
    assert ini()["plugins"]["preinstall_disabled"] == "true"


def test_data_sources_that_nobody_declares_do_not_run() -> None:
    """In the official image each is a process of 22 to 38 MB."""
    unused = ini()["plugins"]["disable_plugins"].split(",")
    declared = {source["type"] for source in sources().values()}
    assert {"mysql", "tempo", "zipkin"} <= set(unused)
    assert not declared & set(unused)
    assert {*unused, *declared} == {*grafana.BUNDLED, "alertmanager"}


def test_its_own_limit_leaves_room_for_the_processes_of_its_data_sources() -> None:
    used = {source["type"] for source in sources().values()} & set(grafana.BUNDLED)
    for host in ("4GiB", "8GiB", "16GiB"):
        limit = stack({"memory": {"host": host}}).memory_mib("grafana")
        rest = limit * (100 - grafana.container(stack(), {}).go_memory_percent) // 100
        assert rest / len(used) > 2 * 38 / 1.048576


def test_the_password_is_in_a_file_only() -> None:
    service_config = files()
    assert service_config.secrets[GRAFANA_PASSWORD].render(SECRET_TEXT) == SECRET_TEXT
    assert ini()["security"]["admin_password"] == "$__file{/config/current/secrets/grafana_password}"
    container = grafana.container(stack(), {})
    assert container.environment.keys() == {"GOGC"}


@pytest.mark.parametrize(
    ("config", "root", "secure"),
    [
        ({}, "http://127.0.0.1:3000/", "false"),
        ({"external_urls": {"grafana": "https://example.org/grafana"}}, "https://example.org/grafana/", "true"),
    ],
)
def test_cookies_are_sent_by_tls_only_where_people_come_by_it(config: dict[str, Any], root: str, secure: str) -> None:
    settings = ini(config)
    assert (settings["server"]["root_url"], settings["security"]["cookie_secure"]) == (root, secure)


def test_the_overview_is_the_first_page_where_there_is_one() -> None:
    assert ini(overview=BOARD)["dashboards"]["default_home_dashboard_path"] == f"{grafana.COPIES}/overview.json"
    assert "default_home_dashboard_path" not in ini()["dashboards"]


def test_the_first_page_is_the_one_that_is_chosen() -> None:
    mine = {"home": "mine", "folders": {"Checkout team": ["boards/mine.json"]}}
    path = ini({"grafana": mine}, overview=BOARD, mine=Dashboard(BOARD, "Checkout team"))["dashboards"][
        "default_home_dashboard_path"
    ]
    [provider] = [one for one in providers({"grafana": mine}) if one["folder"] == "Checkout team"]
    assert path == f"{provider['options']['path']}/mine.json"


@pytest.mark.parametrize(
    ("settings", "section", "key", "value"),
    [
        ({}, "users", "default_theme", "dark"),
        ({"theme": "light"}, "users", "default_theme", "light"),
        ({"theme": "system"}, "users", "default_theme", "system"),
        ({}, "date_formats", "default_timezone", "browser"),
        ({"time_zone": "Europe/Berlin"}, "date_formats", "default_timezone", "Europe/Berlin"),
        ({}, "date_formats", "default_week_start", "browser"),
        ({"week_start": "monday"}, "date_formats", "default_week_start", "monday"),
    ],
)
def test_pages_look_as_they_are_wanted(settings: dict[str, Any], section: str, key: str, value: str) -> None:
    assert ini({"grafana": settings})[section][key] == value


def providers(config: dict[str, Any]) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = yaml.safe_load(files(config).files["provisioning/dashboards/stack.yml"])["providers"]
    return read


def test_each_folder_has_its_dashboards_and_no_others() -> None:
    config = {"grafana": {"dashboards": ["plain.json"], "folders": {"Shop": ["a.json"], "Pay & co": ["b.json"]}}}
    service_config = files(config, plain=BOARD, a=Dashboard(BOARD, "Shop"), b=Dashboard(BOARD, "Pay & co"))
    names = {path.rpartition("/") for path in service_config.files if "/provis" not in path}
    rooms = {file: room for room, _, file in names if file in {"plain.json", "a.json", "b.json"}}
    assert rooms["plain.json"] == "dashboards"
    assert len({*rooms.values()}) == 3
    paths = {one["folder"]: one["options"]["path"] for one in providers(config)}
    assert paths["Shop"] == rooms["a.json"].replace("folders", grafana.FOLDER_COPIES)
    assert paths["Pay & co"] == rooms["b.json"].replace("folders", grafana.FOLDER_COPIES)
    assert len({one["name"] for one in providers(config)}) == 3


def test_only_the_main_file_needs_a_restart() -> None:
    before, with_dashboard = files(other=BOARD), files(other=BOARD.replace("Overview", "Else"))
    assert (
        before.since_start == with_dashboard.since_start == files({"metrics": {"scrape_interval": "20s"}}).since_start
    )
    assert before.files != with_dashboard.files
    assert before.since_start != files({"external_urls": {"grafana": "https://g.example"}}).since_start


def test_what_is_declared_is_looked_for_by_its_digest() -> None:
    service_config = files(overview=BOARD)
    lines = [line.split() for line in service_config.files["declared"].splitlines()]
    assert [page for page, _ in lines] == ["/api/datasources"] * 4 + ["/api/dashboards/uid/overview"]
    delivered = service_config.files["dashboards/overview.json"]
    assert lines[-1][1] in delivered
    assert all(digest in service_config.files[SOURCES] for _, digest in lines[:4])
    changed = files(overview=BOARD.replace("Overview", "Other")).files["declared"].splitlines()
    assert changed[:4] == service_config.files["declared"].splitlines()[:4]
    assert changed[4] != service_config.files["declared"].splitlines()[4]


def test_a_dashboard_is_delivered_as_it_is_but_for_a_hidden_variable() -> None:
    delivered = json.loads(files(overview=BOARD).files["dashboards/overview.json"])
    [variable] = delivered.pop("templating")["list"]
    assert (variable["type"], variable["hide"]) == ("constant", 2)
    assert delivered == json.loads(BOARD)


def test_the_script_is_one_that_a_shell_understands() -> None:
    subprocess.run(["sh", "-n", str(grafana.SCRIPT)], check=True)


# The script, as a shell runs it.

NC = """\
#!{python}
# As the nc of Alpine's busybox, and of the official one: it keeps descriptors 3 and 4 for itself.
import os, socket, sys
connection = socket.create_connection((sys.argv[1], int(os.environ["PORT"])))
for descriptor in (0, 1):
    os.dup2(connection.fileno(), descriptor)
os.closerange(3, 5)
os.execv(sys.argv[4], sys.argv[4:])
"""


@contextmanager
def grafana_that(answers: list[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """A server that gives one answer after the other: status (0: it hangs up) and body. Its port, and what it was asked."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            requests.append(f"{self.command} {self.path} {self.headers['Authorization']}")
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, body = answers.pop(0)
            if status:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, requests
    finally:
        server.shutdown()
        server.server_close()


def script(
    folder: Path, *arguments: str, port: int = 0, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """The script beside the files of a stack, with Grafana's folder and an nc in `folder`."""
    for name in ("bin", "share/bin", "files/secrets", "files/dashboards", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = grafana.SCRIPT.read_text()
    for here, there in (
        ("/usr/share/grafana", folder / "share"),
        (grafana.COPIES, folder / "copies"),
        (grafana.FOLDER_COPIES, folder / "folders"),
        (grafana.DATA, folder / "data"),
    ):
        assert here in text
        text = text.replace(here, str(there))
    (folder / "files" / grafana.SCRIPT.name).write_text(text)
    (folder / "files/secrets" / GRAFANA_PASSWORD).write_text("hush")
    for path, program in (
        ("bin/nc", NC.format(python=sys.executable)),
        ("share/bin/grafana", '#!/bin/sh\nenv; echo "ARGUMENTS $*"\n'),
    ):
        (folder / path).write_text(program)
        (folder / path).chmod(0o755)
    return subprocess.run(
        ["sh", str(folder / "files" / grafana.SCRIPT.name), *arguments],
        env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PORT": str(port), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_answer_is_read_with_an_nc_that_keeps_descriptors_for_itself(tmp_path: Path) -> None:
    with grafana_that([(200, '{"login":"admin"}')]) as (port, requests):
        result = script(tmp_path, "ask", "/api/user", port=port)
    assert (result.returncode, json.loads(result.stdout)) == (0, {"login": "admin"})
    assert requests == ["GET /api/user Basic YWRtaW46aHVzaA=="]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((200, ""), 1, "Grafana answers /api/user with 200: an empty page"),
        ((0, ""), 1, "Grafana answers /api/user with nothing: an empty page"),
        ((401, '{"message":"wrong"}'), 3, 'Grafana answers /api/user with 401: {"message":"wrong"}'),
        ((500, "oh"), 1, "Grafana answers /api/user with 500: oh"),
    ],
    ids=["an empty page", "no answer", "a wrong password", "an error"],
)
def test_whatever_is_no_answer_is_an_error_and_says_so(
    tmp_path: Path, answer: tuple[int, str], code: int, words: str
) -> None:
    with grafana_that([answer]) as (port, _):
        result = script(tmp_path, "ask", "/api/user", port=port)
    assert (result.returncode, result.stdout, result.stderr.strip()) == (code, "", words)


def test_a_reload_that_is_answered_by_nothing_fails(tmp_path: Path) -> None:
    with grafana_that([(200, "")]) as (port, _):
        result = script(tmp_path, "reload", port=port)
    assert result.returncode == 1
    assert "Grafana does not take its admin's password" in result.stdout


def test_a_new_password_is_set_by_a_command_that_reads_our_files_and_no_other_settings(tmp_path: Path) -> None:
    answers = [(401, "{}"), (200, "{}"), (200, "[]"), (200, "{}"), (200, "{}")]
    (tmp_path / "files").mkdir()
    (tmp_path / "files/declared").write_text("")
    with grafana_that(answers) as (port, _):
        result = script(tmp_path, "reload", port=port, environment={"GF_PATHS_DATA": "/elsewhere"})
    assert result.returncode == 0, result.stderr
    assert f"--config {tmp_path}/files/grafana.ini admin reset-admin-password --password-from-stdin" in result.stdout
    assert "GF_" not in result.stdout


@pytest.mark.parametrize(
    "name",
    [
        *(f"GF_PATHS_{path}" for path in ("CONFIG", "DATA", "HOME", "LOGS", "PLUGINS", "PROVISIONING")),
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_SECURITY_ADMIN_PASSWORD__FILE",
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_DATABASE_URL",
        "GF_INSTALL_PLUGINS",
        "GF_LOG_CONSOLE_LEVEL",
        "GF_default_INSTANCE_NAME",
    ],
)
def test_no_setting_of_an_images_environment_reaches_grafana(tmp_path: Path, name: str) -> None:
    """By Grafana's order of precedence it would win over the file: defaults, file, environment, command line."""
    result = script(tmp_path, "start", environment={name: "first line\nGF_SECOND=of the same", "OTHER": "stays"})
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert f"ARGUMENTS server --homepath={tmp_path}/share --config={tmp_path}/files/grafana.ini" in lines
    assert f"HOME={tmp_path}/share" in lines
    assert "OTHER=stays" in lines
    assert not [line for line in lines if line.startswith("GF_")]


# The key by which it encrypts


def key_file(folder: Path) -> Path:
    return folder / "data" / "secret_key"


def test_the_key_is_made_once_at_the_first_start_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    assert script(tmp_path, "start").returncode == 0
    first = key_file(tmp_path).read_text()
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", first)
    assert key_file(tmp_path).stat().st_mode & 0o777 == 0o400
    assert script(tmp_path, "start").returncode == 0
    assert key_file(tmp_path).read_text() == first


def test_no_two_stacks_have_the_same_key(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
        assert script(folder, "start").returncode == 0
    assert key_file(folders[0]).read_text() != key_file(folders[1]).read_text()


@pytest.mark.parametrize("leftover", ["secret_key", "secret_key.new"])
def test_a_key_that_was_not_written_to_its_end_is_made_again(tmp_path: Path, leftover: str) -> None:
    key_file(tmp_path).parent.mkdir()
    (key_file(tmp_path).parent / leftover).touch(mode=0o400)
    assert script(tmp_path, "start").returncode == 0
    assert len(key_file(tmp_path).read_text()) == 44


def test_without_a_key_it_does_not_start_with_the_one_that_everybody_knows(tmp_path: Path) -> None:
    (tmp_path / "data" / "secret_key.new").mkdir(parents=True)  # in the way
    result = script(tmp_path, "start")
    assert result.returncode == 1
    assert "ARGUMENTS" not in result.stdout


@pytest.mark.parametrize(
    ("secrets", "file"),
    [
        ([GRAFANA_PASSWORD], grafana.SECRET_KEY),
        ([GRAFANA_PASSWORD, GRAFANA_SECRET_KEY], f"{DIRECTORY}/secrets/grafana_secret_key"),
    ],
)
def test_the_key_is_the_stacks_secret_where_it_has_one(secrets: list[str], file: str) -> None:
    service_config = grafana.container(settings_of(secrets=secrets), {}).config
    assert service_config
    assert f"secret_key = $__file{{{file}}}\n" in service_config.files["grafana.ini"]
    assert set(service_config.secrets) == set(secrets)


def test_wrong_passwords_lock_nobody_out_and_other_sites_show_nothing_of_it() -> None:
    security = ini()["security"]
    assert security["disable_brute_force_login_protection"] == "true"  # by user: `admin` is what deployments are
    assert (security["cookie_samesite"], security["allow_embedding"]) == ("lax", "false")
