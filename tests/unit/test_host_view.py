"""What an engine says when its host cannot be seen as the exporters see it, and what becomes of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound
from requests.exceptions import ReadTimeout

from operate.host_view import lacks_kmsg, lacks_systemd
from tests.support.program import settings_of
from toolchain.report import ToolchainError

# As Docker 20.10 said it, asked for a bind mount of a private mount and for a device that is not there.
PRIVATE = "path /srv/logs is mounted on /srv but it is not a shared or slave mount"
NO_KMSG = 'error gathering device information while adding custom device "/dev/kmsg": no such file or directory'


@dataclass
class Engine:
    """An engine that refuses some of what its containers shall see."""

    refuses: dict[str, str] = field(default_factory=dict)
    """Option → what it says."""
    running: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a container → its command line."""
    prints: str = ""
    ends: bool = True
    """Whether its containers end in time."""
    options: dict[str, Any] = field(default_factory=dict)
    leftovers: set[str] = field(default_factory=set)

    @property
    def containers(self) -> "Engine":
        return self

    def get(self, name: str) -> Any:
        if name not in self.running:
            raise NotFound(name)
        return SimpleNamespace(status="running", attrs={"Args": [*self.running[name]]})

    def create(self, image: str, *, name: str, **options: Any) -> Any:
        assert options["network_mode"] == "none"
        assert options["cap_drop"] == ["ALL"]
        self.options |= options | {"image": image}
        self.leftovers.add(name)
        says = [words for option, words in self.refuses.items() if option in options]

        def start() -> None:
            if says:
                raise APIError("500 Server Error", explanation=says[0])

        def wait(timeout: int) -> None:
            if not self.ends:
                raise ReadTimeout(f"timed out after {timeout} s")

        return SimpleNamespace(
            start=start, wait=wait, logs=self.prints.encode, remove=lambda **_: self.leftovers.remove(name)
        )


def lacks(engine: Engine, **docker: Any) -> bool:
    verdict = lacks_kmsg(engine, settings_of({"docker": docker}))  # type: ignore[arg-type]
    assert not engine.leftovers
    return verdict


def test_all_that_is_mounted_for_a_service_is_tried_as_it_will_be_mounted() -> None:
    engine = Engine()
    assert not lacks(engine)
    assert {"/", "/sys", "/var/log", "/var/lib/docker", "/var/run/docker.sock"} <= {
        m["Source"] for m in engine.options["mounts"]
    }
    assert {mount["BindOptions"]["Propagation"] for mount in engine.options["mounts"]} == {"rslave"}
    assert engine.options["devices"] == ["/dev/kmsg:/dev/kmsg:r"]
    assert engine.options["image"] == settings_of().image("busybox")


def test_a_host_without_kmsg_is_found() -> None:
    assert lacks(Engine({"devices": NO_KMSG}))


def test_a_device_that_the_settings_leave_out_is_not_tried() -> None:
    assert not lacks(Engine({"devices": NO_KMSG}), kmsg=False)


def test_a_private_mount_is_refused_with_what_to_do_on_the_host() -> None:
    engine = Engine({"mounts": PRIVATE})
    with pytest.raises(ToolchainError, match="on the engine's host /srv is a private mount") as caught:
        lacks(engine)
    assert "mount --make-rshared /srv " in caught.value.fix
    assert not engine.leftovers


@pytest.mark.parametrize("option", ["mounts", "devices"])
def test_what_else_an_engine_refuses_is_left_to_the_deployment(option: str) -> None:
    assert not lacks(Engine({option: "bind source path does not exist: /srv/logs"}))


def test_nothing_is_tried_where_cadvisor_runs() -> None:
    engine = Engine({"mounts": PRIVATE, "devices": NO_KMSG}, running={"nervous-test-cadvisor": ()})
    assert not lacks(engine)
    assert not engine.options


# As node_exporter 1.12 printed it.
ANSWERED = 'node_scrape_collector_success{collector="systemd"} 1\n'
FAILED = 'err="couldn\'t get dbus connection: ..."\nnode_scrape_collector_success{collector="systemd"} 0\n'


def without_systemd(engine: Engine, **docker: Any) -> bool:
    verdict = lacks_systemd(engine, settings_of({"docker": docker}))  # type: ignore[arg-type]
    assert not engine.leftovers
    return verdict


@pytest.mark.parametrize(("prints", "lacks"), [(ANSWERED, False), (FAILED, True)])
def test_a_node_exporter_tries_whether_systemd_answers_it(prints: str, lacks: bool) -> None:  # noqa: FBT001
    engine = Engine(prints=prints)
    assert without_systemd(engine) is lacks
    assert engine.options["image"] == settings_of().image("node_exporter")
    assert engine.options["user"] == "65534:65534"
    assert "DBUS_SYSTEM_BUS_ADDRESS" in engine.options["environment"]


def test_a_trial_without_an_answer_decides_nothing() -> None:
    assert not without_systemd(Engine(prints=""))
    assert not without_systemd(Engine(prints=FAILED, ends=False))
    assert not without_systemd(Engine({"mounts": PRIVATE}, prints=FAILED))


def test_systemd_is_not_asked_if_the_settings_leave_it_out_or_a_running_node_exporter_asks_it() -> None:
    asks = Engine(prints=FAILED, running={"nervous-test-node_exporter": ("--collector.systemd",)})
    for engine, docker in ((Engine(prints=FAILED), {"systemd": False}), (asks, {})):
        assert not without_systemd(engine, **docker)
        assert not engine.options


def test_systemd_is_asked_if_the_running_node_exporter_does_not_yet() -> None:
    assert without_systemd(Engine(prints=FAILED, running={"nervous-test-node_exporter": ("--collector.cpu",)}))
