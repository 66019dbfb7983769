"""What a stack is given that is wrong: settings, files, hosts, secrets, payloads, pages. Each is refused with a clear message
or a count, and nothing else is affected."""

import contextlib
import copy
import gzip
import itertools
import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import requests

from check import pages
from tests.drills import steady
from tests.drills.frame import Drill
from tests.drills.ground import SCRAPED_SECONDS, Ground, OnGround, reached
from tests.drills.hostile import LABELS, MANY_SERIES, Page
from tests.e2e import remote, tracing
from tests.e2e.wait import until

LINES_OF_A_MESSAGE = 4
"""At most, of what a command says when it refuses."""
MIB = 2**20
RUNNING = "every container runs on, untouched"
STEADY = "steady lines, traces and samples all arrive"


def refused(ground: Ground, printed: str, *words: str) -> str:
    """The one message in what a command printed, which has these words."""
    assert "Traceback" not in printed, f"a traceback: {printed}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    told = [line for line in lines if words[0] in line]
    assert told, f"no word of “{words[0]}”: {printed}"
    for word in words:
        assert word in printed, f"no word of “{word}”: {printed}"
    return told[0].removeprefix("✗ ")[:160]


def untouched(ground: Ground, attempt: Callable[[], str]) -> str:
    """Makes an attempt, after which the stack file is as before and every container as it was."""
    stack = ground.stack
    config, text, before = copy.deepcopy(stack.config), stack.file.read_bytes(), stack.containers()
    try:
        told = attempt()
    finally:
        stack.config = config
        stack.file.write_bytes(text)
    assert stack.containers() == before, "containers were made or removed"
    return told


# Settings: `make up` with a stack file in which one thing is wrong

SETTINGS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "unknown-key": ("a misspelt key", {"metrics": {"scrape_intervall": "5s"}}, ("did you mean scrape_interval",)),
    "no-duration": ("`scrape_interval: soon`", {"metrics": {"scrape_interval": "soon"}}, ("is not a time span",)),
    "timeout": ("a timeout longer than its interval", {"metrics": {"scrape_timeout": "1h"}}, ("longer than scrape_interval",)),
    "retention": ("a retention of five minutes", {"metrics": {"retention": {"time": "5m"}}}, ("shorter than 1h",)),
    "ceiling": ("limits beyond the ceiling", {"memory": {"ceiling": "256MiB"}}, ("memory.ceiling",)),
    "no-size": ("`memory.prometheus: lots`", {"memory": {"prometheus": "lots"}}, ("memory.prometheus",)),
    "port-twice": ("one port for two services", {"publish": {"prometheus": "127.0.0.1:9093", "alertmanager": "127.0.0.1:9093"}}, ("both want port 9093",)),
    "port-range": ("port 99999", {"publish": {"prometheus": "127.0.0.1:99999"}}, ("publish.prometheus",)),
    "mask": ("a mask that is no regular expression", {"logs": {"mask": {"x": "("}}}, ("is no regular expression",)),
    "percent": ("a sampling rate of 140 %", {"traces": {"sampling": {"rest": 140}}}, ("is no percentage",)),
    "registry": ("a registry with `https://`", {"images": {"registry": "https://mirror.example/"}}, ("images.registry",)),
    "list": ("a text where a list belongs", {"networks": "shop_default"}, ("must be a list",)),
    "nested": ("a value nested 10,000 deep", {"metrics": "[" * 10_000}, ("must be a mapping",)),
    "secret-in-clear": ("a secret in clear", {"pagerduty_key": "0123456789"}, ("is a secret: store it with",)),
    "no-password": ("a user without a password", {"exporters": {"redis": {"address": "cache:6379", "user": "me"}}}, ("needs its password",)),
    "credentials": ("a password in a URI", {"exporters": {"mongodb": {"uri": "mongodb://me:hidden@mongo:27017"}}}, ("exporters.mongodb.uri",)),
    "host-scheme": ("an engine at `ftp://`", {"docker": {"host": "ftp://vps"}}, ("is not unix:///path",)),
    "rules-missing": ("a rule file that is not there", {"alerts": {"rule_files": ["nowhere.yml"]}}, ("nowhere.yml: No such file",)),
    "rules-twice": ("two rule files of one name", {"alerts": {"rule_files": ["drills.yml", "./drills.yml"]}}, ("is called drills.yml too",)),
    "dashboard-missing": ("a dashboard that is not there", {"grafana": {"dashboards": ["nowhere.json"]}}, ("nowhere.json: No such file",)),
    "host-socket": ("an engine's socket that is not there", {"docker": {"host": "unix:///nowhere/docker.sock"}}, ("/nowhere/docker.sock",)),
    "host-closed": ("an engine's port that is closed", {"docker": {"host": "tcp://127.0.0.1:9"}}, ("tcp://127.0.0.1:9", "docker.host")),
    "host-unknown": ("an ssh host that nobody knows", {"docker": {"host": "ssh://me@no-such-host.invalid"}}, ("no-such-host.invalid",)),
    "host-ssh-closed": ("an ssh port that is closed", {"docker": {"host": "ssh://me@127.0.0.1:9"}}, ("ssh://me@127.0.0.1:9",)),
}  # fmt: skip
"""Name → what is wrong, what the stack file says, words of the message."""


def setting(ground: Ground, *, config: Mapping[str, Any], words: tuple[str, ...]) -> str:
    def attempt() -> str:
        ground.stack.config = {**ground.stack.config, **config}
        return refused(ground, ground.make_up(fails=True), *words)

    return untouched(ground, attempt)


# Files

FILES: dict[str, tuple[str, str, bytes, tuple[str, ...]]] = {
    "rules-binary": ("a rule file that is not UTF-8", "bad.yml", b"groups: \xff\xfe\x00", ("bad.yml", "decode")),
    "rules-broken": ("a rule file that is no YAML", "bad.yml", b"groups: [", ("bad.yml: is no YAML",)),
    "rules-large": ("a rule file of 20 MiB", "bad.yml", b"groups: []\n" + b"#" * 20 * MIB, ("bad.yml: has 20.0 MiB",)),
    "rules-promql": (
        "a rule with wrong PromQL",
        "bad.yml",
        json.dumps({"groups": [{"name": "bad", "rules": [{"alert": "Bad", "expr": "rate(up[5m"}]}]}).encode(),
        ("its validator refuses", "parse error"),
    ),
    "rules-doubled": (
        "two groups of one name in a file",
        "bad.yml",
        json.dumps({"groups": [{"name": "bad", "rules": []}, {"name": "bad", "rules": []}]}).encode(),
        ("bad", "repeated"),
    ),
    "dashboard-broken": ("a dashboard that is no JSON", "bad.json", b"{", ("bad.json: is no JSON",)),
    "dashboard-nested": ("a dashboard nested 10,000 deep", "bad.json", b"[" * 10_000, ("bad.json: is no JSON",)),
    "stack-file-broken": ("a stack file that is no YAML", "", b"config: [", ("is no YAML",)),
    "stack-file-binary": ("a stack file that is not UTF-8", "", b"\xff\xfe\x00\x01", ("is no YAML",)),
    "stack-file-list": ("a stack file that is a list", "", b"- config\n", ("holds no mapping",)),
}  # fmt: skip
"""Name → what is wrong, the file (the stack file itself for none), its bytes, words of the message."""


def file(ground: Ground, *, name: str, content: bytes, words: tuple[str, ...]) -> str:
    stack = ground.stack
    path = stack.folder / name if name else stack.file

    def attempt() -> str:
        if name.endswith(".yml"):
            stack.config["alerts"] = {**stack.config["alerts"], "rule_files": ["drills.yml", name]}
        elif name:
            stack.config["grafana"] = {"dashboards": [name]}
        stack.write()
        path.write_bytes(content)
        return refused(ground, ground.stack.toolchain("up", fails=True), *words)

    try:
        told = untouched(ground, attempt) if "validator" not in words[0] else attempt()
    finally:
        if name:
            path.unlink()
    return told


def rules_promql(ground: Ground) -> str:
    """promtool is asked at the update: the loader is replaced, and the running Prometheus keeps its files."""
    config, started = copy.deepcopy(ground.stack.config), ground.stack.started("prometheus")
    _, name, content, words = FILES["rules-promql"]
    try:
        told = file(ground, name=name, content=content, words=words)
        assert ground.stack.started("prometheus") == started, "Prometheus was restarted"
        assert "DrillRaised/warning" in ground.stack.rules(), "the rules before are gone"
    finally:
        ground.stack.config = config
        ground.stack.up()
    return told


def wrong_host_key(ground: Ground) -> str:
    folder = ground.stack.folder / "state" / "sshd"
    try:
        with remote.Sshd(folder) as sshd:
            config = {"docker": sshd.docker(known_hosts=str(sshd.wrong_known_hosts))}
            return setting(ground, config=config, words=("is not the one that is known",))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def secret(ground: Ground, *, value: str, words: tuple[str, ...]) -> str:
    def attempt() -> str:
        ground.stack.secret("slack_webhook", value)
        return refused(ground, ground.stack.toolchain("up", fails=True), *words)

    return untouched(ground, attempt)


def no_such_stack(ground: Ground) -> str:
    kept = ground.stack.stack
    ground.stack.stack = "nowhere"
    try:
        return refused(ground, ground.stack.toolchain("up", fails=True), "no file Pulumi.nowhere.yaml")
    finally:
        ground.stack.stack = kept


# Payloads


def flows(ground: Ground, attempt: Callable[[Ground], str]) -> str:
    """Makes an attempt while the steady input goes on, and looks that all of that arrives."""
    flow = ground.steady
    first, began = flow.line(), steady.now()
    told = attempt(ground)
    time.sleep(3)
    last, ended = flow.line(), time.time() - 1
    ground.lines_arrive(first, last, began)
    wanted = flow.traces(began.timestamp(), ended)
    reached("all traces are found", lambda: wanted <= flow.traces_found().keys())
    samples = flow.samples(ended - began.timestamp() + 2)
    gap = max((later - sooner for sooner, later in itertools.pairwise(samples)), default=99.0)
    assert gap <= SCRAPED_SECONDS, f"{gap:.0f} s between two scrapes of another target"
    return told


def post(ground: Ground, body: bytes, *, kind: str = "application/json", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(
        f"{ground.stack.url('otlp_http')}/v1/traces", data=body, headers={"Content-Type": kind, **named}, timeout=60
    )


def answered(ground: Ground, body: bytes, *codes: int, kind: str = "application/json", **headers: str) -> str:
    """Sends something to the collector, which answers with one of these codes."""
    try:
        answer = post(ground, body, kind=kind, **headers)
    except requests.ConnectionError as error:  # it had enough before the end
        return f"connection closed: {type(error).__name__}"
    assert answer.status_code in codes, f"{answer.status_code} {answer.text[:200]}"
    return f"{answer.status_code} {answer.text[:100].strip()}"


def span(**changes: Any) -> tuple[str, bytes]:
    """A failed request of a service called `careless`, with changes; its trace id and the body of an OTLP request."""
    trace, now = secrets.token_hex(16), time.time_ns()
    made = {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": "careless",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now),
        "status": {"code": 2},
        **changes,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "careless"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [made]}]}]}
    return str(made["traceId"]), json.dumps(body).encode()


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def kept(ground: Ground, **changes: Any) -> str:
    """A span that is odd, but whole: it is taken, and found."""
    trace, body = span(**changes)
    answer = post(ground, body)
    assert answer.ok, f"{answer.status_code} {answer.text[:200]}"
    reached("the trace is found", lambda: tracing.exists(ground.stack, trace))
    return "taken, and found"


def collector(ground: Ground, metric: str) -> float:
    """One of the collector's counters."""
    return pages.metric(ground.client, ground.stack.settings, "otel_collector", metric)


def counted(ground: Ground, body: bytes, *metrics: str) -> str:
    """Something that the collector takes and then drops: it is counted in one of these metrics."""
    before = {metric: collector(ground, metric) for metric in metrics}
    answer = post(ground, body)
    if not answer.ok:
        return f"{answer.status_code} {answer.text[:100].strip()}"

    def grown() -> list[str]:
        return [metric for metric in metrics if collector(ground, metric) > before[metric]]

    reached(f"one of {', '.join(metrics)} grows", grown)
    return f"counted in {grown()[0]}"


ZERO = {"traceId": "0" * 32, "spanId": "0" * 16}
NANOSECONDS_A_DAY = 86_400 * 10**9


def otlp() -> dict[str, tuple[str, str, Callable[[Ground], str]]]:
    """Name → what is sent, what must come of it, how."""
    many = [attribute(f"attribute.{number}", "x") for number in range(10_000)]
    past, future = (
        {"startTimeUnixNano": str(at), "endTimeUnixNano": str(at)}
        for at in (10**9, time.time_ns() + 365 * NANOSECONDS_A_DAY)
    )
    zip_bomb = partial(answered, body=gzip.compress(b"\0" * 256 * MIB, 9), Content_Encoding="gzip")
    return {
        "otlp-large": ("a request of 30 MiB", "refused (4xx)", lambda g: answered(g, span(name="x" * 30 * MIB)[1], 400, 413)),
        "otlp-bomb": ("256 MiB of zeros, as 250 KiB of gzip", "refused (4xx)", lambda g: answered(g, zip_bomb.keywords["body"], 400, 413, Content_Encoding="gzip")),
        "otlp-protobuf": ("bytes that are no protobuf", "refused (400)", lambda g: answered(g, secrets.token_bytes(1000), 400, kind="application/x-protobuf")),
        "otlp-json": ("JSON that is cut off", "refused (400)", lambda g: answered(g, span()[1][:-20], 400)),
        "otlp-type": ("a content type that is none of OTLP's", "refused (415)", lambda g: answered(g, span()[1], 415, kind="text/plain")),
        "otlp-nested": ("JSON nested 10,000 deep", "refused (400)", lambda g: answered(g, b'{"resourceSpans":' + b"[" * 10_000, 400)),
        "otlp-attribute": ("an attribute of 1 MiB", "taken, and found", lambda g: kept(g, attributes=[attribute("filler", "x" * MIB)])),
        "otlp-attributes": ("a span with 10,000 attributes", "taken, and found", lambda g: kept(g, attributes=many)),
        "otlp-past": ("a span of 1970", "taken, and found", lambda g: kept(g, **past)),
        "otlp-future": ("a span of next year", "taken, and found", lambda g: kept(g, **future)),
        "otlp-zero": ("a trace id of zeros", "refused, or counted", lambda g: counted(g, span(**ZERO)[1], "otelcol_receiver_refused_spans_total", "otelcol_exporter_send_failed_spans_total")),
    }  # fmt: skip


def lines_of(ground: Ground, script: str, wanted: Callable[[list[Any]], bool], *, seconds: float = 60) -> list[Any]:
    """What Loki has of a container that runs a script, once it is as wanted."""
    logs = ground.steady.logs
    name = f"careless{secrets.token_hex(2)}"
    logs.began = steady.now()
    container = logs.run(name, f"{script}; sleep 300")
    try:
        with contextlib.suppress(Exception):  # told by who asked
            until(lambda: wanted(logs.lines(name)), seconds=seconds)
        return list(logs.lines(name))
    finally:
        logs.shop.remove(container)


def long_line(ground: Ground) -> str:
    """The shipper leaves it out, as the docs say; what follows it is there."""
    script = "head -c 10485760 /dev/zero | tr '\\0' x; echo; echo after"
    texts = [line.text for line in lines_of(ground, script, lambda found: any(line.text == "after" for line in found))]
    assert "after" in texts, f"what follows it is missing; lengths {[len(text) for text in texts]}"
    return f"found pieces of {sorted({len(text) for text in texts})} characters"


def odd_lines(ground: Ground, script: str, texts: int) -> str:
    found = lines_of(ground, script, lambda lines: len(lines) >= texts)
    assert len(found) == texts, f"{len(found)} of {texts} lines: {[line.text[:60] for line in found]}"
    streams = {tuple(sorted(line.labels)) for line in found}
    assert streams == {("level", "service", "source")}, f"labels {streams}"
    return f"{texts} of {texts} lines found"


def pushed(ground: Ground, labels: int, code: int, *, at: int = 0) -> str:
    """A line that goes straight to Loki."""
    stream = {f"label{number}": "x" for number in range(labels)} | {"service": "careless"}
    body = {"streams": [{"stream": stream, "values": [[str(at or time.time_ns()), "careless"]]}]}
    answer = requests.post(f"{ground.stack.url('loki')}/loki/api/v1/push", json=body, timeout=30)
    assert answer.status_code == code, f"{answer.status_code} {answer.text[:200]}"
    return f"{answer.status_code} {answer.text[:120].strip()}"


def log_lines() -> dict[str, tuple[str, str, Callable[[Ground], str]]]:
    """Name → what is written, what must come of it, how."""
    nested = "'" + '{"a":' * 10_000 + "1" + "}" * 10_000 + "'"
    many = "'" + json.dumps({"level": "info", **{f"key{number}": "x" for number in range(100)}}) + "'"
    year = 365 * NANOSECONDS_A_DAY
    one = "the line is found, under three labels"
    return {
        "line-long": ("a line of 10 MiB", "left out or in pieces; the next line is found", long_line),
        "line-binary": ("a line of every byte", one, lambda g: odd_lines(g, "printf '\\001\\002\\377\\376\\200\\033[31m\\n'; echo after", 2)),
        "line-utf8": ("a line that is not UTF-8", one, lambda g: odd_lines(g, "printf 'caf\\351 \\303\\050\\n'; echo after", 2)),
        "line-open": ("a last line without its end", one, lambda g: odd_lines(g, "printf 'no end'; exec sleep 1", 1)),
        "line-nested": ("JSON nested 10,000 deep", one, lambda g: odd_lines(g, f"echo {nested}; echo after", 2)),
        "line-keys": ("JSON with 100 keys", one, lambda g: odd_lines(g, f"echo {many}", 1)),
        "line-future": ("a time in the year 2999", one, lambda g: odd_lines(g, """echo '{"time":"2999-01-01T00:00:00.5Z","msg":"x"}'""", 1)),
        "line-past": ("a time in the year 1970", one, lambda g: odd_lines(g, """echo '{"time":"1970-01-01T00:00:00.5Z","msg":"x"}'""", 1)),
        "push-labels": ("100 labels, straight to Loki", "refused (400)", lambda g: pushed(g, 100, 400)),
        "push-past": ("a line of last year, straight to Loki", "refused (400)", lambda g: pushed(g, 0, 400, at=time.time_ns() - year)),
        "push-future": ("a line of next year, straight to Loki", "refused (400)", lambda g: pushed(g, 0, 400, at=time.time_ns() + year)),
    }  # fmt: skip


TARGETS: dict[Page, tuple[str, str]] = {
    "broken": ("a page that is no exposition", ""),
    "binary": ("a page of every byte", ""),
    "large": ("a page of 25 MiB", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "endless": ("a page without end", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "slow": ("a page that comes a line every half second", ""),
    "many": (f"{MANY_SERIES:,} series", "prometheus_target_scrapes_exceeded_sample_limit_total"),
    "wide": (f"a series with {LABELS} labels", ""),
}
"""Page → in words, and the counter of it where there is one."""


def target(ground: Ground, *, page: Page, counter: str) -> str:
    """The target is down, with a reason, and its samples are not taken."""
    before = sum(float(one["value"][1]) for one in ground.stack.query(counter)) if counter else 0
    ground.hostile.page = page
    try:
        reached("the target is down", lambda: ground.stack.query('up{service="hostile"} == 0'))
        targets = ground.stack.get("prometheus", "/api/v1/targets", state="active")["data"]["activeTargets"]
        [reason] = [one["lastError"] for one in targets if one["labels"].get("service") == "hostile"]
        assert reason, "no reason is told"
        if counter:
            reached(
                f"{counter} grows", lambda: sum(float(one["value"][1]) for one in ground.stack.query(counter)) > before
            )
    finally:
        ground.hostile.page = "good"
        reached("the target is up again", lambda: ground.stack.query('up{service="hostile"} == 1'))
    return f"{reason[:120]}" + (f"; counted in {counter}" if counter else "")


def drills() -> list[OnGround]:
    """All of them; `ONLY=input` names them together."""
    made: list[OnGround] = []

    def add(name: str, cause: str, holds: str, run: Callable[[Ground], str]) -> None:
        made.append(Drill(f"input-{name}", cause, holds, run))

    message = f"`make up` refuses it in one message; {RUNNING}"
    for name, (what, config, words) in SETTINGS.items():
        add(name, what, message, partial(setting, config=config, words=words))
    for name, (what, path, content, words) in FILES.items():
        run = rules_promql if name == "rules-promql" else partial(file, name=path, content=content, words=words)
        add(name, what, message, run)
    add("no-such-stack", "a stack that has no file", message, no_such_stack)
    add("host-key", "an ssh host with another key than the known one", message, wrong_host_key)
    add(
        "secret-blank",
        "a blank secret",
        message,
        partial(secret, value=" ", words=("slack_webhook: the secret is blank",)),
    )
    add(
        "secret-no-url",
        "a webhook that is no URL",
        message,
        partial(secret, value="hooks.example", words=("slack_webhook: the secret is no URL",)),
    )
    for name, (what, outcome, send) in {**otlp(), **log_lines()}.items():
        add(name, what, f"{outcome}; {STEADY}", partial(flows, attempt=send))
    for page, (what, counter) in TARGETS.items():
        outcome = "the target is down, with a reason" + (f", counted in `{counter}`" if counter else "")
        add(
            f"target-{page}",
            what,
            f"{outcome}; {STEADY}",
            partial(flows, attempt=partial(target, page=page, counter=counter)),
        )
    return made
