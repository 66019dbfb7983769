"""Tests whether containers see the engine's host as node_exporter and cAdvisor need it. The engine does not report
this, so a container tries it."""

import contextlib
import re
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.types import Mount
from requests.exceptions import RequestException

from config.container import STACK_LABEL
from config.services import descriptions
from config.services.metrics import node_exporter
from config.services.metrics.cadvisor import KMSG
from config.settings import Settings
from operate import interrupts
from toolchain.report import ToolchainError

PRIVATE = re.compile(r"mounted on (\S+) but it is not a shared or slave mount")
"""An engine's message (Docker 20.10 to 29) about a mount that does not show what is mounted below it later."""


def lacks_kmsg(client: DockerClient, settings: Settings) -> bool:
    """Whether the settings ask for a `/dev/kmsg` that the host does not have. If cAdvisor runs, the host has
    everything.

    Raises:
        ToolchainError: a folder that a service mounts is a private mount: the engine cannot show what is mounted below
            it later.
    """
    with contextlib.suppress(NotFound):
        if client.containers.get(f"{settings.prefix}-cadvisor").status == "running":
            return False
    mounts = (mount for service in settings.services for mount in descriptions.describe(service, settings).mounts)
    binds = [
        Mount(f"/seen/{number}", folder, type="bind", read_only=True, propagation="rslave")
        for number, folder in enumerate(sorted({mount.host for mount in mounts}))
    ]
    if private := PRIVATE.search(_complaint(client, settings, mounts=binds)):
        raise ToolchainError(
            f"on the engine's host {private[1]} is a private mount: no container would see the disks that are mounted below it "
            "later, and the engine refuses to show it (rslave)",
            fix=f"there: mount --make-rshared {private[1]}  and the same at each boot before Docker starts (rc.local, "
            "/etc/local.d); then run this again",
        )
    return settings.docker.kmsg and KMSG in _complaint(client, settings, devices=[f"{KMSG}:{KMSG}:r"])


def _complaint(client: DockerClient, settings: Settings, **sees: Any) -> str:
    """The engine's message if it cannot start a container that `sees` something; empty if it can."""
    return _try(
        client, settings, image=settings.image("busybox"), entrypoint=["true"], command=[], mem_limit="32m", **sees
    ).complaint


def lacks_systemd(client: DockerClient, settings: Settings) -> bool:
    """Whether the settings ask for units of a systemd that node_exporter cannot ask. The answer comes from a
    node_exporter that tries it: there may be no systemd, no D-Bus, or a rule of AppArmor or SELinux against it."""
    if not settings.docker.systemd:
        return False
    with contextlib.suppress(NotFound):
        if "--collector.systemd" in client.containers.get(f"{settings.prefix}-node_exporter").attrs["Args"]:
            return False
    described = node_exporter.container(settings)
    trial = _try(
        client,
        settings,
        image=settings.image("node_exporter"),
        entrypoint=["timeout", str(TRIAL_SECONDS), "/bin/sh", "-c"],
        command=[_ASK_SYSTEMD],
        environment=dict(described.environment),
        user=described.user,
        mem_limit="64m",
        mounts=[Mount(mount.inside, mount.host, type="bind", read_only=True) for mount in described.mounts],
    )
    return _ASKED in trial.output and _ANSWERED not in trial.output


TRIAL_SECONDS = 20
_ASKED, _ANSWERED = (f'node_scrape_collector_success{{collector="systemd"}} {value}' for value in ("", "1"))
_ASK_SYSTEMD = f"""
/bin/node_exporter --collector.disable-defaults --collector.systemd --web.listen-address=127.0.0.1:{node_exporter.PORT} &
until wget -q -O - http://127.0.0.1:{node_exporter.PORT}/metrics; do sleep 1; done
"""
"""Prints one page of a node_exporter that has only the collector `systemd`."""


@dataclass(frozen=True)
class _Trial:
    complaint: str = ""
    """The engine's message if it could not start the container."""
    output: str = ""
    """What the container printed until it ended."""


def _try(client: DockerClient, settings: Settings, **options: Any) -> _Trial:
    """Runs a container without network and capabilities until it ends.

    The container's name is fixed, because each name that cAdvisor sees becomes a label value for good.
    """
    name, tried = f"{settings.prefix}-trial", None
    with contextlib.suppress(NotFound):  # left by a command that was killed
        client.containers.get(name).remove(force=True)
    try:
        with interrupts.put_off():
            tried = client.containers.create(
                name=name,
                labels={STACK_LABEL: settings.prefix},
                network_mode="none",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                **options,
            )
        tried.start()
        tried.wait(timeout=2 * TRIAL_SECONDS)
        return _Trial(output=tried.logs().decode(errors="replace"))
    except APIError as error:
        return _Trial(complaint=str(error.explanation))
    except RequestException as error:  # it has not ended in time
        return _Trial(complaint=str(error))
    finally:
        if tried:
            with interrupts.put_off():
                tried.remove(force=True)
