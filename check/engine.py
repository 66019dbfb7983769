"""Checks the engine itself: what it is, and whether it can run the stack."""

from collections.abc import Iterator

from docker import DockerClient

from check.finding import Finding
from config.settings import Settings
from engine.preflight import Engine, elsewhere, judge


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields one, which names the engine. It also lists what the stack loses on that engine, which breaks no
    promise."""
    engine, docker = Engine.ask(client), settings.docker
    verdict = judge(engine)
    places = elsewhere(engine, data_root=docker.data_root, containerd=docker.containerd)
    wrong = [str(problem) for problem in verdict.refusals]
    wrong += [f"the stack file says {getattr(docker, key)}, set docker.{key} to {path}" for key, path in places.items()]
    yield Finding(
        "the engine can run the stack",
        kept=not wrong,
        detail="; ".join([str(engine), *wrong, *(problem.what for problem in verdict.losses)]),
    )
