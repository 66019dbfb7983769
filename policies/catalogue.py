"""The policies of the pack, and what a config of them may say."""

import json

from pulumi_policy import Policy

import clear_text
import exposure
import images
import isolation
import kinds
import labels
import memory
import operation
import retention
import runbooks
import sampling
import usage_reports
import volumes

MODULES = (
    memory, labels, retention, sampling, images, exposure, isolation, kinds, clear_text, operation, volumes, usage_reports, runbooks,
)  # fmt: skip

POLICIES: tuple[Policy, ...] = tuple(policy for module in MODULES for policy in module.POLICIES)


def keys() -> dict[str, list[str]]:
    """Name of a policy → the keys of its config."""
    return {policy.name: [*(policy.config_schema.properties if policy.config_schema else ())] for policy in POLICIES}


if __name__ == "__main__":
    print(json.dumps(keys()))
