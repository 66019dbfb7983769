"""The project's own stacks pass the policies, whatever they select."""

from typing import Any

import pytest
import yaml

from config.catalogue import MOST_SERVERS
from config.settings.secret_keys import SECRETS
from tests.policy.changed_program import ROOT, Change, declare
from tests.policy.pack_host import ask, refusals
from tests.support.program import EVERYTHING, INSTEAD, PROJECT, RECEIVER_SECRETS, several
from tests.unit.test_receivers import EVERY_KIND, item


def stack_file(stack: str) -> dict[str, Any]:
    """The config in a stack file of this repository, without secrets."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(PROJECT)}
    return {key: value for key, value in own.items() if key not in SECRETS}


@pytest.mark.parametrize(
    ("config", "stack"),
    [
        pytest.param(stack_file("dev"), "dev", id="dev"),
        pytest.param(stack_file("prod"), "prod", id="prod"),
        pytest.param({}, "prod", id="an empty stack file"),
        pytest.param(EVERYTHING, "prod", id="every service"),
        pytest.param(INSTEAD, "prod", id="the alternatives"),
        pytest.param(several(MOST_SERVERS), "prod", id="as many servers as can be watched"),
    ],
)
def test_it_passes_every_mandatory_policy(config: dict[str, Any], stack: str) -> None:
    resources = declare(Change(config, secrets=() if stack == "dev" else tuple(SECRETS)))
    assert len(resources) > 50
    assert refusals(resources, stack=stack) == {}


def test_receivers_of_every_kind_pass_them_too() -> None:
    config = {"notifications": {"receivers": [item(kind) for kind in EVERY_KIND]}}
    assert refusals(declare(Change(config, secrets=tuple(RECEIVER_SECRETS))), stack="prod") == {}


def test_promtail_is_advised_against() -> None:
    advice = ask("images-are-maintained", declare(Change({"logs": {"shipper": "promtail"}})))
    assert any("grafana/promtail" in text and "Grafana Alloy ships the same lines" in text for text in advice)


def test_every_alert_of_its_own_has_a_runbook() -> None:
    assert ask("alerts-have-runbooks", declare(Change(EVERYTHING))) == []
