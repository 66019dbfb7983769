"""The one place that makes a long-running container: what every service of every stack has."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.config_files import ConfigFiles
from config.container import Container, Mount
from config.settings import Settings
from config.units import go_duration

HEALTH_INTERVAL_SECONDS = 30
"""Each check is a process that the engine starts in the container: more often would cost more than it tells."""

PROVIDER_MISSES = ["healthcheck", "tmpfs", "init"]
"""Inputs whose change the provider reports as done without doing it (upstream handles no update of them)."""


class Service(pulumi.ComponentResource):
    """One container with its image, its data volume, its config files, and the proof that it runs with them.

    A change of memory is made in the running container, where the service finds its limit by itself; one that must be
    told (`go_memory_limit`) is replaced. A change of config files reaches it without a restart. Any other change
    replaces it, the old one being stopped first with the time it needs.
    """

    container: docker.Container
    data: docker.Volume | None = None

    def __init__(
        self,
        spec: Container,
        *,
        settings: Settings,
        network: docker.Network,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        name = spec.service
        super().__init__("nervous-system:index:Service", name, None, opts)
        full_name = f"{settings.prefix}-{name}"
        reference = settings.image(name)
        image = docker.RemoteImage(
            name,
            name=reference,
            keep_locally=True,  # other stacks on this engine may run it
            opts=pulumi.ResourceOptions(parent=self),
        )
        volumes = []
        if spec.data:
            self.data = docker.Volume(
                name,
                name=full_name,
                # Kept by destroy, and by a replacement; the next deployment finds it by its name.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
            volumes.append(docker.ContainerVolumeArgs(volume_name=self.data.name, container_path=spec.data))
        files = None
        if spec.config:
            files = ConfigFiles(
                name, spec.config, prefix=settings.prefix, image=reference, user=spec.user, secrets=secrets,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[image]),
            )  # fmt: skip
            volumes.append(files.mounted)
        memory = settings.memory_mib(name)
        environment = dict(spec.environment)
        if spec.go_memory_limit:  # the rest is for stacks and for what the runtime does not count
            environment["GOMEMLIMIT"] = f"{memory * 85 // 100}MiB"
        self.container = docker.Container(
            name,
            name=full_name,
            image=reference,
            hostname=name,
            command=list(spec.command),
            user=spec.user,
            envs=[f"{key}={value}" for key, value in sorted(environment.items())],
            labels=_labels({"observability.service": name, "observability.stack": settings.prefix}),
            memory=memory,
            memory_swap=memory,  # no swap: the limit means what it says
            cpu_shares=512,  # half of what the user's own services have by default
            restart="unless-stopped",
            must_run=True,
            destroy_grace_seconds=spec.grace_seconds,
            stop_timeout=spec.grace_seconds,
            healthcheck=_healthcheck(spec.health),
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            network_mode="bridge",
            networks_advanced=_networks(spec, settings, network),
            ports=_ports(spec, settings),
            volumes=volumes,
            mounts=[_bind(mount) for mount in spec.mounts],
            devices=[
                docker.ContainerDeviceArgs(host_path=device, container_path=device, permissions="r")
                for device in spec.devices
            ],
            read_only=True,
            tmpfs={"/tmp": "size=64m,mode=1777"},  # noqa: S108 - inside the container
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=sorted(spec.capabilities)),
            security_opts=["no-new-privileges:true"],
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,  # its name and its ports are taken by the old one
                replace_on_changes=PROVIDER_MISSES,
                depends_on=[image, *([files.loaded] if files else [])],
            ),
        )
        self._prove(spec, settings, files)
        self.register_outputs({"container": self.container.name})

    def _prove(self, spec: Container, settings: Settings, files: ConfigFiles | None) -> None:
        """A command that ends well once this very container is well and runs these very files.

        The provider's own `wait` turns green at the next update, well or not; a failed command is run again.
        """
        order = {
            "docker": settings.docker.model_dump(),
            "container": self.container.id,
            "health": list(spec.health or ()),
            "grace_seconds": spec.grace_seconds,
            **(files.order if files else {}),
        }
        command.local.Command(
            spec.service,
            create=".venv/bin/python -m components.activate",
            environment={"ORDER": pulumi.Output.json_dumps(order)},
            add_previous_output_in_env=False,
            logging=command.local.Logging.NONE,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[self.container],
                custom_timeouts=pulumi.CustomTimeouts(create="5m", update="5m"),
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
        retries=3,
    )


def _bind(mount: Mount) -> docker.ContainerMountArgs:
    """A host path; what is mounted below it later shows up too (a disk that nobody saw would raise no alert)."""
    return docker.ContainerMountArgs(
        type="bind",
        source=mount.host,
        target=mount.inside,
        read_only=True,
        bind_options=docker.ContainerMountBindOptionsArgs(propagation="rslave"),
    )


def _networks(
    spec: Container, settings: Settings, network: docker.Network
) -> list[docker.ContainerNetworksAdvancedArgs]:
    own = docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=[spec.service])
    users = settings.networks if spec.reaches_users else ()
    return [own, *(docker.ContainerNetworksAdvancedArgs(name=name) for name in sorted(users))]


def _ports(spec: Container, settings: Settings) -> list[docker.ContainerPortArgs]:
    listen = getattr(settings.publish, spec.service, None)
    if listen is None:
        return []
    address, port = listen.rsplit(":", 1)
    return [docker.ContainerPortArgs(internal=spec.port, external=int(port), ip=address.strip("[]"), protocol="tcp")]
