"""The same containers as a Compose file, as users without Pulumi would run them.

It is made from what the engine reports about a deployed stack. Config files are in a folder beside the Compose file,
and mounted into their containers. Data volumes exist beforehand, and belong to the user that the service needs.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config.container import DIRECTORY, MOUNT
from toolchain import golang

PACKAGE = "github.com/docker/compose/v2/cmd"
NANOSECONDS = 10**9


def service(attrs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Make a service of a Compose file from the `docker inspect` data of its container.

    `name` is the name of its folder of config files and of its data volume.
    """
    config, host = attrs["Config"], attrs["HostConfig"]
    fields = {
        "image": config["Image"],
        "hostname": config["Hostname"],
        "entrypoint": _literal(config["Entrypoint"]),
        "command": _literal(config["Cmd"]),
        "user": config["User"],
        "environment": _literal(config["Env"]),
        "labels": _literal(config["Labels"]),
        "mem_limit": host["Memory"],
        "memswap_limit": host["MemorySwap"],
        "cpu_shares": host["CpuShares"],
        "restart": host["RestartPolicy"]["Name"],
        "stop_grace_period": f"{config['StopTimeout']}s" if config.get("StopTimeout") else None,
        "healthcheck": _healthcheck(config.get("Healthcheck")),
        "logging": {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"]},
        "networks": _networks(attrs["NetworkSettings"]["Networks"], attrs["Name"].lstrip("/"), name),
        "ports": [
            f"{listen['HostIp']}:{listen['HostPort']}:{port}"
            for port, listens in (host["PortBindings"] or {}).items()
            for listen in listens
        ],
        "volumes": [_volume(mount, name) for mount in sorted(attrs["Mounts"], key=lambda mount: mount["Destination"])],
        "devices": [
            f"{device['PathOnHost']}:{device['PathInContainer']}:{device['CgroupPermissions']}"
            for device in host["Devices"] or []
        ],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": [f"{path}:{options}" for path, options in (host["Tmpfs"] or {}).items()],
        "cap_drop": host["CapDrop"],
        "cap_add": host["CapAdd"],
        "security_opt": host["SecurityOpt"],
    }
    return {key: value for key, value in fields.items() if value}


def _literal(texts: Any) -> Any:
    """Escape `$` in all texts, so that Compose does not substitute variables."""
    if isinstance(texts, str):
        return texts.replace("$", "$$")
    if isinstance(texts, dict):
        return {key: _literal(text) for key, text in texts.items()}
    return [_literal(text) for text in texts or ()]


def _healthcheck(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not check:
        return None
    spans = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    return {
        "test": _literal(check["Test"]),
        **{key: f"{check[name] // NANOSECONDS}s" for key, name in spans.items()},
        "retries": check["Retries"],
    }


def _volume(mount: Mapping[str, Any], name: str) -> dict[str, Any]:
    if mount["Destination"] == MOUNT:
        return {"type": "bind", "source": f"./{name}", "target": DIRECTORY, "read_only": True}
    if mount["Type"] == "volume":
        return {"type": "volume", "source": name, "target": mount["Destination"]}
    return {
        "type": "bind",
        "source": mount["Source"],
        "target": mount["Destination"],
        "read_only": not mount["RW"],
        "bind": {"propagation": mount["Propagation"]},
    }


def _networks(joined: Mapping[str, Mapping[str, Any]], full_name: str, service: str) -> dict[str, Any]:
    """The networks of the stack, without those of the users. Containers reach each other by their full names."""
    prefix = full_name.removesuffix(f"-{service}")
    networks: dict[str, Any] = {}
    for zone, name in (("default", prefix), ("edge", f"{prefix}-edge")):
        if name in joined:
            address = (joined[name].get("IPAMConfig") or {}).get("IPv4Address")
            networks[zone] = {"aliases": [full_name], **({"ipv4_address": address} if address else {})}
    return networks


def document(services: Mapping[str, Mapping[str, Any]], project: str, subnet: str) -> dict[str, Any]:
    """The whole Compose file. `subnet` is that of the edge network, whose addresses are in the services' files."""
    data = {
        mount["source"]: {"external": True, "name": f"{project}-{mount['source']}"}
        for one in services.values()
        for mount in one.get("volumes", ())
        if mount["type"] == "volume"
    }
    edge = {"name": f"{project}-edge", "ipam": {"config": [{"subnet": subnet}]}}
    networks = {"default": {"name": project}, "edge": edge}
    return {"services": dict(services), "volumes": data, "networks": networks}


@dataclass
class Project:
    """A folder with a Compose file and the services' files, and the command that deploys it."""

    folder: Path
    name: str
    program: Path = field(default_factory=lambda: golang.tool("docker_compose", PACKAGE))
    """Path of Docker Compose. It is built before anything is measured."""

    @property
    def file(self) -> Path:
        return self.folder / "compose.yml"

    def write(self, content: Mapping[str, Any]) -> None:
        self.file.write_text(yaml.safe_dump(dict(content), sort_keys=False))

    def read(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load(self.file.read_text())
        return content

    def write_config(self, service: str, files: Mapping[str, str]) -> None:
        """Write the config files of a service. Every user can read them, as in a checkout: services run as their own
        users."""
        for name, text in files.items():
            file = self.folder / service / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            for folder in (file.parent, self.folder / service):
                folder.chmod(0o755)
            file.chmod(0o644)

    def run(self, *arguments: str) -> None:
        """Run `docker compose …`.

        Raises:
            RuntimeError: the command fails. The message has its error output.
        """
        command = [str(self.program), "--project-name", self.name, "--file", str(self.file)]
        result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=300)
        if result.returncode:
            raise RuntimeError(f"docker compose {' '.join(arguments)}: {result.stderr}")
