"""Declared resources as the Pulumi engine hands them to policies, and what their properties say."""

from collections.abc import Mapping
from typing import Any

from pulumi_policy import PolicyResource, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

from policies.readers.image_reference import Reference

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
COMMAND = "command:local:Command"
PROVIDER = "pulumi:providers:docker"
STACK = "pulumi:pulumi:Stack"

_NOUNS = {
    CONTAINER: "container",
    VOLUME: "volume",
    IMAGE: "image",
    NETWORK: "network",
    COMMAND: "command",
    PROVIDER: "provider",
    STACK: "stack",
}

Properties = Mapping[str, Any]
"""Properties of one resource: keys in camelCase, numbers as floats. Reading one that a preview does not know raises
`UnknownValueError`."""

Resource = PolicyResource | ResourceValidationArgs


def noun(resource: Resource) -> str:
    """What messages call `resource`: `container loki`."""
    return f"{_NOUNS.get(resource.resource_type, resource.resource_type)} {resource.name}"


def stack_name(resource: Resource) -> str:
    """Name of the stack that declares `resource`, from its URN."""
    return resource.urn.split("::")[0].removeprefix("urn:pulumi:")


def is_started(container: Properties) -> bool:
    """Whether `container` ever runs. A container that only holds files is created and not started."""
    return _is_on(container, "start")


def keeps_running(container: Properties) -> bool:
    """Whether `container` is a service, and not a job that ends."""
    return is_started(container) and _is_on(container, "mustRun")


def known_texts(container: Properties, key: str) -> list[str]:
    """The list of texts under `key`, empty if a preview does not know it.

    A policy on the whole stack sees the properties after the provider has filled them in, and what the provider takes from
    the image is unknown then. `no-secrets-in-clear` sees the inputs, and refuses what is unknown there.
    """
    try:
        return [str(text) for text in container.get(key) or ()]
    except UnknownValueError:
        return []


def arguments(container: Properties) -> list[str]:
    """The command line of `container`: its entrypoint and its command, as far as the program sets them."""
    return [*known_texts(container, "entrypoints"), *known_texts(container, "command")]


def image_name(container: Properties) -> str:
    """The last part of the repository of the container's image: `loki` for `docker.io/grafana/loki:3`."""
    return Reference.parse(str(container.get("image") or "")).name


def image_text(resource: Resource) -> str:
    """The image reference of a container or a pulled image, empty if it has none."""
    return str(resource.props.get("image" if resource.resource_type == CONTAINER else "name") or "")


def _is_on(container: Properties, switch: str) -> bool:
    """Whether `switch` may be on. An unknown one counts as on."""
    try:
        return container.get(switch) is not False
    except UnknownValueError:
        return True
