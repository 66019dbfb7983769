"""The policy on kinds of resources and their inputs."""

import inspect
import re
from typing import Any

import pulumi_docker
import pytest

from policies.judges.resource_kinds import INPUTS
from policies.readers import declared_resources as declared
from tests.policy.pack_host import Resource, ask

NOT_JUDGED: dict[str, set[str]] = {
    declared.CONTAINER: set(),
    declared.VOLUME: {"cluster"},
    declared.NETWORK: {"ingress", "ipamOptions"},
    declared.IMAGE: set(),
    declared.PROVIDER: {"caMaterial", "certMaterial", "keyMaterial", "registryAuth"},
}
"""Kind → inputs that are refused, because no policy judges them."""
CLASSES: dict[str, Any] = {
    declared.CONTAINER: pulumi_docker.Container,
    declared.VOLUME: pulumi_docker.Volume,
    declared.NETWORK: pulumi_docker.Network,
    declared.IMAGE: pulumi_docker.RemoteImage,
    declared.PROVIDER: pulumi_docker.Provider,
}


@pytest.mark.parametrize("kind", CLASSES)
def test_each_input_of_the_provider_is_judged_or_refused(kind: str) -> None:
    inputs = {
        re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
        for name in inspect.signature(CLASSES[kind]._internal_init).parameters
        if name not in {"__self__", "resource_name", "opts", "__props__"}
    }
    assert inputs == (INPUTS[kind] | NOT_JUDGED[kind]) - {"version"}


def test_an_input_is_allowed_by_its_kind_and_name() -> None:
    resource = Resource({"name": "n", "ingress": True}, "n", declared.NETWORK)
    [refused] = ask("known-kinds", [resource])
    assert "no policy judges its input ingress" in refused
    allowed = {declared.NETWORK: "judged", f"{declared.NETWORK}.ingress": "a manager routes"}
    assert ask("known-kinds", [resource], config={"allowed": allowed}) == []
