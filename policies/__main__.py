"""Serves the pack to the engine.

`PolicyPack` never returns: tests import the modules, not this one. Without its level every policy would be mere advice.
"""

from pulumi_policy import EnforcementLevel, PolicyPack

from catalogue import POLICIES

PolicyPack(name="nervous-system", enforcement_level=EnforcementLevel.MANDATORY, policies=list(POLICIES))
