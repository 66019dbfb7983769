"""The Docker engine of a stack, and how to reach it."""

import posixpath
import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints, computed_field, field_validator, model_validator

from config.docker_cli import SOCKET
from config.settings.model import MAX_PORT, HostFile, HostFolder, Model, is_host

File = Annotated[str, StringConstraints(pattern=r"^[\w./~+@-]+$")]
"""Relative to the project, or from `/` or `~`. Without blanks and quotes, for it is handed from one ssh to another."""
_SOCKET = r"/[\w./+@-]+"
Socket = Annotated[HostFile, StringConstraints(pattern=f"^{_SOCKET}$")]
"""On the engine's host, from `/`."""
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?(\[[0-9A-Fa-f:.]+\]|[^@:\[\]]+)(?::([0-9]{1,5}))?")


def _is_reachable(text: str) -> bool:
    """Whether `text` is `[user@]host[:port]` of which no part can be taken for an option, or for a command of a shell."""
    match = _AUTHORITY.fullmatch(text)
    return bool(match and is_host(match[1]) and (match[2] is None or 0 < int(match[2]) <= MAX_PORT))


def _jump(text: str) -> str:
    if not _is_reachable(text) or "[" in text:
        msg = "is not [user@]host[:port]"
        raise ValueError(msg)
    return text


Jump = Annotated[str, AfterValidator(_jump)]

ONE_CONNECTION = ("ControlMaster=auto", "ControlPath=~/.ssh/nervous-%C", "ControlPersist=60s")
"""The provider opens a session for each request that it makes beside others. They share one login, as far as the sshd lets
them (MaxSessions 10): of more than ten logins at the same time it drops some (MaxStartups 10:30:100)."""


class Ssh(Model):
    """How an ssh host is reached, as far as the ssh client's own config does not say it."""

    key: File | None = None
    """File with the private key. Default: those of the ssh client's config or its agent."""
    known_hosts: File | None = None
    """File with the keys of the host and the jump host, as `ssh-keyscan` prints them. Any other key is refused.
    Default: the keys that the ssh client knows."""
    jump: Jump | None = None
    """`[user@]host[:port]` of a host in between. The login uses the same key."""

    @property
    def options(self) -> list[str]:
        """Options of the ssh client. It refuses a host whose key is unknown, and never asks."""
        values = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", "ServerAliveInterval=15"]
        if self.key:
            values += [f"IdentityFile={self.key}", "IdentitiesOnly=yes"]
        if self.known_hosts:
            values += [f"UserKnownHostsFile={self.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
        return [f"-o{value}" for value in values]


class Docker(Model):
    """The engine that the stack is deployed to."""

    host: str = f"unix://{SOCKET}"
    """`unix:///path`, `tcp://host:port` (with `certificates`) or `ssh://user@host[:port]` (the host needs the Docker
    CLI, and the user in its group `docker`). If the engine's socket is at an unusual path, append it:
    `ssh://user@host/run/user/1000/docker.sock`."""
    certificates: File | None = None
    """Folder with `ca.pem`, `cert.pem` and `key.pem`, for a tcp host."""
    ssh: Ssh | None = None
    """For an ssh host."""
    data_root: HostFolder = "/var/lib/docker"
    """Where the engine keeps its data (`docker info --format '{{.DockerRootDir}}'`)."""
    containerd: Socket = "/run/containerd/containerd.sock"
    """Socket of the engine's containerd (`docker info --format '{{.Containerd.Address}}'`). cAdvisor asks it about
    containers whose images are in containerd's own store. `make up` finds it."""
    kmsg: bool = True
    """false if the host has no `/dev/kmsg`, as in an unprivileged container of LXC. Then the stack cannot tell which
    container the kernel killed for memory. `make up` finds it out."""
    systemd: bool = True
    """false if the host has no systemd, or does not let a container ask it (Ubuntu's AppArmor). Then nothing tells that
    a unit has failed. `make up` finds it out."""

    @property
    def socket(self) -> str:
        """Path of the engine's socket on its host."""
        return posixpath.normpath(urlsplit(self.host).path.rstrip("/") or SOCKET)

    @property
    def asked_at_previews(self) -> bool:
        """Whether the Docker provider contacts the engine during previews. It does, except over ssh (`Configure` of
        pulumi-docker 5)."""
        return not self.host.startswith("ssh://")

    @property
    def provider_host(self) -> str:
        """Host for the Docker provider. It includes the path of the socket: without it, `docker system dial-stdio`
        would follow the environment or current context on that host. Source: `cli/connhelper/connhelper.go` of the
        Docker CLI v28.5."""
        return f"ssh://{urlsplit(self.host).netloc}{self.socket}" if self.host.startswith("ssh://") else self.host

    def seen_from(self, way_back: str) -> "Docker":
        """The same engine for a program in another folder. `way_back` leads from there to the project."""
        ssh = self.ssh and self.ssh.model_copy(
            update={"key": _behind(way_back, self.ssh.key), "known_hosts": _behind(way_back, self.ssh.known_hosts)}
        )
        return self.model_copy(update={"certificates": _behind(way_back, self.certificates), "ssh": ssh})

    @field_validator("host")
    @classmethod
    def _known_scheme(cls, host: str) -> str:
        try:
            parts = urlsplit(host)
        except ValueError:  # brackets that do not close
            parts = urlsplit("")
        if parts.password:
            msg = "contains a password, which would be visible: log in to ssh hosts with a key"
            raise ValueError(msg)
        socket = parts.scheme in {"unix", "ssh"} and re.fullmatch(_SOCKET, parts.path)
        remote = parts.scheme in {"tcp", "ssh"} and _is_reachable(parts.netloc) and (socket or parts.path in {"", "/"})
        if not (remote or (host.startswith("unix:///") and socket)) or parts.query or parts.fragment:
            msg = "is not unix:///path, tcp://host:port or ssh://user@host"
            raise ValueError(msg)
        return host

    @model_validator(mode="after")
    def _nobody_listens_in(self) -> Self:
        parts = urlsplit(self.host)
        if parts.scheme == "tcp" and not self.certificates and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            msg = (
                "docker.certificates: without certificates, anyone on the network path could become root on a tcp host"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> Self:
        scheme = urlsplit(self.host).scheme
        if self.ssh and scheme != "ssh":
            msg = "docker.ssh: is for a host with ssh://"
            raise ValueError(msg)
        if self.certificates and scheme != "tcp":
            msg = "docker.certificates: are for a host with tcp://"
            raise ValueError(msg)
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ssh_options(self) -> list[str]:
        """Options for every ssh client that connects to this engine; empty for other hosts."""
        if not self.host.startswith("ssh://"):
            return []
        ssh = self.ssh or Ssh()
        jump = []
        if ssh.jump:
            user, _, host = ssh.jump.rpartition("@")
            host, _, port = host.partition(":")
            words = ["ssh", *ssh.options, "-W", "'[%h]:%p'", *(["-l", user] if user else []), "-p", port or "22", host]
            # Not ProxyJump, because its ssh would not get these options.
            jump = [f"-oProxyCommand={' '.join(words)}"]
        return [*ssh.options, *(f"-o{value}" for value in ONE_CONNECTION), *jump]


def _behind(way_back: str, file: str | None) -> str | None:
    return posixpath.join(way_back, file) if file and not file.startswith("~") else file
