"""Resource kinds: a program declares only kinds of resources, and inputs of them, that this pack judges."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_resources import COMMAND, CONTAINER, IMAGE, NETWORK, PROVIDER, STACK, VOLUME, Resource

KINDS: Mapping[str, str] = {
    CONTAINER: "judged by most policies",
    VOLUME: "judged by data-volumes and apart-from-the-host",
    NETWORK: "judged by apart-from-the-host",
    IMAGE: "judged by images-are-pinned",
    COMMAND: "judged by known-commands",
    STACK: "the program itself",
    PROVIDER: "judged by one-engine",
    "pulumi:providers:command": "it only starts commands, which are judged",
    "nervous-system:index:*": "components of this project: each resource in them is judged by itself",
}
"""Kind of resource, with * as in a shell → which policies judge it, or why it needs none."""

INPUTS: Mapping[str, frozenset[str]] = {
    CONTAINER: frozenset(
        ["attach", "capabilities", "cgroupParent", "cgroupnsMode", "command", "containerReadRefreshTimeoutMilliseconds", "cpuPeriod",
         "cpuQuota", "cpuSet", "cpuShares", "cpus", "destroyGraceSeconds", "deviceCgroupRules", "deviceReadBps", "deviceReadIops",
         "deviceRequests", "deviceWriteBps", "deviceWriteIops", "devices", "dns", "dnsOpts", "dnsSearches", "domainname", "entrypoints",
         "envs", "gpus", "groupAdds", "healthcheck", "hostname", "hosts", "image", "init", "ipcMode", "labels", "logDriver", "logOpts",
         "logs", "maxRetryCount", "memory", "memoryReservation", "memorySwap", "mounts", "mustRun", "name", "networkMode",
         "networksAdvanced", "pidMode", "platform", "ports", "privileged", "publishAllPorts", "readOnly", "removeVolumes", "restart",
         "rm", "runtime", "securityOpts", "shmSize", "start", "stdinOpen", "stopSignal", "stopTimeout", "storageOpts", "sysctls",
         "tmpfs", "tty", "ulimits", "uploads", "user", "usernsMode", "volumes", "wait", "waitTimeout", "workingDir"]
    ),
    VOLUME: frozenset(["driver", "driverOpts", "labels", "name"]),
    NETWORK: frozenset(["attachable", "driver", "internal", "ipamConfigs", "ipamDriver", "ipv6", "labels", "name", "options"]),
    IMAGE: frozenset(["build", "forceRemove", "keepLocally", "name", "platform", "pullTriggers", "triggers"]),
    PROVIDER: frozenset(["certPath", "context", "disableDockerDaemonCheck", "host", "sshOpts", "version"]),
}  # fmt: skip
"""Kind → its inputs that are judged, or are harmless with every value. Keys and logins of a provider are not among them: a
policy cannot tell whether Pulumi keeps them secret."""


def _check(resource: Resource, config: Config) -> Iterator[str]:
    kind = resource.resource_type
    if not any(fnmatchcase(kind, pattern) for pattern in config["allowed"]):
        yield (
            f"no policy can judge a {kind}: declare containers, volumes and networks instead, or allow the kind in the policy's "
            "config with a reason"
        )
    known = INPUTS.get(kind, frozenset())
    for name in resource.props if known else ():
        if name in known or name.startswith("__") or not resource.props.get(name):
            continue
        if f"{kind}.{name}" not in config["allowed"]:
            yield f"no policy judges its input {name}: leave it out, or allow {kind}.{name} in the policy's config with a reason"


KNOWN_KINDS = resource_policy(
    "known-kinds",
    "A program declares only kinds of resources, and inputs, that are judged.",
    _check,
    kinds=None,
    fix="Declare containers, volumes, networks and pulled images.",
    config={
        "allowed": allow_list(
            KINDS, "Kinds, with * for any, or <kind>.<input> → which policies judge them, or why they need none."
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (KNOWN_KINDS,)
