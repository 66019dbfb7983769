"""Settings, files, hosts and secrets that are wrong: `make up` refuses each in one clear message, and nothing changes."""

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from drills.bystanders import running
from drills.frame import Drill
from drills.ground import Ground, OnGround
from tests.support import remote

LINES_OF_A_MESSAGE = 2
"""That say it, at most: Pulumi shows an error when it comes, and at its end once more."""
MIB = 2**20
REFUSED = "`make up` refuses it in one message; every container runs on, untouched"


def refused(ground: Ground, printed: str, *words: str) -> str:
    """The one message in what a command printed, which has these words."""
    assert "Traceback" not in printed, f"a traceback: {printed}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    messages = [line for line in lines if words[0] in line]
    assert messages, f"no word of “{words[0]}”: {printed}"
    assert len(messages) <= LINES_OF_A_MESSAGE, f"said {len(messages)} times: {printed}"
    for word in words:
        assert word in printed, f"no word of “{word}”: {printed}"
    return messages[0].removeprefix("✗ ")[:160]


def untouched(ground: Ground, attempt: Callable[[], str]) -> str:
    """Makes an attempt, and checks that it changed neither the stack file nor a container."""
    stack = ground.stack
    config, text, before, since = (
        copy.deepcopy(stack.config),
        stack.file.read_bytes(),
        stack.containers(),
        running(ground),
    )
    try:
        message = attempt()
    finally:
        stack.config = config
        stack.file.write_bytes(text)
    assert stack.containers() == before, "containers were made or removed"
    assert running(ground) == since, "a service was restarted"
    return message


# Settings: `make up` with a stack file in which one thing is wrong

SETTINGS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "unknown-key": ("a misspelt key", {"metrics": {"scrape_intervall": "5s"}}, ("did you mean scrape_interval",)),
    "no-duration": ("`scrape_interval: soon`", {"metrics": {"scrape_interval": "soon"}}, ("is not a time span",)),
    "timeout": ("a timeout longer than its interval", {"metrics": {"scrape_timeout": "1h"}}, ("longer than scrape_interval",)),
    "retention": ("a retention of five minutes", {"metrics": {"retention": {"time": "5m"}}}, ("shorter than 1h",)),
    "ceiling": ("limits beyond the ceiling", {"memory": {"ceiling": "256MiB"}}, ("memory.ceiling",)),
    "no-size": ("`memory.prometheus: lots`", {"memory": {"prometheus": "lots"}}, ("memory.prometheus: is no size",)),
    "port-twice": ("one port for two services", {"publish": {"prometheus": "127.0.0.1:9093", "alertmanager": "127.0.0.1:9093"}}, ("both want port 9093",)),
    "port-range": ("port 99999", {"publish": {"prometheus": "127.0.0.1:99999"}}, ("publish.prometheus",)),
    "mask": ("a mask that is no regular expression", {"logs": {"mask": {"x": "("}}}, ("is no regular expression",)),
    "percent": ("a sampling rate of 140 %", {"traces": {"sampling": {"rest": 140}}}, ("is no percentage",)),
    "registry": ("a registry with `https://`", {"images": {"registry": "https://mirror.example/"}}, ("images.registry: is not host",)),
    "list": ("a text where a list belongs", {"networks": "shop_default"}, ("must be a list",)),
    "nested": ("a value nested 10,000 deep", {"metrics": "[" * 10_000}, ("must be a mapping",)),
    "secret-in-clear": ("a secret in clear", {"pagerduty_key": "0123456789"}, ("is a secret: store it with",)),
    "no-password": ("a user without a password", {"exporters": {"redis": {"address": "cache:6379", "user": "me"}}}, ("needs its password",)),
    "credentials": ("a password in a URI", {"exporters": {"mongodb": {"uri": "mongodb://me:hidden@mongo:27017"}}}, ("exporters.mongodb.uri",)),
    "host-scheme": ("an engine at `ftp://`", {"docker": {"host": "ftp://vps"}}, ("is not unix:///path",)),
    "rules-missing": ("a rule file that is not there", {"alerts": {"rule_files": ["nowhere.yml"]}}, ("nowhere.yml: No such file",)),
    "dashboard-missing": ("a dashboard that is not there", {"grafana": {"dashboards": ["nowhere.json"]}}, ("nowhere.json: No such file",)),
    "network-missing": ("a network that is not there", {"networks": ["nowhere"]}, ("nervous-system:networks: nowhere",)),
    "certificates-missing": ("a folder of certificates that is not there", {"docker": {"host": "tcp://127.0.0.1:9", "certificates": "nowhere"}}, ("nowhere/ca.pem",)),
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
    "dashboard-broken": ("a dashboard that is no JSON", "bad.json", b"{", ("bad.json: is no JSON",)),
    "dashboard-nested": ("a dashboard nested 10,000 deep", "bad.json", b"[" * 10_000, ("bad.json: is no JSON",)),
    "policies-broken": ("a config of the policies that is no JSON", "policies.drills.json", b"{", ("policies.drills.json: is no JSON",)),
    "policies-unknown": ("a misspelt policy in their config", "policies.drills.json", b'{"memory-ceilling": {"ceiling_mib": 28672}}', ("policies.drills.json: memory-ceilling", "did you mean memory-ceiling?")),
    "policies-key": ("a misspelt key of a policy in their config", "policies.drills.json", b'{"disk-budget": {"disk_gb": 500}}', ("policies.drills.json: disk-budget.disk_gb", "did you mean disk_gib?")),
    "policies-value": ("a text where a policy wants a number", "policies.drills.json", b'{"memory-ceiling": {"ceiling_mib": "lots"}}', ("ceiling_mib",)),
    "stack-file-broken": ("a stack file that is no YAML", "", b"config: [", ("is no YAML",)),
    "stack-file-binary": ("a stack file that is not UTF-8", "", b"\xff\xfe\x00\x01", ("is no YAML",)),
    "stack-file-list": ("a stack file that is a list", "", b"- config\n", ("holds no mapping",)),
}  # fmt: skip
"""Name → what is wrong, the file (the stack file itself for none), its bytes, words of the message."""
RULES: dict[str, tuple[str, str, bytes, tuple[str, ...]]] = {
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
        ("its validator refuses", "repeated"),
    ),
}
"""The same, of what only promtool sees."""


def file(ground: Ground, *, name: str, content: bytes, words: tuple[str, ...]) -> str:
    stack = ground.stack
    path = stack.folder / name if name else stack.file

    def attempt() -> str:
        if name.endswith(".yml"):
            stack.config["alerts"] = {**stack.config["alerts"], "rule_files": ["drills.yml", name]}
        elif name and name.startswith("bad"):
            stack.config["grafana"] = {"dashboards": [name]}
        stack.write()
        path.write_bytes(content)
        return refused(ground, ground.stack.operate("up", fails=True), *words)

    try:
        return untouched(ground, attempt)
    finally:
        if name:
            path.unlink()


def judged_late(ground: Ground, *, name: str, content: bytes, words: tuple[str, ...]) -> str:
    """promtool refuses the file during the update: the loader fails, and the running Prometheus keeps its files."""
    stack = ground.stack
    config, since = copy.deepcopy(stack.config), running(ground)
    path = stack.folder / name
    path.write_bytes(content)
    try:
        stack.config["alerts"] = {**stack.config["alerts"], "rule_files": ["drills.yml", name]}
        message = refused(ground, ground.make_up(fails=True), *words)
        assert running(ground) == since, "a service was restarted"
        assert "DrillRaised/warning" in stack.rules(), "the rules before are gone"
    finally:
        stack.config = config
        path.unlink()
        stack.up()
    return message


def ssh_host(ground: Ground, *, options: Callable[[remote.Sshd], Mapping[str, str]], words: tuple[str, ...]) -> str:
    """A host that is there, by settings of `docker.ssh` that are wrong."""
    folder = ground.stack.folder / "state" / "sshd"
    try:
        with remote.Sshd(folder) as sshd:
            return setting(ground, config={"docker": sshd.docker(**options(sshd))}, words=words)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


SSH: dict[str, tuple[str, Callable[[remote.Sshd], Mapping[str, str]], tuple[str, ...]]] = {
    "host-key": ("an ssh host with another key than the known one", lambda sshd: {"known_hosts": str(sshd.wrong_known_hosts)}, ("is not the one that is known",)),
    "host-nobody": ("a file of known hosts that is not there", lambda _: {"known_hosts": "nowhere"}, ("its host key is not known",)),
    "host-no-key": ("a private key that is not there", lambda _: {"key": "nowhere"}, ("nowhere",)),
}  # fmt: skip
"""Name → what is wrong, what `docker.ssh` says, words of the message."""


def secret(ground: Ground, *, value: str, words: tuple[str, ...]) -> str:
    def attempt() -> str:
        ground.stack.secret("slack_webhook", value)
        return refused(ground, ground.stack.operate("up", fails=True), *words)

    return untouched(ground, attempt)


def no_such_stack(ground: Ground) -> str:
    stack, name = ground.stack, ground.stack.stack

    def attempt() -> str:
        stack.stack = "nowhere"
        try:
            return refused(ground, stack.operate("up", fails=True), "no file Pulumi.nowhere.yaml")
        finally:
            stack.stack = name

    return untouched(ground, attempt)


def drills() -> list[OnGround]:
    result: list[OnGround] = []

    def add(name: str, cause: str, run: Callable[[Ground], str]) -> None:
        result.append(Drill(f"input-{name}", cause, REFUSED, run))

    for name, (what, config, words) in SETTINGS.items():
        add(name, what, partial(setting, config=config, words=words))
    for name, (what, path, content, words) in FILES.items():
        add(name, what, partial(file, name=path, content=content, words=words))
    for name, (what, path, content, words) in RULES.items():
        add(name, what, partial(judged_late, name=path, content=content, words=words))
    add("no-such-stack", "a stack that has no file", no_such_stack)
    for name, (what, options, words) in SSH.items():
        add(name, what, partial(ssh_host, options=options, words=words))
    add("secret-blank", "a blank secret", partial(secret, value=" ", words=("slack_webhook: the secret is blank",)))
    no_url = ("slack_webhook: the secret is no URL",)
    add("secret-no-url", "a webhook that is no URL", partial(secret, value="hooks.example", words=no_url))
    return result
