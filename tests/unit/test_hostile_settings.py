"""Texts in a stack file that would do harm elsewhere: in a file, a command line, a network, a message."""

from pathlib import Path
from typing import Any

import pytest

from config.metrics_pages import METRICS_PAGES
from config.services.correlation import dashboard_files
from config.settings import own_rules
from config.settings.loading import SettingsError, judge_secrets, load
from tests.support.program import PINNED_STORAGE, PROJECT, refusal, settings_of

OF_DOCKER = ["bridge", "host", "none", "default", "ingress", "container:shop", "docker_gwbridge", "host:x"]
NO_NAMES = ["", " ", "\t", "a/b", "../x", "/", "shop\n", "shop\nother", "\x00", "{{.Name}}", "a:b"]


@pytest.mark.parametrize("name", OF_DOCKER)
def test_a_network_of_dockers_own_is_refused_with_the_way_to_one_of_yours(name: str) -> None:
    message = refusal({"networks": [name]}, stack="prod")
    assert message.startswith(f"Pulumi.prod.yaml: {PROJECT}:networks.0: ")
    assert "docker network create" in message


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_of_a_network_is_refused_in_one_line(name: str) -> None:
    message = refusal({"networks": ["other", name]})
    assert f"{PROJECT}:networks.1: " in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["nervous-test", "nervous-test-edge", "nervous-test-apps", "nervous-test-door"])
def test_the_stacks_own_networks_are_not_for_users(name: str) -> None:
    assert f"networks: {name} is one of the stack's own networks" in refusal({"networks": [name]})


@pytest.mark.parametrize("name", ["shop", "shop_default", "Shop.net-1", "bridges", "hosted", "a", "1", "Bridge"])
def test_names_that_docker_gives_are_taken(name: str) -> None:
    assert settings_of({"networks": [name]}).networks == (name,)


def test_no_stack_is_called_like_a_network_of_dockers() -> None:
    assert f"{PROJECT}:prefix: " in refusal({"prefix": "bridge"})


TEXTS: dict[str, tuple[str, Any]] = {
    key: (key, value)
    for key, value in {
        "notifications.slack.channel": "#alerts",
        "logs.files": "/srv/logs",
        "logs.s3.bucket": "logs",
        "logs.s3.region": "eu",
        "logs.s3.endpoint": "https://minio.example",
        "logs.mask.order": "(x)",
        "docker.host": "unix:///run/docker.sock",
        "docker.data_root": "/srv/docker",
        "docker.containerd": "/run/containerd.sock",
        "docker.certificates": "tls",
        "docker.ssh.key": "id",
        "docker.ssh.jump": "me@bastion",
        "images.registry": "mirror.example",
        "images.loki": "mirror.example/loki:3",
        "publish.loki": "127.0.0.1:3100",
        "external_urls.grafana": "https://g.example",
        "alerts.runbooks": "https://git.example/runbooks",
        "alerts.rule_files.0": "own.yml",
        "grafana.dashboards.0": "mine.json",
        "grafana.tls.domain": "g.example",
        "metrics.external_labels.region": "eu",
        "metrics.scrape_interval": "15s",
        "metrics.applications.static.0.service": "orders",
        "metrics.applications.static.0.path": "/metrics",
        "metrics.applications.static.0.targets.0": "orders:8000",
        "metrics.golden_signals.0.service": "billing",
        "metrics.golden_signals.0.requests": "jobs_total",
        "metrics.golden_signals.0.errors": 'jobs_total{result="error"}',
        "metrics.golden_signals.0.duration": "job_seconds",
        "exporters.postgres.address": "db:5432",
        "exporters.postgres.user": "watcher",
        "exporters.postgres.database": "shop",
        "exporters.redis.user": "watcher",
        "exporters.nginx.status_url": "http://web/stub_status",
        "exporters.mongodb.uri": "mongodb://mongo",
        **{f"exporters.{page.key}.path": "/metrics" for page in METRICS_PAGES},
        "exporters.caddy.user": "watcher",
        "exporters.elasticsearch.url": "http://search:9200",
        "exporters.elasticsearch.user": "watcher",
        "exporters.probes.0.name": "home",
        "exporters.probes.0.target": "http://shop",
        "traces.cluster.url": "http://search:9200",
        "traces.cluster.user": "watcher",
        "metrics.remote_write.0.name": "mimir",
        "metrics.remote_write.0.url": "https://mimir.example/w",
        "metrics.remote_write.0.user": "shop",
        "metrics.remote_write.0.ca": "far.pem",
        "metrics.remote_write.0.tenant": "shop",
        "metrics.remote_write.0.keep.0": "up",
        "metrics.long_term.url": "https://far.example/w",
        "metrics.long_term.query": "https://far.example",
        "logs.remote.url": "https://logs.example",
        "traces.remote.url": "https://otlp.example",
        "traces.remote.header": "x-team",
        "traces.health_paths.0": "/health",
        "environment": "prod",
        "prefix": "nervous",
        "networks.0": "shop",
    }.items()
}


def nested(path: str, value: str) -> dict[str, Any]:
    """The stack config that says `value` at `path`."""
    tree: Any = value
    for part in reversed(path.split(".")):
        tree = [tree] if part == "0" else {part: tree}
    config: dict[str, Any] = tree
    return config


HARM = {
    "a line break": "{0}\n  api_url: https://evil.example",
    "a line break at its end": "{0}\n",
    "a carriage return": "{0}\r",
    "a tab": "{0}\tx",
    "a NUL": "{0}\x00",
    "an escape of terminals": "{0}\x1b[2J",
    "a line separator of Unicode": "{0}\u2028x",
    "a text that turns round": "{0}\u202ex",
    "a template": "{0}{{{{ env }}}}",
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
@pytest.mark.parametrize(("key", "value"), TEXTS.values(), ids=TEXTS.keys())
def test_no_text_of_the_settings_is_more_than_a_text(key: str, value: str, harm: str) -> None:
    message = refusal(nested(key, harm.format(value)), stack="prod")
    [line] = [line for line in message.splitlines() if f"{PROJECT}:{key}: " in line]
    assert "does not print" in line or "a template begins" in line
    assert "evil" not in message
    assert all(text.startswith("Pulumi.prod.yaml: ") for text in message.splitlines())


@pytest.mark.parametrize("where", ["metrics.external_labels", "logs.retention.services", "traces.sampling.services"])
def test_no_key_of_a_map_is_more_than_a_text(where: str) -> None:
    message = refusal(nested(f"{where}.a\nb", "1d"))
    assert f"{PROJECT}:{where}: one of its keys has a line break" in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["postgres_password", "pagerduty_key", "s3_credentials", "grafana_password"])
def test_a_secret_is_one_line_and_is_never_repeated(key: str) -> None:
    config = {f"{PROJECT}:{key}": "hunter2\nroot: x\n"}
    with pytest.raises(SettingsError, match=f"{key}: the secret has a line break") as caught:
        judge_secrets(config, secret_keys=list(config), project=PROJECT, stack="prod")
    assert "hunter2" not in str(caught.value)
    whole = {f"{PROJECT}:{key}": "hunter2\n"}  # as `pulumi config set` takes it from a file
    judge_secrets(whole, secret_keys=list(whole), project=PROJECT, stack="prod")


@pytest.mark.parametrize(
    ("config", "secret"),
    [
        ({"grafana": {"tls": {"domain": "https://me:hunter2@g.example"}}}, "hunter2"),
        ({"images": {"loki": "me:hunter2@registry.example/loki"}}, "hunter2"),
        ({"docker": {"host": "ssh://vps", "ssh": {"jump": "me:hunter2@bastion;"}}}, "hunter2"),
        (
            {"docker": {"host": "ssh://vps", "ssh": {"key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n"}}},
            "b3BlbnNz",
        ),
        ({"docker": {"host": "ssh://vps", "ssh": {"key": "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNz"}}}, "b3BlbnNz"),
        ({"notifications": {"slack": {"channel": "https://hooks.slack.com/services/T0/B0/hunter2"}}}, "hunter2"),
        ({"logs": {"s3": "AGE-SECRET-KEY-1HUNTER2"}}, "HUNTER2"),
    ],
)
def test_a_secret_in_the_place_of_something_else_is_refused_without_repeating_it(
    config: dict[str, Any], secret: str
) -> None:
    assert secret not in refusal(config)


NO_FOLDERS = [
    "docker", "./docker", "~/docker", "$HOME/docker", "", "/", "//", "/etc", "/etc/", "/etc/docker", "/proc/1/root", "/dev/x",
    "/sys", "/root", "/home", "/var", "/var/lib", "/run", "/usr/lib/x", "/boot", "/srv/../etc", "/srv/./x", "/srv//x", "//srv",
    "/srv/a:b", "/srv/a,ro", "/srv/*", "/srv/[a]", "/srv/a'b", "/srv/a\\b",
]  # fmt: skip


@pytest.mark.parametrize("key", ["docker.data_root", "logs.files"])
@pytest.mark.parametrize("path", NO_FOLDERS)
def test_a_folder_of_the_host_is_written_whole_and_is_none_of_the_systems(key: str, path: str) -> None:
    message = refusal(nested(key, path))
    assert f"{PROJECT}:{key}: " in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["docker.data_root", "logs.files"])
@pytest.mark.parametrize(
    "path",
    [
        "/srv/docker",
        "/mnt",
        "/data",
        "/home/me/.local/share/docker",
        "/var/lib/docker",
        "/usr/local/logs",
        "/srv/my logs",
    ],
)
def test_other_folders_of_the_host_are_taken(key: str, path: str) -> None:
    settings_of(nested(key, path))
    settings_of(nested(key, f"{path}/"))


@pytest.mark.parametrize("key", ["alerts.rule_files.0", "grafana.dashboards.0"])
@pytest.mark.parametrize("path", ["/root/.docker/config.json", "~/.ssh/a.yml", "../other/a.yml", "a/../../b.yml"])
def test_a_file_of_the_stack_is_in_the_project(key: str, path: str) -> None:
    assert f"{PROJECT}:{key}: is not inside the project" in refusal(nested(key, path))


@pytest.mark.parametrize("socket", ["/run/../etc/passwd", "/run//x.sock", "run/x.sock", "/run/./x.sock"])
def test_a_socket_is_written_whole(socket: str) -> None:
    assert f"{PROJECT}:docker.containerd: " in refusal({"docker": {"containerd": socket}})


# What nothing is asked of, in every spelling that reaches it.
FORBIDDEN = [
    "127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "localhost", "LOCALHOST",
    "localhost.", "shop.localhost", "localhost.localdomain", "ip6-localhost",
    "0.0.0.0", "0", "0.1.2.3",  # noqa: S104 - asked, not bound
    "169.254.169.254", "169.254.0.1", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "0xa9.0xfe.0xa9.0xfe", "169.254.43518",
    "169.254.169.254.", "0169.254.169.254", "metadata.google.internal", "METADATA.google.internal.", "instance-data.ec2.internal",
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "198.18.0.5", "198.19.255.255", "224.0.0.1", "255.255.255.255",
]  # fmt: skip
FORBIDDEN_V6 = [
    "::1", "::", "0:0:0:0:0:0:0:1", "fe80::1", "febf::1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:127.0.0.1",
    "::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:198.18.0.5", "fd00:ec2::254", "fd20:ce::254", "ff02::1",
]  # fmt: skip
ADDRESSES = [*FORBIDDEN, *(f"[{address}]" for address in FORBIDDEN_V6)]
ALLOWED = [
    "db", "db.internal", "10.0.0.5", "172.17.0.1", "192.168.1.10", "8.8.8.8", "[fd00::5]", "[2001:db8::1]",
    "host.docker.internal", "my-localhost", "localhosts", "1password", "db-1", "a.1.example", "198.20.0.1", "169.253.1.1",
]  # fmt: skip


def _asking(host: str) -> dict[str, dict[str, Any]]:
    """Every setting that makes the stack ask `host`: key → config."""
    return {
        "metrics.applications.static.0.targets.0": {
            "metrics": {"applications": {"static": [{"service": "a", "targets": [f"{host}:80"]}]}}
        },
        "exporters.postgres.address": {"exporters": {"postgres": {"address": f"{host}:80"}}},
        "exporters.redis.address": {"exporters": {"redis": {"address": f"{host}:80"}}},
        "exporters.nginx.status_url": {"exporters": {"nginx": {"status_url": f"http://{host}:80/s"}}},
        "exporters.mongodb.uri": {"exporters": {"mongodb": {"uri": f"mongodb://db:27017,{host}:27017/?replicaSet=r"}}},
        **{f"exporters.{page.key}.targets.0": {"exporters": {page.key: {"targets": [f"{host}:80"]}}} for page in METRICS_PAGES},
        "exporters.elasticsearch.url": {"exporters": {"elasticsearch": {"url": f"http://{host}"}}},
        "exporters.probes.0": {"exporters": {"probes": [{"name": "a", "target": f"http://{host}/x"}]}},
        "exporters.probes.1": {
            "exporters": {"probes": [{"name": "b", "target": "http://b"}, {"name": "a", "target": f"{host}:80", "module": "tcp_connect"}]}
        },
        "traces.cluster.url": {"traces": {"storage": "elasticsearch", "cluster": {"url": f"http://{host}:9200"}}},
        "metrics.remote_write.0.url": {"metrics": {"remote_write": [{"name": "a", "url": f"http://{host}:80/w"}]}},
        "metrics.long_term.url": {"metrics": {"long_term": {"url": f"http://{host}/w", "query": "http://b"}}},
        "metrics.long_term.query": {"metrics": {"long_term": {"url": "http://b/w", "query": f"http://{host}"}}},
        "logs.remote.url": {"logs": {"remote": {"url": f"http://{host}"}}},
        "traces.remote.url": {"traces": {"remote": {"url": f"http://{host}:4318"}}},
    }  # fmt: skip


@pytest.mark.parametrize("key", _asking(""))
@pytest.mark.parametrize("host", ADDRESSES)
def test_nothing_is_asked_of_the_stack_itself_or_where_credentials_are(host: str, key: str) -> None:
    message = refusal(_asking(host)[key])
    assert f"{PROJECT}:{key}: " in message
    assert "name the service as its network knows it" in message


@pytest.mark.parametrize("key", _asking(""))
@pytest.mark.parametrize("host", ALLOWED)
def test_services_of_the_user_are_asked_wherever_they_are(host: str, key: str) -> None:
    images = {"mongodb_exporter": f"a/b:1@sha256:{'a' * 64}", **PINNED_STORAGE}
    settings_of({"images": images, **_asking(host)[key]})


@pytest.mark.parametrize("host", ["\u2460\u2465\u2468.254.169.254", "\uff11\uff12\uff17.0.0.1", "\uff4cocalhost"])
def test_a_name_that_a_client_would_read_as_such_an_address_is_none(host: str) -> None:
    assert "name the service" in refusal({"exporters": {"nginx": {"status_url": f"http://{host}/"}}})


def test_every_mistake_is_told_beside_a_text_that_is_refused() -> None:
    config = {
        "networks": ["host"],
        "notifications": {"slack": {"channel": "#a\nb"}},
        "metrics": {"retention": {"time": "1s"}},
    }
    keys = [line.split(": ")[1] for line in refusal(config).splitlines()]
    assert keys == [
        f"{PROJECT}:{key}" for key in ("metrics.retention.time", "networks.0", "notifications.slack.channel")
    ]


def test_a_text_with_blanks_around_it_is_trimmed() -> None:
    assert load({f"{PROJECT}:prefix": " a "}, secret_keys=(), project=PROJECT, stack="x").prefix == "a"


@pytest.mark.parametrize(
    "read",
    [
        own_rules.read,
        lambda files, root, stack_key: dashboard_files.read(
            settings_of({"grafana": {"dashboards": files}}), root, stack_key=stack_key
        ),
    ],
    ids=["rules", "dashboards"],
)
def test_a_link_in_the_project_is_no_way_out_of_it(read: Any, tmp_path: Path) -> None:
    (tmp_path / "outside.yml").write_text("groups: []")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "own.yml").symlink_to("../outside.yml")
    with pytest.raises(SettingsError, match=r"own\.yml: is a link that leads out of the project"):
        read(["own.yml"], tmp_path / "project", stack_key="files")
