"""Declares the long-running containers: the one place for what every service of every stack has."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.config_files import ConfigFiles
from config.container import STACK_LABEL, Container, Mount
from config.images import without_digest
from config.settings import Settings, disk_budget
from config.settings.units import go_duration, mib

HEALTH_INTERVAL_SECONDS = 60
"""Each check is a process that the engine starts in the container, and costs a tenth of a second of CPU. A deployment and
`make check` ask the service itself."""

PROVIDER_MISSES = ["healthcheck", "tmpfs", "init"]
"""Inputs that the provider reports as changed without changing them (upstream handles no update of them)."""


class Service(pulumi.ComponentResource):
    """One container with its image, its data volume, its config files, and the proof that it runs with them.

    A changed memory limit is applied to the running container if the service finds its limit by itself. A service that
    must be told its limit (`go_memory_percent`) is replaced. Changed config files reach the service without a restart.
    Any other change replaces the container; the old one is stopped first, and gets its grace period.
    """

    container: docker.Container
    data: docker.Volume | None = None
    running: Mapping[str, pulumi.Input[str]]
    """What a deployment can change about the service (`engine.annotation.Running`). The deployment's annotation
    reports it."""

    def __init__(
        self,
        spec: Container,
        *,
        settings: Settings,
        networks: Mapping[str, docker.Network],
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: the proofs of other services, which must be healthy before this one starts."""
        name = spec.service
        super().__init__("nervous-system:index:Service", name, None, opts)
        full_name = f"{settings.prefix}-{name}"
        reference = settings.image(name)
        images = [self._image(name, reference)]
        volumes = []
        if spec.data:
            self.data = docker.Volume(
                name,
                name=full_name,
                # `destroy` and a replacement keep it; the next deployment finds it by its name.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
            volumes.append(docker.ContainerVolumeArgs(volume_name=self.data.name, container_path=spec.data))
        files = None
        if spec.config:
            shell = reference
            if not spec.tools:
                shell = settings.image("busybox")
                images.append(self._image(f"{name}-busybox", shell))
            files = ConfigFiles(
                name, spec.config, prefix=settings.prefix, image=reference, shell=shell, user=spec.user, secrets=secrets,
                claims=volumes[0] if spec.claims_data else None, capabilities=spec.capabilities,
                opts=pulumi.ResourceOptions(parent=self, depends_on=images),
            )  # fmt: skip
            volumes.append(files.mounted)
        memory = settings.memory_mib(name)
        environment = dict(spec.environment)
        if spec.go_memory_percent:
            environment["GOMEMLIMIT"] = f"{memory * spec.go_memory_percent // 100}MiB"
        self.container = docker.Container(
            name,
            name=full_name,
            image=reference,
            hostname=name,
            entrypoints=list(spec.entrypoint) if spec.entrypoint else None,
            command=list(spec.command),
            user=spec.user,
            envs=[f"{key}={value}" for key, value in sorted(environment.items())],
            labels=_labels({"observability.service": name, STACK_LABEL: settings.prefix}),
            memory=memory,
            memory_swap=memory,  # no swap, so the limit is the limit
            cpu_shares=512,  # half the default, which your own services have
            restart="unless-stopped",
            must_run=True,
            destroy_grace_seconds=spec.grace_seconds,
            stop_timeout=spec.grace_seconds,
            healthcheck=_healthcheck(spec.health),
            log_driver="json-file",
            log_opts={"max-size": f"{mib(disk_budget.LOG_FILE)}m", "max-file": str(disk_budget.LOG_FILES)},
            network_mode="bridge",
            networks_advanced=_networks(spec, settings, networks),
            hosts=[docker.ContainerHostArgs(host=name, ip=address) for name, address in spec.names.items()],
            sysctls={"net.ipv4.ip_forward": "0"}
            if len(settings.joins(name)) > 1
            else None,  # no route between its networks
            ports=_ports(spec, settings),
            volumes=volumes,
            mounts=[_bind(mount) for mount in spec.mounts],
            devices=[
                docker.ContainerDeviceArgs(host_path=device, container_path=device, permissions="r")
                for device in spec.devices
            ],
            read_only=spec.read_only,
            tmpfs=_in_memory(spec),
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=sorted(spec.capabilities)),
            security_opts=["no-new-privileges:true"],
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,  # the old one holds its name and its ports
                replace_on_changes=PROVIDER_MISSES,
                depends_on=[*images, *([files.loaded] if files else []), *after],
            ),
        )
        self.proved = self._prove(spec, settings, files)
        self.running = {
            "image": without_digest(reference),
            "memory": f"{memory} MiB",
            "files": files.order["revision"] if files else "",
            "container": self.container.id,
        }
        self.register_outputs({"container": self.container.name})

    def _image(self, name: str, reference: str) -> docker.RemoteImage:
        return docker.RemoteImage(
            name,
            name=reference,
            keep_locally=True,  # other stacks on this engine may run it
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _prove(self, spec: Container, settings: Settings, files: ConfigFiles | None) -> command.local.Command:
        """A command that succeeds once this very container is healthy and runs these very files.

        The provider's own `wait` turns green at the next update, healthy or not. A failed command is run again.
        """
        order = {
            "docker": settings.docker.model_dump(),
            "container": self.container.id,
            "health": list(spec.health or ()),
            "grace_seconds": spec.grace_seconds,
            **(files.order if files else {}),
        }
        return command.local.Command(
            spec.service,
            create=".venv/bin/python -m engine.activate",
            environment={"ORDER": pulumi.Output.json_dumps(order)},
            add_previous_output_in_env=False,
            logging=command.local.Logging.NONE,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[self.container],
                # More than its own limit plus the way back to the old files on a slow host. If it were killed, the new
                # files would stay live.
                custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m"),
            ),
        )


def _labels(labels: Mapping[str, str]) -> list[docker.ContainerLabelArgs]:
    return [docker.ContainerLabelArgs(label=key, value=value) for key, value in sorted(labels.items())]


def _healthcheck(test: Sequence[str] | None) -> docker.ContainerHealthcheckArgs | None:
    if not test:
        return None
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *test],
        interval=go_duration(HEALTH_INTERVAL_SECONDS),
        timeout=go_duration(10),
        start_period=go_duration(60),
        retries=2,
    )


def _in_memory(spec: Container) -> dict[str, str] | None:
    """Folder → options of the tmpfs that is mounted there."""
    scratch = {"/tmp": "size=64m,mode=1777"} if spec.read_only else {}  # noqa: S108 - inside the container
    return {**scratch, **dict.fromkeys(spec.empty, "size=4k,mode=0555")} or None


def _bind(mount: Mount) -> docker.ContainerMountArgs:
    """A host path, read-only. What is mounted below it later shows up too: a disk that nobody sees would raise no
    alert."""
    return docker.ContainerMountArgs(
        type="bind",
        source=mount.host,
        target=mount.inside,
        read_only=True,
        bind_options=docker.ContainerMountBindOptionsArgs(propagation="rslave"),
    )


def _networks(
    spec: Container, settings: Settings, networks: Mapping[str, docker.Network]
) -> list[docker.ContainerNetworksAdvancedArgs]:
    joined: list[docker.ContainerNetworksAdvancedArgs] = []
    for kind in settings.joins(spec.service):
        if kind in {"inside", "door"}:
            joined.append(docker.ContainerNetworksAdvancedArgs(name=networks[kind].name, aliases=[spec.service]))
        elif kind == "edge":
            address = settings.edge.address(spec.service)
            joined.append(docker.ContainerNetworksAdvancedArgs(name=networks[kind].name, ipv4_address=address))
        else:
            aliases = [spec.alias] if spec.alias else None
            names: list[pulumi.Input[str]] = [networks[kind].name, *sorted(settings.networks)]
            joined += [docker.ContainerNetworksAdvancedArgs(name=name, aliases=aliases) for name in names]
    return joined


def _ports(spec: Container, settings: Settings) -> list[docker.ContainerPortArgs]:
    ports = []
    for name, port in spec.published.items():
        if listen := getattr(settings.publish, name):
            address, outside = listen.rsplit(":", 1)
            ports.append(
                docker.ContainerPortArgs(internal=port, external=int(outside), ip=address.strip("[]"), protocol="tcp")
            )
    return ports
