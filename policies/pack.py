"""All policies of the pack, and the keys that a config of each may have."""

import json

from pulumi_policy import Policy

from policies.judges import (
    alert_runbooks,
    clear_text_secrets,
    data_volumes,
    docker_socket,
    engine_doors,
    engine_provider,
    error_sampling,
    host_isolation,
    image_age,
    image_pins,
    label_cardinality,
    local_commands,
    memory_limits,
    published_ports,
    resource_kinds,
    retention_bounds,
    unattended_operation,
    usage_reports,
)

MODULES = (
    memory_limits, label_cardinality, retention_bounds, error_sampling, image_pins, image_age, published_ports, docker_socket,
    engine_doors, engine_provider, host_isolation, resource_kinds, local_commands, clear_text_secrets, unattended_operation, data_volumes, usage_reports,
    alert_runbooks,
)  # fmt: skip

POLICIES: tuple[Policy, ...] = tuple(policy for module in MODULES for policy in module.POLICIES)


def keys() -> dict[str, list[str]]:
    """Policy name → the keys of its config."""
    return {policy.name: [*(policy.config_schema.properties if policy.config_schema else ())] for policy in POLICIES}


if __name__ == "__main__":
    print(json.dumps(keys()))
