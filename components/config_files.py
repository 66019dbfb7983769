"""Delivers files to a service without restarting it.

    files ──upload──▶ loader (own file system) ──validator──▶ volume/<revision>      only checked files get here
                                                                     │
    engine/activate.py:  current ──▶ <revision>, reload, read back; if refused, current ──▶ <previous revision>

The loader is a container of the service's own image that runs once for each set of files. If that image has no shell, a
validator of the service's image checks the files, and then a loader of the image `busybox` loads them out of a volume of
the validator. The revision is the loader's container id, so no hash of a secret shows anywhere. The service mounts the
volume read-only and reads `/config/current/…`; its inputs do not change with its config.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from components import file_archive
from config import container as spec
from config.container import MOUNT, NOT_ITS_OWN, STACK_LABEL

INCOMING = "/incoming"
"""Folder in the loader and the validator with the new files."""
ARCHIVE = f"{INCOMING}{file_archive.SUFFIX}"
"""What is uploaded to a loader. A validator without a shell could not unpack it, and gets the files one by one."""
VAULT = "/vault"
"""Folder in which the loader sees the secrets."""
MEMORY_MIB = 512
"""Memory limit of the validator and the loader. A validator is the whole program of its service. The largest of those
built here, Loki's, took 120 MB; the official collector and Alloy have several times as much code. It runs once, so the
limit costs nothing."""

# The loader makes the link only if there is none yet. Later activate.py moves it, and reads in its `./` that it never did.
_LOAD = """set -eu; umask 027; {claim}{unpack}cd {incoming}
{validate}new={mount}/$(cat /etc/hostname)
rm -rf "$new"; cp -r {incoming} "$new"
if [ -d {vault} ]; then rm -rf "$new/secrets"; cp -r {vault} "$new/secrets"; fi
[ -e {mount}/current ] || ln -sfn "./${{new##*/}}" {mount}/current
"""
# The validator reads the secrets too.
_VALIDATE = """if [ -d {vault} ]; then cp -r {vault} secrets; fi
{command}
"""


class ConfigFiles(pulumi.ComponentResource):
    """The config files and secrets of one service, validated, in a separate volume.

    The service mounts `mounted` and depends on `loaded`; `engine/activate.py` gets `order`.
    """

    def __init__(
        self,
        name: str,
        config: spec.ConfigFiles,
        *,
        prefix: str,
        image: str,
        shell: str,
        user: str,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions,
        claims: docker.ContainerVolumeArgs | None = None,
        capabilities: Sequence[str] = (),
    ) -> None:
        """Declares the volume, and the containers that fill it.

        Args:
            image: the service's image, which has the validator.
            shell: the image that loads the files; the same as `image` if that has a shell.
            claims: a data volume that the service may not write to yet.
            capabilities: the service's own. The kernel starts no program whose file has more capabilities than its
                container, so the container with the validator gets them too.
        """
        # As inputs of the component, the texts make a readable diff. The diff of the uploads pairs wrong files.
        super().__init__("nervous-system:index:ConfigFiles", name, {"files": dict(config.files)}, opts)
        self._name = name
        gid = user.split(":")[1]
        self.volume = docker.Volume(
            f"{name}-config", name=f"{prefix}-{name}-config", opts=pulumi.ResourceOptions(parent=self)
        )

        def run_once(
            role: str,
            *,
            image: str = shell,
            after: Sequence[pulumi.Input[pulumi.Resource]] = (),
            adds: Sequence[str] = (),
            **arguments: Any,
        ) -> docker.Container:
            """A container that does not keep running. Its files belong to root, and only the service's group can read
            them."""
            return docker.Container(
                f"{name}-{role}",
                name=f"{prefix}-{name}-{role}",
                image=image,
                user=f"0:{gid}",
                capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=sorted(adds)),
                security_opts=["no-new-privileges:true"],
                network_mode="none",
                must_run=False,
                restart="no",
                log_driver="json-file",
                log_opts={"max-size": "1m", "max-file": "1"},
                labels=[docker.ContainerLabelArgs(label=STACK_LABEL, value=prefix)],
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=after,
                    delete_before_replace=True,
                    custom_timeouts=pulumi.CustomTimeouts(create="2m"),  # for a validator that hangs
                ),
                **arguments,
            )

        volumes = [docker.ContainerVolumeArgs(volume_name=self.volume.name, container_path=MOUNT)]
        if config.secrets:
            # Separate from the other files: one secret in a list hides the whole list in every preview.
            vault = run_once(
                "vault",
                start=False,
                memory=16,
                memory_swap=16,
                volumes=[docker.ContainerVolumeArgs(container_path=VAULT)],
                uploads=[
                    docker.ContainerUploadArgs(file=f"{VAULT}/{path}", content=secrets[secret.key].apply(secret.render))
                    for path, secret in sorted(config.secrets.items())
                ],
            )
            volumes.append(_volumes_of(vault))
        claim = ""
        if claims:  # root without capabilities may give its own files to its own group
            volumes.append(claims)
            claim = f"chgrp {gid} {claims.container_path}; chmod 0770 {claims.container_path}; "
        uploads = [docker.ContainerUploadArgs(file=ARCHIVE, content=file_archive.packed(config.files))]
        unpack = file_archive.UNPACK.format(archive=ARCHIVE, folder=INCOMING)
        to_the_end: dict[str, Any] = {"memory": MEMORY_MIB, "memory_swap": MEMORY_MIB, "attach": True, "logs": True}
        validate = _VALIDATE.format(vault=VAULT, command=config.validate) if config.validate else ""
        validated: list[pulumi.Input[pulumi.Resource]] = []
        of_validator = capabilities if config.validate else ()
        if config.validate and image != shell:
            command = shlex.split(config.validate)
            validator = run_once(
                "validator",
                image=image,
                entrypoints=command[:1],
                command=command[1:],
                working_dir=INCOMING,
                adds=of_validator,
                uploads=[
                    docker.ContainerUploadArgs(file=f"{INCOMING}/{path}", content=text)
                    for path, text in sorted(config.files.items())
                ],
                volumes=[docker.ContainerVolumeArgs(container_path=INCOMING)],
                **to_the_end,
            )
            accepted = self._outcome(validator)
            validated = [accepted.apply(lambda _: validator)]
            validate, of_validator, uploads, unpack = "", (), [], ""
            # What was judged is what is loaded, and the files are in the state, which every update reads and writes, once less.
            volumes.append(_volumes_of(validator))
        loader = run_once(
            "loader",
            after=validated,
            adds=of_validator,
            entrypoints=["/bin/sh", "-c"],
            command=[
                _LOAD.format(claim=claim, unpack=unpack, incoming=INCOMING, vault=VAULT, mount=MOUNT, validate=validate)
            ],
            uploads=uploads or None,
            volumes=volumes,
            **to_the_end,
        )
        revision = self._outcome(loader)
        self.loaded = revision.apply(lambda _: loader)
        self.mounted = docker.ContainerVolumeArgs(volume_name=self.volume.name, container_path=MOUNT, read_only=True)
        self.order: dict[str, Any] = {
            "revision": revision,
            "reload": config.reload if isinstance(config.reload, str) else list(config.reload),
            "since_start": dict(config.since_start),
            "expect": dict(config.expect),
            "tools": image == shell,
        }
        self.register_outputs({})

    def _outcome(self, container: docker.Container) -> pulumi.Output[str]:
        """The container's id, once it has exited with 0. The provider only records how it ended; this fails the update
        with the validator's words."""

        def accepted(result: Sequence[Any]) -> str:
            identifier, exit_code, words = result
            if exit_code and int(exit_code) >= NOT_ITS_OWN:
                raise pulumi.RunError(
                    f"{self._name}: its new files could not be validated: the container for this did not run to its end (exit code "
                    f"{int(exit_code)}); the running service keeps the old ones. `make up` runs it again:\n{words or ''}"
                )
            if exit_code:
                raise pulumi.RunError(
                    f"{self._name}: its validator refuses the new files; the running service keeps the old ones:\n{words}"
                )
            return str(identifier)

        return pulumi.Output.all(container.id, container.exit_code, container.container_logs).apply(accepted)


def _volumes_of(container: docker.Container) -> docker.ContainerVolumeArgs:
    """Those of another container, to be read only. The engine reads the mode behind the id; the provider sends the id as it
    is, and ignores `read_only` beside it (pulumi-docker 5, `volumeSetToDockerVolumes` of its Terraform provider)."""
    return docker.ContainerVolumeArgs(from_container=container.id.apply(lambda identifier: f"{identifier}:ro"))
