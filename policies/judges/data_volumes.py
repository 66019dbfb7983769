"""Data volumes: the data of services survives a change of the program, and a `destroy` by mistake.

The engine shows policies `protect`, but not `retain_on_delete`. A program that relies on `retain_on_delete` names the volumes
in its output `data_volumes`. The policy believes it; the program's own unit tests have to prove it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pulumi_policy import Policy
from pulumi_policy.proxy import UnknownValueError

from policies.policy_kit import Config, Violation, allow_list, stack_policy, violations
from policies.readers.declared_resources import (
    CONTAINER,
    STACK,
    VOLUME,
    Properties,
    Resource,
    arguments,
    keeps_running,
)

RETAINED_OUTPUT = "data_volumes"
"""Stack output with the names of volumes that are retained on delete."""

_DATA_FLAG = re.compile(r"--?(?:storage(?:\.tsdb|\.local)?[.-]path|path\.data|dbpath)=(/\S*)")
"""Flags that set the data folder of Prometheus, Alertmanager, Alloy and databases."""


@dataclass(frozen=True)
class DeclaredVolume:
    """A volume that the program declares."""

    name: str | None
    """Name on the engine, None if the provider chooses it."""
    resource: str
    protected: bool
    labelled: bool


@dataclass(frozen=True)
class WrittenVolume:
    """A volume that a service writes to."""

    service: str
    volume: str


@dataclass(frozen=True)
class RetainedVolumes:
    """Volumes that are retained on delete, as the program says."""

    names: frozenset[str]


Fact = DeclaredVolume | WrittenVolume | RetainedVolumes | Violation


def _read(resource: Resource, config: Config) -> Iterator[Fact]:
    props = resource.props
    if resource.resource_type == VOLUME:
        yield DeclaredVolume(_name(props), resource.name, bool(resource.opts.protect), bool(props.get("labels")))
    elif resource.resource_type == STACK:
        if names := props.get(RETAINED_OUTPUT):
            yield RetainedVolumes(frozenset(str(name) for name in names))
    elif resource.resource_type == CONTAINER and keeps_running(props) and resource.name not in config["disposable"]:
        yield from _service_facts(resource)


def _name(volume: Properties) -> str | None:
    try:
        return volume.get("name")
    except UnknownValueError:
        return None


def _service_facts(resource: Resource) -> Iterator[Fact]:
    writable = [path for path, read_only in _mount_points(resource.props) if not read_only]
    for volume in resource.props.get("volumes") or ():
        if volume.get("readOnly") or volume.get("hostPath") or _is_borrowed(volume):
            continue
        if name := volume.get("volumeName"):
            yield WrittenVolume(resource.name, str(name))
        else:
            yield _nameless(resource, volume.get("containerPath"))
    for mount in resource.props.get("mounts") or ():
        if mount.get("type") != "volume" or mount.get("readOnly"):
            continue
        if name := mount.get("source"):
            yield WrittenVolume(resource.name, str(name))
        else:
            yield _nameless(resource, mount.get("target"))
    for path in _DATA_FLAG.findall("\n".join(arguments(resource.props))):
        if not any(f"{path.rstrip('/')}/".startswith(f"{place.rstrip('/')}/") for place in writable):
            yield Violation(
                f"container {resource.name}: its data in {path} is removed with the container: mount a named volume there"
            )


def _nameless(resource: Resource, path: object) -> Violation:
    return Violation(
        f"container {resource.name}: {path} is a volume without a name, which is removed with the container: mount a named one"
    )


def _is_borrowed(volume: Properties) -> bool:
    try:
        return bool(volume.get("fromContainer"))
    except UnknownValueError:  # the id of a container that does not exist yet
        return True


def _mount_points(container: Properties) -> Iterator[tuple[str, bool]]:
    for volume in container.get("volumes") or ():
        yield str(volume.get("containerPath")), bool(volume.get("readOnly"))
    for mount in container.get("mounts") or ():
        if mount.get("type") in {"volume", "bind"}:
            yield str(mount.get("target")), bool(mount.get("readOnly"))


def _judge(facts: list[Fact], _: Config) -> Iterator[str]:
    yield from violations(facts)
    retained = frozenset[str]().union(*(fact.names for fact in facts if isinstance(fact, RetainedVolumes)))
    volumes = {fact.name: fact for fact in facts if isinstance(fact, DeclaredVolume)}
    for mount in (fact for fact in facts if isinstance(fact, WrittenVolume)):
        volume = volumes.get(mount.volume)
        if volume is None:
            continue  # another program's volume, which this one cannot remove
        named = f"volume {volume.resource} of {mount.service}"
        if not volume.protected and mount.volume not in retained:
            yield (
                f"{named} is removed with all its data once the program no longer names it: protect it, or set "
                f"retain_on_delete and name it in the output {RETAINED_OUTPUT}"
            )
        if volume.labelled:
            yield f"{named} has labels, and a change of a label replaces the volume by an empty one: leave them out"
    for volume in (fact for fact in facts if isinstance(fact, DeclaredVolume) and fact.name is None):
        yield f"volume {volume.resource} has a name that the provider chooses anew each time: set name"


DATA = stack_policy(
    "data-volumes",
    "Services keep their data on volumes that are not removed.",
    _read,
    _judge,
    fix="Give the volume a name and no labels, and protect it; or set retain_on_delete and name it in the output data_volumes.",
    config={"disposable": allow_list({}, "Containers whose data may be lost → why.")},
)

POLICIES: tuple[Policy, ...] = (DATA,)
