"""Puts the image back that ran before in a container, and undoes that if it does not help.

Nothing is written down: what ran before is known as long as the service runs, and what a roll back has left half done is told by
the labels of its containers.
"""

import calendar
import contextlib
import json
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .engine import Engine, EngineError
from .recreation import COMPOSE, REPLACED, Told, creation, digest, unsuitable

SETTLED = 1800
"""Seconds after which a deployment counts as what ran before, and is no longer rolled back."""
_STOP, _WELL, _STEADY = 75.0, 90.0, 15.0
"""Seconds: for a container to stop; for the earlier image to become healthy; for which it runs, if nothing tells its health."""
_ASIDE, _NEW = "replaced", "earlier"
"""Ends of the names that the two containers have meanwhile."""


class DeniedError(Exception):
    """A roll back that must not be. The message says why."""


class FailedError(Exception):
    """A roll back that was begun. The message says why it has not helped, and what runs now."""


@dataclass(frozen=True)
class Ran:
    """What has run for so long that it is gone back to."""

    container: str
    image: str
    """Its id."""
    called: str
    made_with: str
    """`recreation.digest`."""


@dataclass(frozen=True)
class Plan:
    container: Told
    image: Told
    earlier: Ran
    called: str
    """The earlier image by its name, or by its id if its name is another image's now."""
    since: float
    """When the container was made, in seconds since 1970."""


class Rollbacks:
    """What the engine at hand can be asked for. Containers are named exactly."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ran: dict[str, Ran] = {}
        self._one = threading.Lock()

    def watch(self, name: str) -> None:
        """Remembers what runs in the container, once it has run for half an hour.

        Raises:
            EngineError: the engine does not tell.
        """
        with self._one:
            container = self._found(name)
            if container is None or time.time() - _made(container) < SETTLED or not _runs(container):
                return
            known = self._ran.get(name)
            if known is None or known.container != container["Id"]:
                image = self._engine.get(f"/images/{container['Image']}/json")
                called = str(container["Config"]["Image"])
                made_with = digest(container, image)
                self._ran[name] = Ran(str(container["Id"]), str(container["Image"]), called, made_with)

    def plan(self, name: str) -> Plan:
        """What a roll back would do.

        Raises:
            DeniedError: it must not be.
            EngineError: the engine does not tell.
        """
        container = self._found(name)
        if container is None:
            raise DeniedError(f"there is no container {name}")
        for why in unsuitable(container):
            raise DeniedError(f"{name}: {why}")
        if REPLACED in container["Config"]["Labels"]:
            raise DeniedError("what runs is rolled back already")
        since = _made(container)
        if time.time() - since >= SETTLED:
            raise DeniedError("no deployment of the last half hour made this container")
        earlier = self._ran.get(name)
        if earlier is None:
            raise DeniedError("what ran before is not known: it has to run for half an hour beside this service")
        if earlier.image == container["Image"]:
            raise DeniedError("the last deployment has not replaced its image")
        image = self._engine.get(f"/images/{container['Image']}/json")
        if digest(container, image) != earlier.made_with:
            raise DeniedError("the last deployment has changed more than its image")
        self._alone(container)
        return Plan(container, image, earlier, self._called(earlier), since)

    def carry_out(self, name: str) -> Plan:
        """Rolls back, and returns when the earlier image runs well.

        Raises:
            DeniedError: it must not be, and nothing was done.
            FailedError: it has not helped, and was undone as far as the message says.
            EngineError: the engine does not tell, and nothing was done.
        """
        with self._one:
            plan = self.plan(name)
            old = str(plan.container["Id"])
            body, networks = creation(plan.container, plan.image, plan.called, plan.earlier.image)
            new = str(self._engine.post("/containers/create", body, name=f"{name}-{_NEW}")["Id"])
            try:
                for network, endpoint in networks.items():
                    connection = {"Container": new, "EndpointConfig": endpoint}
                    self._engine.post(f"/networks/{network}/connect", connection)
                self._engine.post(f"/containers/{old}/stop", patience=_STOP)
                self._engine.post(f"/containers/{old}/rename", name=f"{name}-{_ASIDE}")
                self._engine.post(f"/containers/{new}/rename", name=name)
                self._engine.post(f"/containers/{new}/start")
                self._becomes_well(new)
            except Exception as error:  # noqa: BLE001 - whatever it is, what ran comes back
                why = (
                    error
                    if isinstance(error, EngineError | FailedError)
                    else "the engine answered what is not understood"
                )
                raise FailedError(f"{why}; {self._undone(name, old, new)}") from None
            with contextlib.suppress(EngineError):  # the next start of the service removes it
                self._engine.delete(f"/containers/{old}")
            return plan

    def finish(self, names: Collection[str]) -> list[str]:
        """Ends what was interrupted, and returns it in words: what runs well stays, all else is undone.

        Raises:
            EngineError: the engine does not tell.
        """
        said = []
        names = {*names}
        for one in self._listed(label=[REPLACED]):
            new, old = str(one["Id"]), str(one["Labels"][REPLACED])
            told = str(one["Names"][0]).removeprefix("/")
            name = told.removesuffix(f"-{_NEW}")
            if name not in names or not (replaced := self._still_there(old, name)):
                continue
            if told == name and _runs(self._engine.get(f"/containers/{new}/json")) and not _runs(replaced):
                self._engine.delete(f"/containers/{old}")
                said.append(f"the roll back of {name} was interrupted, and is done")
            else:
                said.append(f"the roll back of {name} was interrupted: {self._undone(name, old, new)}")
        return said

    def _still_there(self, old: str, name: str) -> Told | None:
        """A container that is replaced, if it is one of this name and was not removed yet."""
        by_id = [one for one in self._listed(id=[old]) if one["Id"] == old]
        names = {f"/{name}", f"/{name}-{_ASIDE}"}
        told: Told | None = (
            self._engine.get(f"/containers/{old}/json") if by_id and names & {*by_id[0]["Names"]} else None
        )
        return told

    def _found(self, name: str) -> Told | None:
        exactly = name.replace(".", r"\.")
        found = [one for one in self._listed(name=[f"^/{exactly}$"]) if f"/{name}" in one["Names"]]
        told: Told | None = self._engine.get(f"/containers/{found[0]['Id']}/json") if found else None
        return told

    def _listed(self, **filters: list[str]) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._engine.get("/containers/json", all="1", filters=json.dumps(filters))
        return listed

    def _alone(self, container: Told) -> None:
        labels = container["Config"]["Labels"]
        wanted = [f"{COMPOSE}{key}={labels[COMPOSE + key]}" for key in ("project", "service")]
        if len(self._listed(label=wanted)) > 1:
            raise DeniedError("its service has several containers")
        mode = f"container:{container['Id']}"
        if any((one.get("HostConfig") or {}).get("NetworkMode") == mode for one in self._listed()):
            raise DeniedError("another container uses its network")

    def _called(self, earlier: Ran) -> str:
        with contextlib.suppress(EngineError):
            if self._engine.get(f"/images/{earlier.called}/json")["Id"] == earlier.image:
                return earlier.called
        try:
            self._engine.get(f"/images/{earlier.image}/json")
        except EngineError:
            raise DeniedError(f"the image {earlier.called} that ran before is no longer on this host") from None
        return earlier.image

    def _becomes_well(self, new: str) -> None:
        begun = time.monotonic()
        while True:
            container = self._engine.get(f"/containers/{new}/json")
            state, took = container["State"], time.monotonic() - begun
            health = (state.get("Health") or {}).get("Status")
            if not state["Running"] or container["RestartCount"]:
                raise FailedError(f"the earlier image ends with exit code {state['ExitCode']}")
            if health == "healthy" or (health is None and took >= _STEADY):
                return
            if health == "unhealthy" or took >= _WELL:
                raise FailedError(f"the earlier image is {health} after {took:.0f} s")
            time.sleep(1)

    def _undone(self, name: str, old: str, new: str) -> str:
        """Brings back what ran, and says in words what has come of it."""
        try:
            self._engine.delete(f"/containers/{new}", force="1")
            if self._engine.get(f"/containers/{old}/json")["Name"] != f"/{name}":
                self._engine.post(f"/containers/{old}/rename", name=name)
            self._engine.post(f"/containers/{old}/start")
        except EngineError as error:
            return f"and bringing back what ran has failed: {error}. Run docker compose up for {name}"
        return "what ran runs again"


def _made(container: Told) -> float:
    return calendar.timegm(time.strptime(str(container["Created"])[:19], "%Y-%m-%dT%H:%M:%S"))


def _runs(container: Told) -> bool:
    state = container["State"]
    health = (state.get("Health") or {}).get("Status")
    return bool(state["Running"]) and not state.get("Restarting") and health in {None, "healthy"}
