"""Values of the right type that a service would refuse or take for something else: refused in one line that names the key."""

from typing import Any

import pytest
import re2

from config.settings import expressions
from config.settings.units import LONGEST
from tests.support.program import DOOR, OF_DOOR, PROJECT, refusal, settings_of


def of(path: str, value: Any) -> dict[str, Any]:
    """The stack config that says `value` at `path`."""
    for part in reversed(path.split(".")):
        value = [value] if part == "0" else {part: value}
    found: dict[str, Any] = value
    return found


def mail(server: str) -> dict[str, Any]:
    receiver = {"kind": "email", "name": "ops", "to": ["a@b.example"], "sender": "a@b.example", "server": server}
    return {"notifications": {"receivers": [receiver]}}


def condition(**when: Any) -> dict[str, Any]:
    hook = {"kind": "webhook", "name": "ops", "url": "https://hook.example/x", "when": [when]}
    return {"notifications": {"receivers": [hook]}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    # numbers
    "a share that is no number, as a text": (of("traces.sampling.rest", "nan"), "traces.sampling.rest: "),
    "a negative share, as a text": (of("traces.sampling.rest", "-1"), "-1 is not a percentage"),
    "an endless threshold": (of("alerts.thresholds.swap_pages", "inf"), "alerts.thresholds.swap_pages: "),
    "more streams than can be counted": (
        of("logs.limits.streams", 10**30),
        "is a larger number than services can count",
    ),
    "a chat of no messenger": (
        {"notifications": {"receivers": [{"kind": "telegram", "name": "t", "chat": -(10**30)}]}},
        "notifications.receivers.0.chat: is a larger number",
    ),
    # sizes
    "no line": (of("logs.limits.line_size", "0"), "logs.limits.line_size: "),
    "lines of some signs": (of("logs.limits.line_size", "5"), "logs.limits.line_size: "),
    "lines that no memory holds": (of("logs.limits.line_size", "9999999TiB"), "logs.limits.line_size: "),
    "no logs at all": (of("logs.limits.rate", "0"), "logs.limits.rate: "),
    "logs that no disk takes": (of("logs.limits.rate", "9999999TiB"), "logs.limits.rate: "),
    "a budget of nothing": (of("logs.budget.per_day", "0"), "logs.budget.per_day: "),
    # spans
    "a span in digits of another script": (of("metrics.retention.time", "\u0667d"), "is not a time span"),
    "a span beyond what Go counts": (of("metrics.retention.time", "9999999999h"), f"is longer than {LONGEST}"),
    "a span beyond what Python counts": (
        of("notifications.repeat_interval", "99999999999y"),
        f"is longer than {LONGEST}",
    ),
    "traces that stay for ever": (of("traces.retention", "0s"), "traces.retention: 0s is shorter than 1s"),
    "traces that do not stay": (of("traces.retention", "1ms"), "traces.retention: 1ms is shorter than 1s"),
    "alerts that wait for years": (
        of("notifications.group_wait", "1y"),
        "notifications.group_wait: 1y is longer than 1d",
    ),
    "a monitor that hears nothing for months": (of("notifications.deadman_interval", "9w"), "is longer than 1d"),
    # addresses
    "IPv4 in brackets": (of("publish.prometheus", "[127.0.0.1]:9090"), "publish.prometheus: is not"),
    "one port twice, spelled otherwise": (
        {"publish": {"prometheus": "[::1]:9090", "alertmanager": "[0:0::1]:9090"}},
        "both want port 9090",
    ),
    "an address of many": (of("publish.prometheus", "224.0.0.1:9090"), "is an address of many hosts"),
    "an address of all": (of("publish.prometheus", "255.255.255.255:9090"), "is an address of many hosts"),
    "a port in digits of another script": (
        of("publish.prometheus", "127.0.0.1:\uff19\uff10\uff19\uff10"),
        "is not host:port",
    ),
    "a host of dots": (mail("....:25"), "receivers.0.server: is not host:port"),
    "a host of colons": (mail("[:::::]:25"), "receivers.0.server: is not host:port"),
    "a host that begins like a flag": (mail("-h:25"), "receivers.0.server: is not host:port"),
    "a host that is too long": (mail(f"{'a' * 64}.example:25"), "receivers.0.server: is not host:port"),
    "a tag of an image in another script": (of("images.loki", "x/loki:é"), "images.loki: "),
    "an option of ssh as a host": (of("docker.host", "ssh://-oProxyCommand=x"), "docker.host: is not unix:///path"),
    "an option of ssh as a user": (of("docker.host", "ssh://-oX@h"), "docker.host: is not unix:///path"),
    "a command behind a host": (of("docker.host", "ssh://u@h;id"), "docker.host: is not unix:///path"),
    "a command in a host": (of("docker.host", "ssh://u@h$(id)"), "docker.host: is not unix:///path"),
    "a blank in a host": (of("docker.host", "ssh://u@h x"), "docker.host: is not unix:///path"),
    "a percent sign in a host": (of("docker.host", "ssh://u@h%20x"), "docker.host: is not unix:///path"),
    "a port of an engine that is too large": (of("docker.host", "ssh://u@h:99999"), "docker.host: is not unix:///path"),
    "a port of an engine that is none": (of("docker.host", "tcp://localhost:x"), "docker.host: is not unix:///path"),
    "an address of an engine that does not close": (
        of("docker.host", "ssh://u@[::1"),
        "docker.host: is not unix:///path",
    ),
    "a port of a host in between that is too large": (
        {"docker": {"host": "ssh://h", "ssh": {"jump": "h:99999"}}},
        "docker.ssh.jump: is not [user@]host[:port]",
    ),
    "a range of everything": (of("edge_subnet", "0.0.0.0/0"), "edge_subnet: is not an address range"),
    "a range of each host itself": (of("edge_subnet", "127.0.0.0/24"), "edge_subnet: is a range that no network"),
    "a range of groups": (of("edge_subnet", "224.0.0.0/24"), "edge_subnet: is a range that no network"),
    "a range of one wire": (of("edge_subnet", "169.254.0.0/16"), "edge_subnet: is a range that no network"),
    "a range of nobody": (of("edge_subnet", "0.0.0.0/24"), "edge_subnet: is a range that no network"),
    "an image above its registry": (of("images.loki", "../loki:1"), "images.loki: "),
    "half a digest": (of("images.loki", "x/loki:1@sha256:abc"), "images.loki: "),
    "a mirror with an empty folder": (of("images.registry", "x.example//a"), "images.registry: is not host"),
    "a mirror above itself": (of("images.registry", "x.example/../y"), "images.registry: is not host"),
    "no file": (of("alerts.rule_files.0", ""), "alerts.rule_files.0: is not inside the project"),
    "the project itself as a file": (of("alerts.rule_files.0", "."), "alerts.rule_files.0: is not inside the project"),
    "a bucket with two dots": (of("logs.s3.bucket", "a..b"), "logs.s3.bucket: has two dots"),
    "a bucket that is an address": (of("logs.s3.bucket", "10.0.0.1"), "logs.s3.bucket: has two dots"),
    "logs since the year one": ({"logs": {"s3": {"bucket": "logs", "since": "0001-01-01"}}}, "logs.s3.since: "),
    "an action twice": (
        {
            "notifications": {"incidents": {}},
            "actions": 2 * [{"alert": "ApplicationDown", "restart": "shop", "at_most": "1 per 1h"}],
        },
        "actions.1: stands there twice",
    ),
    # labels and hours
    "a label that edges have": (of("metrics.external_labels.host", "x"), "host: is a label that"),
    "a label that is a bucket": (of("metrics.external_labels.le", "x"), "le: is a label that"),
    "a severity as a label": (condition(labels={"severity": "x"}), "labels.severity: severity has a key of its own"),
    "a service as a label": (
        condition(labels={"service": "x"}),
        "labels.service: service has a key of its own: write services",
    ),
    "a zone that each machine has otherwise": (
        of("notifications.hours.x", {"zone": "localtime"}),
        "is not a time zone",
    ),
}


@pytest.mark.parametrize(("config", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_value_that_a_service_would_refuse_is_refused_before(config: dict[str, Any], words: str) -> None:
    [line] = refusal(config, stack="prod").splitlines()
    assert line.startswith(f"Pulumi.prod.yaml: {PROJECT}:")
    assert words in line


@pytest.mark.parametrize("domain", [f"{'a' * 64}.example.com", f"{'a.' * 130}b"], ids=["one part", "all parts"])
def test_a_domain_is_no_longer_than_dns_has_them(domain: str) -> None:
    assert "door.domain: " in refusal({**DOOR, "door": {"domain": domain}}, secrets=OF_DOOR)


def test_an_edge_does_not_send_to_itself() -> None:
    config = {"role": "edge", "host_name": "web-2", "centre": {"url": "https://127.0.0.1"}}
    assert "centre.url: leads to the stack's own container" in refusal(config, secrets=("centre_password",))


def test_an_edge_that_may_send_nothing_is_refused() -> None:
    assert "edges.web-2.rate: " in refusal({**DOOR, "edges": {"web-2": {"rate": "0"}}}, secrets=OF_DOOR[:1])


@pytest.mark.parametrize(
    ("written", "read"),
    [("127.0.0.1:9090", "127.0.0.1:9090"), ("[::1]:09090", "[::1]:9090"), ("[0:0::1]:9090", "[::1]:9090"), ("0.0.0.0:80", "0.0.0.0:80")],
)  # fmt: skip
def test_an_address_has_one_spelling(written: str, read: str) -> None:
    assert settings_of({"publish": {"prometheus": written}}).publish.prometheus == read


@pytest.mark.parametrize(
    "server", ["db:5432", "my_db.shop_default:1", "10.0.0.1:25", "[fd00::1]:25", "a.example.:25", "x--y:1"]
)
def test_a_host_and_its_port_pass(server: str) -> None:
    assert settings_of(mail(server)).notifications.receivers[0].server == server  # type: ignore[union-attr]


NOT_OF_RE2 = [
    "(a++)", "((?>a))", "(?P<x>a)(?P=x)", "(a)?(?(1)b|c)", r"(a)\Z", "(a{1001})", "((?:a{1000}){1000})", r"(\u0041)", "(?x)(a)", "(?a)(a)",
    r"(\N{DIGIT ONE})", "(?#c)(a)", r"([\b])", r"(a)\1", "(?=a)(b)", "(?<!a)(b)", "(a{,5})", r"(\é)",
]  # fmt: skip
OF_RE2 = [
    r"order=(\d+)", "(?i)(a)", "(?P<x>a)", r"(\x41\.\-\ \_)", r"([\w.-]+@)", "(a{2,10}b*?)", r"((?:a{10}){10})", r"\b([A-Z]{2}\d{2})\b",
    r"(\101)", r"([^\]\\]+)", "(a)(?:b|c)+?", "([a&&b]|[(?>]+)", r"(\(\?>)", "(?s:(a.b))",
]  # fmt: skip


@pytest.mark.parametrize("pattern", NOT_OF_RE2)
def test_an_expression_that_go_refuses_is_refused_before(pattern: str) -> None:
    message = refusal({"logs": {"mask": {"order": pattern}}})
    assert message.startswith(f"Pulumi.test.yaml: {PROJECT}:logs.mask: order: ")
    assert "\n" not in message


@pytest.mark.parametrize("pattern", OF_RE2)
def test_an_expression_that_go_takes_passes(pattern: str) -> None:
    assert expressions.fault(pattern) == ""
    assert re2.compile(pattern)


@pytest.mark.parametrize("pattern", ["(x*)", "(.*)", r"(\d*)$", "()"])
def test_a_mask_that_fits_everywhere_is_refused(pattern: str) -> None:
    assert "order: fits an empty text too" in refusal({"logs": {"mask": {"order": pattern}}})
