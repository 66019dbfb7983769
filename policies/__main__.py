"""Assembles the pack and serves it to the engine.

`PolicyPack` never returns: tests import the modules, not this one. Without its level every policy would be mere advice.
"""

from pulumi_policy import EnforcementLevel, PolicyPack

import clear_text
import exposure
import images
import labels
import memory
import operation
import retention
import runbooks
import sampling
import usage_reports
import volumes

MODULES = (
    memory, labels, retention, sampling, images, exposure, clear_text, operation, volumes, usage_reports, runbooks,
)  # fmt: skip

PolicyPack(
    name="nervous-system",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[policy for module in MODULES for policy in module.POLICIES],
)
