"""The one place that delivers files to a service, without restarting it.

    files ──uploads──▶ loader (own file system) ──validator──▶ volume/<revision>      nothing unchecked gets further
                                                                     │
    components/activate.py:  current ──▶ <revision>, reload, read back; on refusal current ──▶ <the one before>

The loader is a container of the service's own image that runs once for each set of files. The revision is the
loader's container id, so that no hash of a secret shows anywhere. The service mounts the volume read-only and reads
`/config/current/…`; its own inputs never change with its config.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from config import container as spec
from config.container import MOUNT

INCOMING = "/incoming"
VAULT = "/vault"

# The volume's own link is made only where there is none yet: later ones are moved by activate.py.
_LOAD = """set -eu; umask 027; cd {incoming}
if [ -d {vault} ]; then cp -r {vault} secrets; fi
{validate}
new={mount}/$(cat /etc/hostname)
rm -rf "$new"; cp -r {incoming} "$new"
[ -e {mount}/current ] || ln -sfn "${{new##*/}}" {mount}/current
"""


class ConfigFiles(pulumi.ComponentResource):
    """The config files and secrets of one service, validated, in a volume of their own.

    The service mounts `mounted` and depends on `loaded`; `order` is for `components/activate.py`.
    """

    def __init__(
        self,
        name: str,
        config: spec.ConfigFiles,
        *,
        prefix: str,
        image: str,
        user: str,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        # As inputs of the component the texts make a readable diff; those of the uploads pair wrong files.
        super().__init__("nervous-system:index:ConfigFiles", name, {"files": dict(config.files)}, opts)
        self._name = name
        gid = user.split(":")[1]
        self.volume = docker.Volume(
            f"{name}-config", name=f"{prefix}-{name}-config", opts=pulumi.ResourceOptions(parent=self)
        )

        def run_once(role: str, **arguments: Any) -> docker.Container:
            """A container that never stays: files belong to root, and are readable by the service's group only."""
            return docker.Container(
                f"{name}-{role}",
                name=f"{prefix}-{name}-{role}",
                image=image,
                user=f"0:{gid}",
                capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
                security_opts=["no-new-privileges:true"],
                network_mode="none",
                must_run=False,
                restart="no",
                log_driver="json-file",
                log_opts={"max-size": "1m", "max-file": "1"},
                labels=[docker.ContainerLabelArgs(label="observability.stack", value=prefix)],
                opts=pulumi.ResourceOptions(
                    parent=self,
                    delete_before_replace=True,
                    custom_timeouts=pulumi.CustomTimeouts(create="2m"),  # a validator that hangs
                ),
                **arguments,
            )

        volumes = [docker.ContainerVolumeArgs(volume_name=self.volume.name, container_path=MOUNT)]
        if config.secrets:
            # Apart from the other files: one secret in a list hides the whole list in every preview.
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
            volumes.append(docker.ContainerVolumeArgs(from_container=vault.id, read_only=True))
        incoming = config.files or {".keep": "\n"}  # with a content: the provider refuses an upload without
        loader = run_once(
            "loader",
            entrypoints=["/bin/sh", "-c"],
            command=[_LOAD.format(incoming=INCOMING, vault=VAULT, mount=MOUNT, validate=config.validate)],
            memory=256,
            memory_swap=256,
            attach=True,
            logs=True,
            uploads=[
                docker.ContainerUploadArgs(file=f"{INCOMING}/{path}", content=text)
                for path, text in sorted(incoming.items())
            ],
            volumes=volumes,
        )
        # The provider only notes how the loader ended; this fails the update with the validator's words.
        revision = pulumi.Output.all(loader.id, loader.exit_code, loader.container_logs).apply(self._accepted)
        self.loaded = revision.apply(lambda _: loader)
        self.mounted = docker.ContainerVolumeArgs(volume_name=self.volume.name, container_path=MOUNT, read_only=True)
        self.order: dict[str, Any] = {
            "revision": revision,
            "reload": config.reload,
            "expect": dict(config.expect),
        }
        self.register_outputs({})

    def _accepted(self, result: Sequence[Any]) -> str:
        revision, exit_code, words = result
        if exit_code:
            msg = f"{self._name}: its validator refuses the new files; the running service keeps the old ones:\n{words}"
            raise pulumi.RunError(msg)
        return str(revision)
