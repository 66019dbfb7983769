"""Volumes: what services keep survives a change of the program, and a `destroy` by mistake.

The engine shows policies `protect`, but not `retain_on_delete`. A program that relies on the latter says so by naming
the volumes in its output `data_volumes`; that this is true is for its own unit tests.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pulumi_policy import Policy
from pulumi_policy.proxy import UnknownValueError

from declared import (
    CONTAINER,
    STACK,
    VOLUME,
    Config,
    Properties,
    Resource,
    Wrong,
    arguments,
    keeps_running,
    reasons,
    whole,
    wrong,
)

RETAINED_OUTPUT = "data_volumes"
"""Stack output with the names of volumes that are retained on delete."""

_DATA_FLAG = re.compile(r"--?(?:storage(?:\.tsdb|\.local)?[.-]path|path\.data|dbpath)=(/\S*)")
"""By which a command line says where data goes: Prometheus, Alertmanager, Alloy, databases."""


@dataclass(frozen=True)
class Volume:
    """A volume that the program declares."""

    name: str | None
    """On the engine; None if the provider makes one up."""
    resource: str
    protected: bool
    labelled: bool


@dataclass(frozen=True)
class Written:
    """A volume that a service writes to."""

    service: str
    volume: str


@dataclass(frozen=True)
class Retained:
    """The program says that these are retained."""

    names: frozenset[str]


Found = Volume | Written | Retained | Wrong


def _read(resource: Resource, config: Config) -> Iterator[Found]:
    props = resource.props
    if resource.resource_type == VOLUME:
        yield Volume(_name(props), resource.name, bool(resource.opts.protect), bool(props.get("labels")))
    elif resource.resource_type == STACK:
        if names := props.get(RETAINED_OUTPUT):
            yield Retained(frozenset(str(name) for name in names))
    elif resource.resource_type == CONTAINER and keeps_running(props) and resource.name not in config["disposable"]:
        yield from _of_service(resource)


def _name(volume: Properties) -> str | None:
    try:
        return volume.get("name")
    except UnknownValueError:
        return None


def _of_service(resource: Resource) -> Iterator[Found]:
    kept = [path for path, read_only in _inside(resource.props) if not read_only]
    for volume in resource.props.get("volumes") or ():
        if volume.get("readOnly") or volume.get("hostPath") or _is_of_another(volume):
            continue
        if name := volume.get("volumeName"):
            yield Written(resource.name, str(name))
        else:
            yield Wrong(
                f"container {resource.name}: {volume.get('containerPath')} is a volume without a name, which goes with the container: "
                "mount a named one"
            )
    for path in _DATA_FLAG.findall("\n".join(arguments(resource.props))):
        if not any(f"{path.rstrip('/')}/".startswith(f"{place.rstrip('/')}/") for place in kept):
            yield Wrong(
                f"container {resource.name}: its data in {path} goes with the container: mount a named volume there"
            )


def _is_of_another(volume: Properties) -> bool:
    try:
        return bool(volume.get("fromContainer"))
    except UnknownValueError:  # an id to come
        return True


def _inside(container: Properties) -> Iterator[tuple[str, bool]]:
    for volume in container.get("volumes") or ():
        yield str(volume.get("containerPath")), bool(volume.get("readOnly"))
    for mount in container.get("mounts") or ():
        if mount.get("type") in {"volume", "bind"}:
            yield str(mount.get("target")), bool(mount.get("readOnly"))


def _judge(found: list[Found], _: Config) -> Iterator[str]:
    yield from wrong(found)
    retained = frozenset[str]().union(*(fact.names for fact in found if isinstance(fact, Retained)))
    volumes = {fact.name: fact for fact in found if isinstance(fact, Volume)}
    for written in (fact for fact in found if isinstance(fact, Written)):
        volume = volumes.get(written.volume)
        if volume is None:
            continue  # not this program's: it cannot remove it
        named = f"volume {volume.resource} of {written.service}"
        if not volume.protected and written.volume not in retained:
            yield (
                f"{named} goes when the program no longer names it, with all data: protect it, or set retain_on_delete and "
                f"name it in the output {RETAINED_OUTPUT}"
            )
        if volume.labelled:
            yield f"{named} has labels, and a change of one replaces the volume, empty: leave them out"
    for volume in (fact for fact in found if isinstance(fact, Volume) and fact.name is None):
        yield f"volume {volume.resource} has a name that the provider makes up, another one next time: set name"


DATA = whole(
    "data-volumes",
    "What services keep is on volumes that stay.",
    _read,
    _judge,
    fix="Give the volume a name and no labels, and protect it; or set retain_on_delete and name it in the output data_volumes.",
    config={"disposable": reasons({}, "Containers whose data may go → why.")},
)

POLICIES: tuple[Policy, ...] = (DATA,)
