"""One stack of this project: the conditions for an update, the update, and the cleaning up after a failed one."""

import secrets

from docker import DockerClient

from config.images import resolve
from config.services.metrics.cadvisor import KMSG
from config.settings.secret_keys import GRAFANA_PASSWORD
from engine import preflight
from operate import clock_ahead, damaged_data, engine_networks, host_view, recovery
from operate.backend import environment
from operate.program import Program
from operate.stack_file import PROJECT, load_settings, stack_file
from toolchain import engine_setup, images, paths
from toolchain.images import pulling
from toolchain.report import ToolchainError, is_set, note


class Stack(Program):
    """A stack of this project with a valid file. `settings` is read from that file.

    Raises:
        ToolchainError: the file is missing or wrong.
    """

    def __init__(self, name: str) -> None:
        self.settings = load_settings(name)
        super().__init__(name, paths.REPOSITORY)

    def must_exist(self) -> None:
        """Raises ToolchainError if the stack was never deployed from here."""
        if not self.exists():
            backend = environment(self._pulumi).get("PULUMI_BACKEND_URL", "the backend of `pulumi login`")
            raise ToolchainError(f"no stack {self.name} in {backend}", fix=f"make up STACK={self.name} deploys it")

    def must_answer(self) -> None:
        """Raises ToolchainError if the engine cannot be reached. The CLI would report that resource by resource."""
        engine_setup.connect(self.settings.docker)

    def must_find_networks(self, client: DockerClient) -> None:
        """Raises ToolchainError if the engine lacks one of `networks`, or no service could join it."""
        engine_networks.must_find(client, self.settings.networks, f"{stack_file(self.name).name}: {PROJECT}:networks")

    def find_places(self, client: DockerClient) -> None:
        """Writes into the stack file where the engine keeps what the stack reads, if the file says otherwise."""
        docker, engine = self.settings.docker, preflight.Engine.ask(client)
        places = preflight.elsewhere(engine, data_root=docker.data_root, containerd=docker.containerd)
        for key, path in places.items():
            self.ask("config", "set", "--path", f"docker.{key}", path, "--stack", self.name)
            note(f"{stack_file(self.name).name}: docker.{key} is now {path}, where this engine has it: commit the file")
        if places:
            self.settings = load_settings(self.name)

    def find_host_parts(self, client: DockerClient) -> None:
        """Writes into the stack file which parts the engine's host does not have or show: `/dev/kmsg`, systemd.

        Raises:
            ToolchainError: the host's file system cannot be mounted as the exporters need it.
        """
        lacking = {}
        if host_view.lacks_kmsg(client, self.settings):
            lacking["kmsg"] = (
                f"the engine's host has no {KMSG}: you will not see which container the kernel kills for memory"
            )
        if host_view.lacks_systemd(client, self.settings):
            lacking["systemd"] = "a container cannot ask the host's systemd: failed units will raise no alert"
        for key, consequence in lacking.items():
            self.ask("config", "set", "--path", f"docker.{key}", "false", "--stack", self.name)
            note(f"{stack_file(self.name).name}: docker.{key} is now false, because {consequence}; commit the file")
        if lacking:
            self.settings = load_settings(self.name)

    @property
    def _backend(self) -> str:
        """URL of the backend with the state; empty for the one of `pulumi login`."""
        return environment(self._pulumi).get("PULUMI_BACKEND_URL", "")

    def repair(self, *, data: bool = True) -> tuple[str, ...]:
        """Clears what is in the way of a deployment, including damaged data if `data` is set. Returns the options of
        `pulumi up` that bring back what is gone."""
        client = engine_setup.connect(self.settings.docker)
        if data:
            damaged_data.set_aside(self.settings, client)
            clock_ahead.set_aside(self.settings, client)
        return recovery.repair(self, self._backend, self.settings.prefix, client)

    def create(self) -> bool:
        """Creates the stack as any program, after restoring a damaged state."""
        recovery.restore_state(self._backend, PROJECT, self.name)
        return super().create()

    @property
    def _lacks_password(self) -> bool:
        return (
            self.settings.role == "centre"
            and self.settings.grafana.enabled
            and GRAFANA_PASSWORD not in self.settings.secrets
        )

    def must_keep_password(self) -> None:
        """Raises ToolchainError if a password would be generated in a checkout that is thrown away (in CI)."""
        if self._lacks_password and is_set("CI"):
            raise ToolchainError(
                f"{stack_file(self.name).name} has no {GRAFANA_PASSWORD}, and a password that CI generates would be lost with its checkout",
                fix=f"on your own machine:  .venv/bin/python -m operate pulumi config set --secret -s {self.name} "
                f"{GRAFANA_PASSWORD}  and commit the file; or do without Grafana:  grafana: {{enabled: false}}",
            )

    def make_up_password(self) -> None:
        """Generates Grafana's password if none is set, and stores it encrypted in the stack file."""
        if not self._lacks_password:
            return
        password = secrets.token_urlsafe(24)
        self.ask("config", "set", "--secret", GRAFANA_PASSWORD, "--stack", self.name, stdin=password)
        self.settings = load_settings(self.name)
        note(f"generated a password for Grafana, and encrypted it in {stack_file(self.name).name}")

    def fetch_images(self) -> None:
        """Pulls the images that the engine lacks, and builds those that cannot be pulled. The stack file then names the
        built ones, so `pulumi up` finds them too."""
        overrides = {service: getattr(self.settings.images, service) for service in self.settings.image_names}
        before = {service: image for service, image in overrides.items() if image and image.startswith(images.LOCAL)}
        wanted = {
            service: resolve(service, None, self.settings.images.registry)
            if service in before
            else self.settings.image(service)
            for service in self.settings.image_names
        }
        built = images.local_images(wanted, self.settings.docker)
        for service, reference in built.items():
            if before.get(service) != reference:
                self.ask("config", "set", "--path", f"images.{service}", reference, "--stack", self.name)
        if built.items() - before.items():
            note(
                f"{stack_file(self.name).name} now names them, so that `pulumi up` finds them too; you need not commit this"
            )
        for service in before.keys() - built.keys():  # its registry can be reached again
            self.ask("config", "rm", "--path", f"images.{service}", "--stack", self.name)
        pulling.pull(
            engine_setup.connect(self.settings.docker), {wanted[service] for service in wanted.keys() - built.keys()}
        )
