"""The policies on health checks, logs and restarts."""

from typing import Any

import pytest

from tests.policy.pack_host import UNKNOWN, of_one

JSON_FILE = {"logDriver": "json-file", "logOpts": {"max-size": "10m", "max-file": "3"}}


def checked(*tests: Any) -> dict[str, Any]:
    return {"healthcheck": {"tests": list(tests), "interval": "30s"}}


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param(checked("CMD", "wget", "http://127.0.0.1"), None, id="a check"),
        pytest.param(checked("CMD-SHELL", "wget -q http://x || exit 1"), None, id="a check by a shell"),
        pytest.param(
            {"healthcheck": {"tests": ["CMD", "x"], "interval": "1m0s", "retries": 10}}, None, id="a patient one"
        ),
        pytest.param({"mustRun": False}, None, id="a job that ends"),
        pytest.param({"start": False}, None, id="never started"),
        pytest.param({}, "it has no health check", id="no check"),
        pytest.param(checked(), "no health check", id="an empty one"),
        pytest.param(checked("NONE"), "no health check", id="turned off"),
        pytest.param(checked("CMD"), "no health check", id="without a command"),
        pytest.param(checked("none"), "no health check", id="turned off in another spelling"),
        pytest.param(checked("CMD-SHELL", " "), "no health check", id="with a blank command"),
        pytest.param(checked("CMD-SHELL", "true"), "never fails", id="one that only says yes"),
        pytest.param(checked("CMD", "/bin/true"), "never fails", id="one that only says yes, by its path"),
        pytest.param(checked("CMD", "echo", "ok"), "never fails", id="one that only prints"),
        pytest.param(checked("CMD", "/bin/sh", "-c", "true"), "never fails", id="one that only says yes, by a shell"),
        pytest.param(checked("CMD-SHELL", ":"), "never fails", id="one that does nothing"),
        pytest.param(checked("CMD-SHELL", "exit 0"), "never fails", id="one that ends well"),
        pytest.param(
            checked("CMD-SHELL", "curl -f http://x || true"), "never fails", id="one whose failure is dropped"
        ),
        pytest.param(checked("CMD-SHELL", "curl -f http://x; exit 0"), "never fails", id="one whose result is dropped"),
        pytest.param(
            {"healthcheck": {"tests": ["CMD", "x"], "interval": "24h0m0s"}}, "after 4320 minutes", id="one for each day"
        ),
        pytest.param(
            {"healthcheck": {"tests": ["CMD", "x"], "retries": 1000000}},
            "interval times retries",
            id="one that is never sure",
        ),
        pytest.param({"mustRun": UNKNOWN}, "no health check", id="may be a service"),
        pytest.param({"healthcheck": UNKNOWN}, "healthcheck is not known", id="unknown"),
        pytest.param(checked("CMD", UNKNOWN), "healthcheck.tests.1 is not known", id="an unknown command"),
    ],
)
def test_health_check(props: dict[str, Any], says: str | None) -> None:
    messages = of_one("health-check", props)
    assert len(messages) == (says is not None), messages
    assert says is None or says in messages[0]


def test_a_container_may_go_without_a_health_check_for_a_reason() -> None:
    assert of_one("health-check", {}, name="alloy") == []
    assert of_one("health-check", {}, name="app", config={"without": {"app": "its clients report it"}}) == []
    assert len(of_one("health-check", {}, name="alloy", config={"without": {"app": "its clients report it"}})) == 1


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param(JSON_FILE, None, id="rotated"),
        pytest.param({"logDriver": "local"}, None, id="a driver that rotates"),
        pytest.param({"logDriver": "journald"}, None, id="the journal, which rotates"),
        pytest.param({"start": False}, None, id="never started"),
        pytest.param({}, "its log driver is the default of the engine", id="no log driver"),
        pytest.param({"logDriver": "syslog"}, "its log driver is syslog", id="another driver"),
        pytest.param({"logDriver": "none"}, "its log driver is none", id="no log"),
        pytest.param({"logDriver": "json-file"}, "set max-size and max-file", id="not rotated"),
        pytest.param({"logDriver": "json-file", "logOpts": {"max-file": "3"}}, "set max-size of", id="no size"),
        pytest.param({"logDriver": "json-file", "logOpts": {"max-size": "1m"}}, "set max-file of", id="no number"),
        pytest.param({**JSON_FILE, "mustRun": False, "logOpts": {}}, "set max-size", id="a job that ends"),
        pytest.param(
            {"logDriver": "json-file", "logOpts": {"max-size": "-1", "max-file": "3"}}, "max-size is -1", id="no bound"
        ),
        pytest.param(
            {"logDriver": "json-file", "logOpts": {"max-size": "0", "max-file": "3"}},
            "max-size is 0",
            id="no bound by 0",
        ),
        pytest.param(
            {"logDriver": "json-file", "logOpts": {"max-size": "1m", "max-file": "0"}},
            "max-file is 0",
            id="no number by 0",
        ),
        pytest.param(
            {"logDriver": "local", "logOpts": {"max-size": "-1"}}, "max-size is -1", id="a driver that would rotate"
        ),
        pytest.param({"logDriver": UNKNOWN}, "logDriver is not known", id="an unknown driver"),
        pytest.param(
            {"logDriver": "json-file", "logOpts": {"max-size": UNKNOWN}}, "max-size is not known", id="unknown"
        ),
    ],
)
def test_log_rotation(props: dict[str, Any], says: str | None) -> None:
    messages = of_one("log-rotation", props)
    assert len(messages) == (says is not None), messages
    assert says is None or says in messages[0]


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({"restart": "unless-stopped"}, None, id="a service"),
        pytest.param({"restart": "always"}, None, id="a service, always"),
        pytest.param({"restart": "no", "mustRun": False}, None, id="a job"),
        pytest.param({"mustRun": False}, None, id="a job by default"),
        pytest.param({"restart": "on-failure", "mustRun": False}, None, id="a job, tried again"),
        pytest.param({}, "it stays down after a crash or a reboot (restart is no)", id="a service by default"),
        pytest.param({"restart": "no"}, "it stays down", id="a service that stays down"),
        pytest.param(
            {"restart": "on-failure"},
            "it stays down after a crash or a reboot (restart is on-failure)",
            id="after a reboot",
        ),
        pytest.param({"restart": "always", "mustRun": False}, "repeats its job for ever", id="a job for ever"),
        pytest.param({"restart": UNKNOWN}, "restart is not known", id="unknown"),
    ],
)
def test_restart_policy(props: dict[str, Any], says: str | None) -> None:
    messages = of_one("restart-policy", props)
    assert len(messages) == (says is not None), messages
    assert says is None or says in messages[0]
