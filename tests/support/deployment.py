"""A stack of this project in a folder of its own, deployed by the real Pulumi CLI on the real engine."""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml
from docker import DockerClient
from docker.models.containers import Container

from config.ports import METRICS
from config.settings import Settings, loading

ROOT = Path(__file__).parents[2]
PROJECT = "nervous-system"
SHORT = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
"""Intervals of test stacks that wait for metrics and alerts: nothing here waits out a quarter of a minute."""
CALM = {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"}
"""Intervals of all other test stacks. With the short ones an idle stack takes a quarter of a core, mostly for scrapes."""
AT_THE_END = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
"""Makes the CLI write its state once, when an update ends, and not after each step: a first update takes 11 s of CPU then,
and 17 s else. What an update leaves that is killed or refused is for the CLI as users have it."""
DATA = ("prometheus", "alertmanager", "loki", "alloy", "otel_collector", "jaeger")
"""The services of a stack with defaults that keep something."""


def copy_program(folder: Path) -> None:
    """All that a stack is made by, into an empty folder. What Python has compiled goes with it: to do that again takes 2 s."""
    for name in ("config", "components", "engine", "policies", "check", "toolchain", "operate", "dashboards"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))  # being written
    for name in ("__main__.py", "Pulumi.yaml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")


def printed_by(command: list[str], folder: Path, environment: Mapping[str, str], *, fails: bool) -> str:
    """Runs a command of ours in `folder`. It ends as `fails` says, and never with a traceback."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert bool(result.returncode) == fails, f"exit code {result.returncode} from {command}:\n{result.stdout}"
    assert "Traceback" not in result.stdout, result.stdout
    return result.stdout


@dataclass
class Deployment:
    """One stack. `config` is what its stack file says; `environment` what the CLI needs."""

    folder: Path
    stack: str
    client: DockerClient
    environment: Mapping[str, str]
    config: dict[str, Any] = field(default_factory=dict)
    project: str = PROJECT
    live: str | None = None
    """`fingerprint` of what the last `up` put on the engine; empty after one that failed; None after a change by hand."""
    to_be_put_back: bool = False
    """Whether a test has changed it, and is over."""

    @classmethod
    def create(
        cls, folder: Path, stack: str, client: DockerClient, environment: Mapping[str, str], config: dict[str, Any]
    ) -> "Deployment":
        """A copy of the program beside its own state: neither reaches the other, whoever edits the checkout meanwhile."""
        copy_program(folder)
        state = folder / "state"
        state.mkdir()
        environment = {
            **os.environ,
            **environment,
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "e2e",
        }
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        deployment = cls(folder, stack, client, environment, config)
        deployment.write()
        deployment.pulumi("stack", "init", stack)
        return deployment

    @property
    def file(self) -> Path:
        """The stack file."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    @property
    def prefix(self) -> str:
        """What the names of everything on the engine begin with."""
        return str(self.config.get("prefix", f"nervous-{self.stack}"))

    @property
    def settings(self) -> Settings:
        """What the program makes of the stack file."""
        document = yaml.safe_load(self.file.read_text())["config"]
        hidden = {key for key, value in document.items() if isinstance(value, dict) and "secure" in value}
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in document.items()}
        return loading.load(texts, secret_keys=hidden, project=PROJECT, stack=self.stack)

    def write(self) -> None:
        """Writes `config` to the stack file; secrets and salt that the CLI put there stay."""
        document = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        secret_values = {
            key: value
            for key, value in document.get("config", {}).items()
            if isinstance(value, dict) and "secure" in value
        }
        own = {f"{self.project}:{key}": value for key, value in self.config.items()}
        self.file.write_text(yaml.safe_dump({**document, "config": {**own, **secret_values}}, sort_keys=False))

    def secret(self, key: str, value: str) -> None:
        """`pulumi config set --secret`."""
        self.pulumi("config", "set", "--secret", key, stdin=value)

    def pulumi(
        self,
        *arguments: str,
        fails: bool = False,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Runs the CLI; returns what it printed. `fails` says which end is the right one."""
        select = [] if arguments[:2] == ("stack", "init") else ["--stack", self.stack]
        result = subprocess.run(
            ["pulumi", *arguments, *select, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert bool(result.returncode) == fails, (
            f"exit code {result.returncode} from pulumi {arguments}:\n{result.stdout}"
        )
        return result.stdout

    def operate(self, *arguments: str, fails: bool = False, environment: Mapping[str, str] | None = None) -> str:
        """`python -m operate <arguments>`, as `make` calls it: what is printed."""
        quickly = {} if fails else AT_THE_END
        environment = {**self.environment, **quickly, "COLUMNS": "200", **(environment or {})}
        return printed_by(self.operate_command(*arguments), self.folder, environment, fails=fails)

    def operate_command(self, *arguments: str) -> list[str]:
        """What `operate` runs, for who does not wait until it is over."""
        return [str(self.folder / ".venv/bin/python"), "-m", "operate", *arguments, "--stack", self.stack]

    def up(self, *arguments: str, fails: bool = False) -> str:
        """`pulumi up` with what `config` says now."""
        self.write()
        self.live = self.live and ""
        quickly = {} if fails else AT_THE_END
        printed = self.pulumi("up", "--yes", "--skip-preview", *arguments, fails=fails, environment=quickly)
        if not fails:
            self.live, self.to_be_put_back = self.fingerprint(), False
        return printed

    def preview(self, *arguments: str, fails: bool = False) -> str:
        """`pulumi preview` with what `config` says now."""
        self.write()
        return self.pulumi("preview", *arguments, fails=fails)

    def fingerprint(self) -> str:
        """Stands for all that decides what is deployed: the program, the stack file, the user's rule files."""
        digest = hashlib.sha256()
        for file in sorted(self.folder.rglob("*")):
            parts = file.relative_to(self.folder).parts
            if file.is_file() and parts[0] not in {"state", ".venv"} and "__pycache__" not in parts:
                digest.update(f"{file}\n".encode() + file.read_bytes())
        return digest.hexdigest()

    @contextlib.contextmanager
    def edited(self, path: str, old: str, new: str) -> Iterator[None]:
        """The program with other words in one of its files, as a new version of it might have."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} no longer says {old}"
        stale = Path(importlib.util.cache_from_source(str(file)))
        file.write_text(text.replace(old, new))
        stale.unlink(missing_ok=True)  # it knows its source by the second and the size
        try:
            yield
        finally:
            file.write_text(text)
            stale.unlink(missing_ok=True)

    def remove(self) -> None:
        """Everything, data volumes too, whatever state it is in. By the engine alone, which is quick: that Pulumi destroys
        what it has made has tests of its own."""
        containers = [self.client.containers.get(identifier) for identifier in self.containers().values()]
        # A vault's volume has no name, and two containers hold it.
        mounted = {mount.get("Name") for container in containers for mount in container.attrs["Mounts"]}
        for container in containers:
            container.remove(force=True)
        for network in self.client.networks.list(filters={"name": f"^{self.prefix}(-edge|-apps)?$"}):
            network.remove()
        for volume in self.client.volumes.list():
            if volume.name in mounted or str(volume.name).startswith(f"{self.prefix}-"):
                volume.remove()
        shutil.rmtree(self.folder)

    def container(self, service: str) -> Container:
        """The container of a service, as it is now."""
        return self.client.containers.get(f"{self.prefix}-{service}")

    def started(self, service: str) -> str:
        """When the engine started it: changes with every restart."""
        return str(self.container(service).attrs["State"]["StartedAt"])

    def crash(self, *services: str) -> None:
        """SIGKILL to their processes, from outside: the engine itself knows nothing of it beforehand."""
        processes = [str(self.container(service).attrs["State"]["Pid"]) for service in services]
        self.client.containers.run(
            self.settings.image("node_exporter"),
            entrypoint=["kill", "-9", *processes],
            user="0",
            pid_mode="host",
            network_mode="none",
            remove=True,
        )

    def containers(self) -> dict[str, str]:
        """Name → id of everything of this stack on the engine."""
        containers = self.client.containers.list(all=True, filters={"name": f"^/{self.prefix}-"})
        return {str(container.name): str(container.id) for container in containers}

    def url(self, service: str) -> str:
        """Where a published service listens."""
        return f"http://{self.config['publish'][service]}"

    def past_front(self, service: str) -> str:
        """Where a service listens in the stack's network, for what no front lets through. Only beside an engine of this host."""
        address = self.container(service).attrs["NetworkSettings"]["Networks"][self.prefix]["IPAddress"]
        return f"http://{address}:{METRICS[service]}"

    def get(self, service: str, path: str, /, **parameters: str) -> Any:
        """The JSON of a published service."""
        answer = requests.get(self.url(service) + path, params=parameters, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Instant query: the resulting samples."""
        result: list[dict[str, Any]] = self.get("prometheus", "/api/v1/query", query=promql)["data"]["result"]
        return result

    def rules(self) -> dict[str, dict[str, Any]]:
        """Alerts that Prometheus evaluates: name/severity → rule."""
        groups = self.get("prometheus", "/api/v1/rules")["data"]["groups"]
        return {
            f"{rule['name']}/{rule['labels'].get('severity', '')}": rule
            for group in groups
            for rule in group["rules"]
            if rule["type"] == "alerting"
        }

    def state(self) -> str:
        """The whole state as Pulumi stores it (secrets encrypted)."""
        return self.pulumi("stack", "export")

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state."""
        resources: list[dict[str, Any]] = json.loads(self.state())["deployment"]["resources"]
        return resources
