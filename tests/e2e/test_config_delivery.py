"""Config files reach a running service without a restart: the eight behaviours that the design promises."""

import json
import re
import secrets
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from config.services import descriptions
from config.settings.units import seconds
from engine.docker_api import execute
from tests.support.deployment import CALM, Deployment
from tests.support.wait import until

INTERVAL = seconds(CALM["scrape_interval"])
"""Of scrapes and evaluations in the test stack."""
OWN_RULE = """\
groups:
  - name: own
    rules:
      - alert: OwnAlert
        expr: vector(1) > 2
"""


def identity(stack: Deployment, service: str) -> tuple[str, str]:
    """The container, and when it was started: the same before and after what needs no restart."""
    return str(stack.container(service).id), stack.started(service)


def identities(stack: Deployment) -> dict[str, tuple[str, str]]:
    return {service: identity(stack, service) for service in stack.settings.services}


def files(stack: Deployment, service: str) -> str:
    """What stands in the service's config volume, as the service sees it: every path, and where `current` leads."""
    code, out = execute(stack.container(service), ["sh", "-c", "cd /config; find . | sort; readlink current"])
    assert code == 0, out
    return out


def text_of(stack: Deployment, service: str, path: str) -> str:
    code, out = execute(stack.container(service), ["cat", f"/config/current/{path}"])
    assert code == 0, out
    return out


def expression(stack: Deployment, rule: str) -> str:
    return str(stack.rules()[rule]["query"])


def scrapes(stack: Deployment, seconds: float) -> list[float]:
    """When Prometheus scraped itself within the last `seconds`."""
    series = stack.query(f'up{{job="prometheus"}}[{int(seconds)}s]')
    return [float(moment) for sample in series for moment, _ in sample["values"]]


# 1. What can be reloaded goes live without a restart, 7. and shows in a preview


def test_settings_go_live_without_a_restart_or_a_missed_scrape(stack: Deployment) -> None:
    assert expression(stack, "HostCpuHigh/warning").endswith("> 0.8")
    stack.config["alerts"] = {"thresholds": {"cpu": 73}}
    stack.config["notifications"] = {"repeat_interval": "7h"}
    stack.config["metrics"] = {**stack.config["metrics"], "retention": {"time": "3h", "size": "512MiB"}}

    changes = [line for line in stack.preview("--diff").splitlines() if "=>" in line]
    assert any("> 0.8" in line and "> 0.73" in line for line in changes)
    assert any('"4h"' in line and '"7h"' in line for line in changes)

    until(lambda: len(scrapes(stack, 60)) > 2)
    before, begun = identities(stack), time.time()
    stack.up()
    assert expression(stack, "HostCpuHigh/warning").endswith("> 0.73")
    assert stack.get("prometheus", "/api/v1/status/runtimeinfo")["data"]["storageRetention"] == "3h or 512MiB"
    assert "repeat_interval: 7h" in stack.get("alertmanager", "/api/v2/status")["config"]["original"]
    assert identities(stack) == before

    until(lambda: scrapes(stack, 60)[-1] > time.time() - INTERVAL)
    times = scrapes(stack, time.time() - begun + 3 * INTERVAL)
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) >= 3
    assert max(gaps) < 1.5 * INTERVAL
    assert not stack.query('min_over_time(up{job="prometheus"}[1m]) < 1')


@pytest.mark.whatever_was_set
def test_what_has_taken_new_files_is_still_started_again_after_a_crash(stack: Deployment) -> None:
    """A signal that the engine sends counts for it as a stop by hand."""
    described = [descriptions.describe(service, stack.settings) for service in stack.settings.services]
    services = [one.service for one in described if one.config and one.config.reload == "SIGHUP"]
    assert {"prometheus", "alertmanager", "otel_collector"} <= set(services)
    before = identities(stack)
    stack.config["alerts"] = {"thresholds": {"cpu": 74}}
    stack.config["notifications"] = {"repeat_interval": "6h"}
    stack.config["traces"] = {"sampling": {"decision_wait": "1s", "rest": 20}}
    stack.up()
    assert identities(stack) == before
    stack.crash(*services)
    for service in services:
        until(lambda service=service: stack.started(service) != before[service][1])  # type: ignore[misc]


# 1. and 2. What cannot be reloaded restarts its own container only


@pytest.mark.whatever_was_set
def test_a_new_version_of_the_files_restarts_only_what_cannot_reload_them(stack: Deployment) -> None:
    """These files are no settings: they change with the program."""
    stack.config["exporters"] = {"probes": [{"name": "own", "target": "http://prometheus:9090/-/ready"}]}
    stack.up()
    before = identities(stack)
    with (
        stack.edited("config/services/metrics/blackbox_exporter.py", '"timeout": "8s"', '"timeout": "7s"'),
        stack.edited("config/services/metrics/socket_proxy.py", "timeout http-request 10s", "timeout http-request 9s"),
    ):
        stack.up()
    page = f"http://{stack.settings.listens('blackbox_exporter')}:9115/config"
    modules = execute(stack.container("blackbox_exporter"), ["wget", "-q", "-O", "-", page])
    assert "timeout: 7s" in modules[1]
    assert "timeout: 8s" not in modules[1]
    assert "timeout http-request 9s" in text_of(stack, "socket_proxy", "haproxy.cfg")
    after = identities(stack)
    proxy_before, proxy_after = before.pop("socket_proxy"), after.pop("socket_proxy")
    assert after == before
    assert proxy_after[0] == proxy_before[0]
    assert proxy_after[1] > proxy_before[1]
    until(lambda: stack.query('up{job="socket_proxy"} == 1'))


# 3. What the validator refuses never reaches the service; 4. what is no longer declared disappears


@pytest.mark.whatever_was_set
def test_an_invalid_rule_file_is_refused_and_the_old_rules_stay_until_a_good_one_comes(stack: Deployment) -> None:
    own = stack.folder / "own.yml"
    stack.config["alerts"] = {"rule_files": ["own.yml"]}
    try:
        own.write_text(OWN_RULE)
        stack.up()
        assert expression(stack, "OwnAlert/warning") == "vector(1) > 2"
        before, standing = identities(stack), files(stack, "prometheus")
        assert "rules/own-own.yml" in standing

        own.write_text(OWN_RULE.replace("> 2", "> > 2"))
        printed = stack.up(fails=True)
        assert "prometheus: its validator refuses the new files; the running service keeps the old ones" in printed
        assert "could not parse expression" in printed  # promtool's own words
        assert "own-own.yml" in printed
        assert expression(stack, "OwnAlert/warning") == "vector(1) > 2"
        assert files(stack, "prometheus") == standing
        assert identities(stack) == before

        stack.container("prometheus").restart()
        until(lambda: expression(stack, "OwnAlert/warning") == "vector(1) > 2")
        assert files(stack, "prometheus") == standing

        own.write_text(OWN_RULE.replace("> 2", "> 3"))
        stack.up()
        assert expression(stack, "OwnAlert/warning") == "vector(1) > 3"

        del stack.config["alerts"]
        stack.up()
        assert "OwnAlert/warning" not in stack.rules()
        assert "own-own.yml" not in files(stack, "prometheus")
        assert len(set(re.findall(r"^\./[0-9a-f]{12}$", files(stack, "prometheus"), re.MULTILINE))) == 1
    finally:
        own.unlink(missing_ok=True)


# 3 and 5. What the validator lets pass and the service refuses


GOOD = '[{"name": alertmanager_receivers.NOWHERE}]'
UNREADABLE = (
    '[{"name": alertmanager_receivers.NOWHERE, "webhook_configs": '
    '[{"url": "http://127.0.0.1:9", "http_config": {"tls_config": {"ca_file": "/nowhere/ca.pem"}}}]}]'
)
"""amtool accepts it, because it opens no certificate. Alertmanager does, at its reload."""


@pytest.mark.whatever_was_set
def test_what_only_the_service_itself_refuses_is_taken_back(stack: Deployment) -> None:
    before, standing = identities(stack), files(stack, "alertmanager")
    linked = standing.splitlines()[-1]
    with stack.edited("config/services/metrics/alertmanager.py", GOOD, UNREADABLE):
        printed = stack.up(fails=True)
        assert "unable to read CA cert" in printed  # the service's own words
        after = files(stack, "alertmanager")
        assert after.splitlines()[-1] == linked
        assert len(after.splitlines()) > len(standing.splitlines())  # the refused files stand beside them, unused
        assert "/nowhere" not in text_of(stack, "alertmanager", "alertmanager.yml")
        stack.container("alertmanager").restart()  # would not come up with the refused files
        until(lambda: stack.get("alertmanager", "/api/v2/receivers"))
        stack.up(fails=True)  # refused again: waiting makes nothing green
    stack.up()
    assert len(set(re.findall(r"^\./[0-9a-f]{12}$", files(stack, "alertmanager"), re.MULTILINE))) == 1
    assert identities(stack)["alertmanager"][0] == before["alertmanager"][0]


# 6. What is lost heals


def lose_container(stack: Deployment) -> None:
    stack.container("prometheus").remove(force=True)


def lose_config(stack: Deployment) -> None:
    lose_container(stack)
    stack.client.containers.get(f"{stack.prefix}-prometheus-loader").remove(force=True, v=True)
    stack.client.volumes.get(f"{stack.prefix}-prometheus-config").remove()


@pytest.mark.parametrize("lose", [lose_container, lose_config])
def test_what_is_lost_heals_with_the_next_refresh_and_the_data_are_kept(
    lose: Callable[[Deployment], None], stack: Deployment
) -> None:
    until(lambda: scrapes(stack, 300))
    before, oldest = identities(stack), scrapes(stack, 300)[0]
    stack.live = None
    lose(stack)
    stack.up("--refresh")
    after = identities(stack)
    assert after.pop("prometheus")[0] != before.pop("prometheus")[0]
    assert after == before
    assert until(lambda: oldest in scrapes(stack, 3600))
    assert expression(stack, "HostCpuHigh/warning").endswith("> 0.8")
    stack.up("--expect-no-changes")


# 7. Secrets stay secret


def engine_holds(stack: Deployment, value: str) -> list[str]:
    """Volumes with `value` in one of their files: those of the stack, and all that have no name."""
    names = [str(volume.name) for volume in stack.client.volumes.list()]
    searched = [name for name in names if name.startswith(f"{stack.prefix}-") or re.fullmatch("[0-9a-f]{64}", name)]
    root = stack.client.info()["DockerRootDir"]
    # All in one, because a nameless volume that another session removes meanwhile would be made anew by its name.
    out = stack.client.containers.run(
        stack.settings.image("alertmanager"),
        # What databases allot ahead is mostly holes, and takes grep half a minute.
        entrypoint=[
            "sh",
            "-c",
            'value=$1; shift; find "$@" -type f -size -32768k -exec grep -ls "$value" {} +; true',
            "sh",
            value,
        ],
        command=[f"/volumes/{name}" for name in searched],
        user="0",
        network_mode="none",
        volumes={f"{root}/volumes": {"bind": "/volumes", "mode": "ro"}},
        remove=True,
    )
    return sorted({path.split("/")[2] for path in out.decode().splitlines()})


def texts(stack: Deployment) -> str:
    """All that people with access to the engine or to the state may read of the stack's containers."""
    ids = stack.containers().values()
    containers = [stack.client.containers.get(identifier) for identifier in ids]
    state = [file.read_text() for file in (stack.folder / "state").rglob("*") if file.is_file()]
    inspected = [json.dumps(container.attrs) for container in containers]
    logs = [container.logs().decode(errors="replace") for container in containers]
    return "\n".join([*state, *inspected, *logs, stack.file.read_text()])


def test_a_secret_is_delivered_rotated_and_removed_and_never_shows(stack: Deployment) -> None:
    marker = secrets.token_hex(8)
    old, new = f"http://127.0.0.1:9/{marker}-first", f"http://127.0.0.1:9/{marker}-second"
    own, vault = f"{stack.prefix}-alertmanager-config", f"{stack.prefix}-alertmanager-vault"
    before = identities(stack)
    printed = ""

    for value in (old, new):
        stack.secret("slack_webhook", value)
        if value == new:
            printed += stack.preview("--diff")
        printed += stack.up("--diff")
        assert text_of(stack, "alertmanager", "secrets/slack_webhook") == value
        assert '"slack"' in str(stack.get("alertmanager", "/api/v2/receivers")).replace("'", '"')
    holding = engine_holds(stack, marker)
    assert own in holding
    assert len(holding) == 2  # the service's own, and the vault's, which has no name
    assert engine_holds(stack, f"{marker}-first") == []
    readable = texts(stack) + printed
    assert "slack_webhook" in readable
    assert marker not in readable

    stack.pulumi("config", "rm", "slack_webhook")
    stack.up()
    assert vault not in stack.containers()
    assert engine_holds(stack, marker) == []
    assert "secrets" not in files(stack, "alertmanager")
    assert identities(stack) == before


@pytest.mark.whatever_was_set
def test_the_services_own_group_reads_a_secret_and_nobody_else(stack: Deployment) -> None:
    """The folder of the files keeps others out; Alertmanager runs as nobody, whose group may read."""
    mode = execute(stack.container("alertmanager"), ["stat", "-c", "%a %u:%g", "/config/current/"])[1].strip()
    assert mode == "750 0:65534"


@pytest.mark.whatever_was_set
def test_the_program_writes_nothing_beside_itself(stack: Deployment) -> None:
    """No file with a secret or a config in clear is left in the folder it runs in."""
    names = {path.name for path in Path(stack.folder).iterdir()} - {"__pycache__"}
    assert names == {
        "config", "components", "engine", "dashboards", "policies", "check", "toolchain", "operate", "__main__.py", "Pulumi.yaml", ".venv",
        "state", stack.file.name,
    }  # fmt: skip
