"""Two hosts with an engine each, and a link between them: a centre, and an edge behind a firewall.

Each is Debian's engine in a network of its own, which outlives it: so a host can lose its power and come back. The edge reaches
the centre; no connection that the centre begins reaches the edge.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from docker import DockerClient

from config.settings.docker import Docker
from tests.support import leftovers, present_engine
from toolchain import engine_setup

CENTRE, EDGE = "10.98.0.1", "10.98.0.2"
"""Addresses at the two ends of the link."""
LINK = "link0"
ENGINE = Path("/usr/sbin/dockerd")
APART = ("setpriv", "--pdeathsig=KILL")


@dataclass
class Host:
    """One of the two."""

    folder: Path
    _network: "subprocess.Popen[bytes]"
    _engine: "subprocess.Popen[bytes] | None" = field(default=None)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["Host"]:
        """With an engine that has nothing yet; gone with all that it had at the end."""
        folder = Path(tempfile.gettempdir(), leftovers.new_prefix())
        folder.mkdir(mode=0o711)
        (folder / "daemon.json").write_text("{}")
        waits = ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"]
        with subprocess.Popen([*APART, *waits], stdout=subprocess.PIPE) as network:
            host = cls(folder, network)
            try:
                assert network.stdout
                network.stdout.readline()
                with host.network():
                    present_engine.loopback_up()
                host.start()
                yield host
            finally:
                host.lose_power()
                network.kill()
                present_engine.remove(folder)

    @property
    def docker(self) -> Docker:
        """How a stack file names its engine."""
        return Docker(host=f"unix://{self.folder}/docker.sock")

    def client(self) -> DockerClient:
        return engine_setup.connect(self.docker)

    def start(self) -> None:
        """Starts the engine, and returns when it answers."""
        for file in ("docker.pid", "exec/containerd/containerd.pid"):
            (self.folder / file).unlink(missing_ok=True)
        inside = (*APART, "nsenter", f"--net=/proc/{self._network.pid}/ns/net", "--")
        namespaces = (*inside, "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL")
        self._engine = present_engine.start(self.folder, namespaces, ENGINE, os.environ["PATH"])
        present_engine.wait(self.docker, self._engine, self.folder / "log").close()

    def lose_power(self) -> None:
        """Everything dies at once: the engine, what it runs containers by, and every container."""
        if self._engine:
            present_engine.end(self._engine)
            self._engine = None

    @contextmanager
    def network(self) -> Iterator[None]:
        """Lets this thread, and what it starts, be on this host as far as networks go."""
        with present_engine.network_of(self._network.pid):
            yield

    def run(self, *command: str) -> None:
        """Runs a command in the host's network."""
        entered = ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", "--", *command]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:{engine_setup.SBIN}"}
        subprocess.run(entered, env=environment, check=True, capture_output=True, text=True)

    @property
    def holder(self) -> int:
        """The process whose network it is."""
        return self._network.pid


@dataclass(frozen=True)
class TwoEngines:
    """The two hosts."""

    centre: Host
    edge: Host

    @contextmanager
    def cut(self) -> Iterator[None]:
        """No packet gets from one to the other: the cable is out."""
        self.centre.run("ip", "link", "set", LINK, "down")
        try:
            yield
        finally:
            self.centre.run("ip", "link", "set", LINK, "up")


@contextmanager
def linked() -> Iterator[TwoEngines]:
    """Both, with the link between them."""
    with ExitStack() as hosts:
        centre, edge = (hosts.enter_context(Host.running()) for _ in range(2))
        ends = [("name", LINK, "netns", str(host.holder)) for host in (centre, edge)]
        subprocess.run(["ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1]], check=True)
        for host, address in ((centre, CENTRE), (edge, EDGE)):
            host.run("ip", "address", "add", f"{address}/24", "dev", LINK)
            host.run("ip", "link", "set", LINK, "up")
        for chain in ("INPUT", "FORWARD"):  # to the host itself, and to its containers
            edge.run("iptables", "-I", chain, "-i", LINK, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
        yield TwoEngines(centre, edge)
