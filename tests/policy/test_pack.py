"""The pack as a whole."""

import importlib

from pulumi_policy import EnforcementLevel

import declared
from tests.policy.changes import BAD
from tests.policy.engine import PACK, Resource, as_seen, level, pack, policies

ADVICE = {"memory-headroom", "images-are-maintained", "alerts-have-runbooks"}


def test_every_policy_is_mandatory_but_for_what_is_only_advice() -> None:
    assert pack()["enforcement_level"] is EnforcementLevel.MANDATORY  # of a policy that says nothing itself
    by_level = {name: level(policy) for name, policy in policies().items()}
    assert {name for name, found in by_level.items() if found is EnforcementLevel.ADVISORY} == ADVICE
    assert set(by_level.values()) == {EnforcementLevel.MANDATORY, EnforcementLevel.ADVISORY}


def test_every_module_with_policies_is_in_the_pack() -> None:
    modules = [path.stem for path in PACK.glob("*.py") if path.stem != "__main__"]
    written = [one for name in modules for one in getattr(importlib.import_module(name), "POLICIES", ())]
    served = pack()["policies"]
    assert {policy.name for policy in written} == {policy.name for policy in served}
    assert len({policy.name for policy in served}) == len(served)


def test_every_mandatory_policy_refuses_one_of_the_bad_changes() -> None:
    refused = {name for _, stopped_by in BAD.values() for name in stopped_by}
    assert refused == policies().keys() - ADVICE


def test_every_policy_says_how_to_mend_it_and_each_key_of_its_config_has_a_default() -> None:
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


def test_a_stack_says_its_environment_by_its_name_unless_the_config_does() -> None:
    resource = as_seen(Resource({}), "prod")
    assert declared.environment(resource, {}) == "prod"
    assert declared.environment(resource, {"environment": "staging"}) == "staging"
