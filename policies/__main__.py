"""Serves the pack to the Pulumi engine.

Pulumi runs this file with only its own folder on `sys.path`; the folder above makes `policies` importable as a package.
`PolicyPack` never returns, so tests import the modules and not this one. Without the level given here, a policy that
names none would only advise.
"""

import sys
from pathlib import Path

from pulumi_policy import EnforcementLevel, PolicyPack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policies.pack import POLICIES

PolicyPack(name="nervous-system", enforcement_level=EnforcementLevel.MANDATORY, policies=list(POLICIES))
