"""The pack as a whole."""

import importlib
import pkgutil

from pulumi_policy import EnforcementLevel

from policies import judges, policy_kit
from tests.policy.changes import BAD
from tests.policy.pack_host import PACK, Resource, as_seen, level, pack, policies

ADVICE = {"memory-headroom", "images-are-maintained", "alerts-have-runbooks"}


def test_every_policy_is_mandatory_except_the_advice() -> None:
    assert pack()["enforcement_level"] is EnforcementLevel.MANDATORY  # for a policy without a level of its own
    by_level = {name: level(policy) for name, policy in policies().items()}
    assert {name for name, own in by_level.items() if own is EnforcementLevel.ADVISORY} == ADVICE
    assert set(by_level.values()) == {EnforcementLevel.MANDATORY, EnforcementLevel.ADVISORY}


def test_every_module_with_policies_is_in_the_pack() -> None:
    modules = [
        importlib.import_module(f"policies.judges.{module.name}") for module in pkgutil.iter_modules(judges.__path__)
    ]
    served = pack()["policies"]
    assert {policy.name for module in modules for policy in module.POLICIES} == {policy.name for policy in served}
    assert len({policy.name for policy in served}) == len(served)


def test_every_mandatory_policy_refuses_one_of_the_bad_changes() -> None:
    refused = {name for _, policies in BAD.values() for name in policies}
    assert refused == policies().keys() - ADVICE


def test_every_policy_says_how_to_comply_and_each_key_of_its_config_has_a_default() -> None:
    for policy in policies().values():
        assert policy.remediation_steps, policy.name
        schema = policy.config_schema.properties if policy.config_schema else {}
        for key, what in schema.items():
            assert {"type", "default", "description"} <= what.keys(), f"{policy.name}: {key}"


def test_the_readme_lists_every_policy_and_every_key_of_its_config() -> None:
    readme = (PACK / "README.md").read_text()
    for policy in policies().values():
        assert f"`{policy.name}`" in readme
        for key in policy.config_schema.properties if policy.config_schema else {}:
            assert f"`{key}`" in readme, f"{policy.name}: {key}"


def test_the_environment_is_the_name_of_the_stack_unless_the_config_sets_it() -> None:
    resource = as_seen(Resource({}), "prod")
    assert policy_kit.environment(resource, {}) == "prod"
    assert policy_kit.environment(resource, {"environment": "staging"}) == "staging"
