"""What a container was made with, apart from its image. The engine tells both as one (`inspect`): what the image says must not
go along to a container of another image."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

Told = Mapping[str, Any]
"""As the engine tells of a container (`GET /containers/<id>/json`) or of an image (`GET /images/<id>/json`)."""

STACK_LABEL = "observability.stack"
"""Label of every container of any stack of this project."""
REPLACED = "observability.replaced"
"""Label of a container that was rolled back: the id of the one whose place it took."""
COMPOSE = "com.docker.compose."
IMAGE_LABEL = f"{COMPOSE}image"
"""The image's id, as Compose notes it: `docker compose up` makes a container anew if it is not that of the file's image."""
LONGEST_STOP = 60
"""Seconds."""
_OF_ONE_DEPLOYMENT = {REPLACED, IMAGE_LABEL, f"{COMPOSE}config-hash", f"{COMPOSE}replace"}
_OF_AN_IMAGE = ("User", "WorkingDir", "StopSignal", "Healthcheck", "Shell", "OnBuild", "ArgsEscaped")
_WITHOUT_A_NETWORK_OF_ITS_OWN = {"", "default", "bridge", "host", "none"}
_ID = 12
"""Digits of an id that the engine takes for a host name and for an alias."""


def unsuitable(container: Told) -> Iterator[str]:
    """Why a container cannot be made anew by its description alone, or must not."""
    labels, host = container["Config"].get("Labels") or {}, container["HostConfig"]
    mode = str(host.get("NetworkMode") or "")
    if STACK_LABEL in labels:
        yield f"it is a container of the stack {str(labels[STACK_LABEL])[:80]}"
    if not labels.get(f"{COMPOSE}project") or not labels.get(f"{COMPOSE}service"):
        yield "Docker Compose has not made it"
    if str(labels.get(f"{COMPOSE}oneoff", "False")) != "False":
        yield "it is no service, but one run of a command (docker compose run)"
    if host.get("AutoRemove"):
        yield "the engine removes it when it stops (--rm)"
    if int(container["Config"].get("StopTimeout") or 0) > LONGEST_STOP:
        yield f"it may take longer than {LONGEST_STOP} s to stop"
    if host.get("Links") or host.get("VolumesFrom"):
        yield "it has links or volumes of another container"
    if mode.startswith("container:"):
        yield "it uses the network of another container"
    elif mode not in {*_WITHOUT_A_NETWORK_OF_ITS_OWN, *container["NetworkSettings"]["Networks"]}:
        yield "its network is named by an id"


def creation(container: Told, image: Told, earlier: str, earlier_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body of a request to create `container` with the image `earlier` instead of `image`, its own; and the networks that
    the new container has to be connected to then: name → endpoint. An engine before 25 takes only one at once."""
    networks = _networks(container)
    mode = container["HostConfig"].get("NetworkMode")
    first = {mode: networks.pop(mode)} if mode in networks else {}
    config = _config(container, image)
    labels = {**config.get("Labels", {}), IMAGE_LABEL: earlier_id, REPLACED: container["Id"]}
    body = {
        **config,
        "Image": earlier,
        "Labels": labels,
        "HostConfig": _host_config(container),
        "NetworkingConfig": {"EndpointsConfig": first},
    }
    return body, networks


def digest(container: Told, image: Told) -> str:
    """What identifies all that a container was made with, but for its image. Two deployments in a row of one service differ in
    it if they differ in more than the image."""
    config = _config(container, image)
    config.pop("Volumes", None)  # `Mounts` has them
    labels = {name: text for name, text in config.get("Labels", {}).items() if name not in _OF_ONE_DEPLOYMENT}
    keys = ("Type", "Destination", "RW", "Propagation")
    mounts = [
        [mount.get("Name") or mount.get("Source"), *map(mount.get, keys)] for mount in container.get("Mounts") or ()
    ]
    host = {name: value for name, value in container["HostConfig"].items() if name not in {"Binds", "Mounts"}}
    made = {**config, "Env": sorted(config.get("Env", ())), "Labels": labels}
    text = json.dumps([made, host, _networks(container), sorted(mounts, key=str)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _config(container: Told, image: Told) -> dict[str, Any]:
    """The container's own part of its `Config`: what is as in its image was not asked for."""
    config = {name: value for name, value in container["Config"].items() if value not in (None, "", [], {})}
    own: Told = image.get("Config") or {}
    del config["Image"]
    if config.get("Hostname") == container["Id"][:_ID]:
        del config["Hostname"]
    same = {name for name in _OF_AN_IMAGE if config.get(name) == own.get(name)}
    if config.get("Entrypoint") == (
        own.get("Entrypoint") or None
    ):  # with another one, the image's command does not count
        same |= {"Entrypoint"} | ({"Cmd"} if config.get("Cmd") == own.get("Cmd") else set())
    config = {name: value for name, value in config.items() if name not in same}
    config["Env"] = [one for one in config.get("Env", ()) if one not in (own.get("Env") or ())]
    bound = container["HostConfig"].get("PortBindings") or {}
    config["Labels"] = _without(config.get("Labels", {}), own.get("Labels") or {}, ())
    config["Volumes"] = _without(config.get("Volumes", {}), own.get("Volumes") or {}, ())
    config["ExposedPorts"] = _without(config.get("ExposedPorts", {}), own.get("ExposedPorts") or {}, bound)
    return config


def _without(table: Told, own: Told, kept: Collection[str]) -> dict[str, Any]:
    absent = object()
    return {name: value for name, value in table.items() if name in kept or own.get(name, absent) != value}


def _host_config(container: Told) -> dict[str, Any]:
    """The container's `HostConfig`, in which volumes without a name have the one that the engine has given them."""
    host = dict(container["HostConfig"])
    volumes = {mount["Destination"]: mount for mount in container.get("Mounts") or () if mount["Type"] == "volume"}
    binds = list(host.get("Binds") or ())
    mounts = [dict(mount) for mount in host.get("Mounts") or ()]
    for mount in mounts:
        if mount["Type"] == "volume" and not mount.get("Source"):
            mount["Source"] = volumes[mount["Target"]]["Name"]
    known = {bind.split(":")[1] for bind in binds} | {mount["Target"] for mount in mounts}
    for inside, volume in volumes.items():
        if inside not in known:
            binds.append(f"{volume['Name']}:{inside}" + ("" if volume["RW"] else ":ro"))
    return {**host, "Binds": binds, "Mounts": mounts}


def _networks(container: Told) -> dict[str, Any]:
    """Name → endpoint, as it was asked for: without what the engine adds."""
    joined = container["NetworkSettings"]["Networks"]
    return {
        name: {
            "Aliases": sorted(alias for alias in endpoint.get("Aliases") or () if alias != container["Id"][:_ID]),
            "IPAMConfig": endpoint.get("IPAMConfig") or None,
            "DriverOpts": endpoint.get("DriverOpts") or None,
        }
        for name, endpoint in joined.items()
        if name not in _WITHOUT_A_NETWORK_OF_ITS_OWN
    }
