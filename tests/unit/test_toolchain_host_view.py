"""What an engine says when its host cannot be seen as the exporters see it, and what becomes of that."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from operate.host_view import lacks_kmsg
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
    running: tuple[str, ...] = ()
    seen: dict[str, Any] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    @property
    def containers(self) -> "Engine":
        return self

    def get(self, name: str) -> Any:
        if name not in self.running:
            raise NotFound(name)
        return SimpleNamespace(status="running")

    def create(self, image: str, *, name: str, **options: Any) -> Any:
        assert image == settings_of().image("busybox")
        assert options["network_mode"] == "none"
        self.seen |= options
        self.left.add(name)
        says = [words for option, words in self.refuses.items() if option in options]

        def start() -> None:
            if says:
                raise APIError("500 Server Error", explanation=says[0])

        return SimpleNamespace(start=start, remove=lambda **_: self.left.remove(name))


def lacks(engine: Engine, **docker: Any) -> bool:
    found = lacks_kmsg(engine, settings_of({"docker": docker}))  # type: ignore[arg-type]
    assert not engine.left
    return found


def test_all_that_is_mounted_for_a_service_is_tried_as_it_will_be_mounted() -> None:
    engine = Engine()
    assert not lacks(engine)
    assert {"/", "/sys", "/var/log", "/var/lib/docker", "/var/run/docker.sock"} <= {
        m["Source"] for m in engine.seen["mounts"]
    }
    assert {mount["BindOptions"]["Propagation"] for mount in engine.seen["mounts"]} == {"rslave"}
    assert engine.seen["devices"] == ["/dev/kmsg:/dev/kmsg:r"]


def test_a_host_without_kmsg_is_found() -> None:
    assert lacks(Engine({"devices": NO_KMSG}))


def test_a_device_that_the_settings_leave_out_is_not_tried() -> None:
    assert not lacks(Engine({"devices": NO_KMSG}), kmsg=False)


def test_a_private_mount_is_refused_with_what_to_do_on_the_host() -> None:
    engine = Engine({"mounts": PRIVATE})
    with pytest.raises(ToolchainError, match="on the engine's host /srv is a private mount") as caught:
        lacks(engine)
    assert "mount --make-rshared /srv " in caught.value.fix
    assert not engine.left


@pytest.mark.parametrize("option", ["mounts", "devices"])
def test_what_else_an_engine_refuses_is_left_to_the_deployment(option: str) -> None:
    assert not lacks(Engine({option: "bind source path does not exist: /srv/logs"}))


def test_nothing_is_tried_where_cadvisor_runs() -> None:
    engine = Engine({"mounts": PRIVATE, "devices": NO_KMSG}, running=("nervous-test-cadvisor",))
    assert not lacks(engine)
    assert not engine.seen
