"""Assembles the pack and serves it to the engine.

`PolicyPack` never returns: tests import the modules, not this one. Without its level every policy would be mere advice.
"""

from pulumi_policy import EnforcementLevel, PolicyPack

import memory

PolicyPack(
    name="nervous-system",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[*memory.POLICIES],
)
