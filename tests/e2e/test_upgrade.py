"""`make upgrade`: to an image that works, to one that does not, to one that spoils the data, and to one that must not be."""

import contextlib
import io
import json
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from docker import DockerClient

from config.images import version as version_of
from operate.backup import manifest
from operate.backup.place import Place
from tests.e2e import backups
from tests.support import leftovers
from tests.support.deployment import Deployment
from tests.support.wait import until

MEANWHILE = "meanwhile-of-upgrades"
KEPT = "kept-through-upgrades"
LINES = [f"line {number}" for number in range(50)]
OTHER_FORMAT = "echo of another format >/alertmanager/nflog; echo of another format >/alertmanager/new-store; exit 1"
"""A release that does not work, but has changed the data before: the one of before does not start on them."""


class Images:
    """Images made of others, as a release might bring them."""

    def __init__(self, client: DockerClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._made: list[str] = []

    def make(self, base: str, service: str, version: str, change: str) -> str:
        """`base` with a change in the words of a Dockerfile; its reference."""
        repository = f"{self._prefix}/{service}"
        container = self._client.containers.create(base)
        try:
            container.commit(repository, version, changes=change)
        finally:
            container.remove(v=True)
        self._made.append(f"{repository}:{version}")
        return self._made[-1]

    def remove(self) -> None:
        for image in self._made:
            self._client.images.remove(image)


@pytest.fixture(scope="module")
def images(client: DockerClient) -> Iterator[Images]:
    catalogue = Images(client, leftovers.new_prefix())
    yield catalogue
    catalogue.remove()


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]], images: Images) -> Iterator[Deployment]:
    """Gone before the images, which could not be removed while they run."""
    assert images
    with deploy("upgrade", grafana={"enabled": False}) as deployment:
        # The images of this test are in no registry, so they have no digest there.
        (deployment.folder / "policies.upgrade.json").write_text(
            json.dumps({"images-are-pinned": {"built_here": ".*"}})
        )
        deployment.up()
        yield deployment


@pytest.fixture(scope="module")
def before(stack: Deployment) -> str:
    """A time of which Prometheus has samples; Loki has the lines by then."""
    until(lambda: stack.query("up == 1"))
    now = time.time_ns()
    _push(stack, KEPT, [[str(now + number), text] for number, text in enumerate(LINES)])
    until(lambda: _lines(stack) == LINES)
    return f"{time.time():.3f}"


def _push(stack: Deployment, service: str, values: list[list[str]]) -> None:
    push = {"streams": [{"stream": {"service": service, "level": "info"}, "values": values}]}
    requests.post(f"{stack.past_front('loki')}/loki/api/v1/push", json=push, timeout=30).raise_for_status()


def _lines(stack: Deployment, service: str = KEPT) -> list[str]:
    query = {"query": f'{{service="{service}"}}', "since": "1h", "limit": "5000", "direction": "forward"}
    streams = stack.get("loki", "/loki/api/v1/query_range", **query)["data"]["result"]
    return [text for stream in streams for _, text in stream["values"]]


def _samples(stack: Deployment, then: str) -> int:
    return len(stack.get("prometheus", "/api/v1/query", query="up", time=then)["data"]["result"])


def _scrapes(stack: Deployment) -> set[float]:
    """The times of all samples that Prometheus has of itself."""
    return {float(then) for series in stack.query('up{job="prometheus"}[1h]') for then, _ in series["values"]}


class Meanwhile:
    """`with` it, the stack is used: what each service has acknowledged → when."""

    def __init__(self, stack: Deployment) -> None:
        self._stack = stack
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._use, args=[use]) for use in (self._log, self._mute, self._look)]
        self.lines: dict[str, float] = {}
        self.silences: dict[str, float] = {}
        self.scrapes: dict[float, float] = {}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _use(self, use: Callable[[], None]) -> None:
        while not self._over.wait(0.3):
            with contextlib.suppress(requests.RequestException):  # it is away, and has acknowledged nothing
                use()

    def _log(self) -> None:
        text = f"meanwhile {time.time_ns()}"
        _push(self._stack, MEANWHILE, [[str(time.time_ns()), text]])
        self.lines[text] = time.time()

    def _mute(self) -> None:
        comment = f"meanwhile {time.time_ns()}"
        backups.silence(self._stack, comment)
        self.silences[comment] = time.time()

    def _look(self) -> None:
        self.scrapes.update({then: then for then in _scrapes(self._stack)})


def _taken(address: str) -> float:
    return manifest.read(Place(address)).taken.timestamp()


def _archived(address: str, service: str) -> dict[str, bytes]:
    """Path in the volume → content: what a backup has of a service."""
    place, contents = Place(address), {}
    for file in manifest.read(place).volumes[service].files[:2]:  # the third one has names only
        with tarfile.open(fileobj=io.BytesIO(b"".join(place.read(file)))) as archive:
            for entry in archive:
                if content := archive.extractfile(entry):
                    contents[entry.name.removeprefix("data/")] = content.read()
    return contents


def _image(stack: Deployment, service: str) -> str:
    return str(stack.container(service).attrs["Config"]["Image"])


def _version(image: str, patch: int) -> str:
    """Of `image`, with another patch level."""
    match = version_of(image)
    assert match
    return f"{match[0]}.{match[1]}.{match[2] + patch}"


def _upgrade(stack: Deployment, *, fails: bool = False) -> str:
    stack.write()
    printed = stack.operate("upgrade", "--to", str(stack.folder / "state" / "backups"), fails=fails)
    print(printed)
    return printed


def _backups(stack: Deployment) -> int:
    return len(list((stack.folder / "state" / "backups").glob("*/manifest.json")))


def test_another_image_comes_in_and_the_data_stay(stack: Deployment, images: Images, before: str) -> None:
    old, samples = _image(stack, "prometheus"), _samples(stack, before)
    assert samples
    new = images.make(old, "prometheus", _version(old, 1), 'LABEL "of"="the next release"')
    stack.config["images"]["prometheus"] = new
    printed = _upgrade(stack)
    assert f"prometheus: {old.partition('@')[0]} → {new}" in printed
    assert "all kept" in printed
    assert _image(stack, "prometheus") == new
    assert _samples(stack, before) == samples
    assert _backups(stack) == 1

    containers = stack.containers()
    assert "nothing to upgrade" in _upgrade(stack)
    assert stack.containers() == containers
    assert _backups(stack) == 1


def test_an_image_that_does_not_work_goes_again_and_the_data_stay(
    stack: Deployment, images: Images, before: str
) -> None:
    old = _image(stack, "loki")
    samples = _samples(stack, before)
    broken = images.make(old, "loki", _version(old, 1), 'ENTRYPOINT ["/usr/bin/loki", "-version"]')
    stack.config["images"]["loki"] = broken
    printed = _upgrade(stack, fails=True)
    assert "upgrade is not upgraded: the update, or the check after it, has failed" in printed
    assert "it runs the previous images again, and passes the check" in printed
    assert "no data was given up" in printed
    assert _image(stack, "loki") == old
    until(lambda: _lines(stack) == LINES)
    assert _samples(stack, before) == samples
    assert stack.settings.images.loki == old  # as the message says
    stack.config["images"]["loki"] = old


def test_what_another_image_has_written_goes_for_the_data_of_before_and_nothing_is_thrown_away(
    stack: Deployment, images: Images, before: str
) -> None:
    """Three services get other images: one leaves what the old image cannot read, one is of another major version, and
    one is well."""
    old = {service: _image(stack, service) for service in ("alertmanager", "prometheus", "loki")}
    samples = _samples(stack, before)
    backups.silence(stack, "made before")
    new = {
        "alertmanager": (_version(old["alertmanager"], 1), f"ENTRYPOINT {json.dumps(['/bin/sh', '-c', OTHER_FORMAT])}"),
        "prometheus": ("99.0.0", 'LABEL "of"="another major version"'),
        "loki": (_version(old["loki"], 2), 'LABEL "of"="the release after it"'),
    }
    for service, (tag, change) in new.items():
        stack.config["images"][service] = images.make(old[service], service, tag, change)
    with Meanwhile(stack) as meanwhile:
        printed = _upgrade(stack, fails=True)
    first = re.findall(r"^ +the backup: (\S+)$", printed, re.MULTILINE)
    copies = dict(re.findall(r"(\S+): its data is from the backup; what came in since is in (\S+),", printed))
    assert "it runs the previous images again, and passes the check" in printed
    assert len({*first, *copies.values()}) == 3  # a backup, and a copy before each time that data were put back
    assert copies.keys() == {"alertmanager", "prometheus"}
    assert {service: _image(stack, service) for service in old} == old

    begun, finish = _taken(first[0]), Path(first[0], manifest.NAME).stat().st_mtime

    def of(service: str, acknowledged: dict[Any, float]) -> tuple[set[Any], set[Any]]:
        """What came in before the backup, and what came in between it and the copy."""
        was = {one for one, then in acknowledged.items() if then < begun}
        came = {one for one, then in acknowledged.items() if finish < then < _taken(copies[service])}
        assert was
        assert came
        return was, came

    was, came = of("alertmanager", meanwhile.silences)
    there = set(backups.silences(stack))
    assert there >= was | {"made before"}
    assert not there & came
    copy = _archived(copies["alertmanager"], "alertmanager")
    assert copy["new-store"] == copy["nflog"] == b"of another format\n"
    assert [one for one in meanwhile.silences.keys() - there if one.encode() not in copy["silences"]] == []

    was, came = of("prometheus", meanwhile.scrapes)
    scrapes = _scrapes(stack)
    assert scrapes >= was
    assert not scrapes & came
    assert _samples(stack, before) == samples

    # Loki gets well on its data, and has all that it has acknowledged.
    assert set(_lines(stack, MEANWHILE)) >= meanwhile.lines.keys()
    assert _lines(stack) == LINES

    stack.config["images"].update(old)
    stack.up("--expect-no-changes")


def test_an_unsafe_step_is_refused_before_anything_is_touched(stack: Deployment, images: Images, before: str) -> None:
    assert before
    old, config = _image(stack, "prometheus"), dict(stack.config)
    older = images.make(old, "prometheus", "2.54.1", 'LABEL "of"="an old release"')
    stack.config["images"] = {**config["images"], "prometheus": older}
    stack.config["logs"] = {"s3": {"bucket": "logs", "since": f"{datetime.now(UTC):%Y-%m-%d}"}}
    stack.write()
    text, containers, backups = stack.file.read_bytes(), stack.containers(), _backups(stack)
    printed = _upgrade(stack, fails=True)
    assert "upgrade is not upgraded, and nothing has been touched" in printed
    assert printed.count("an older version may not read what a newer one has written") == 1
    assert printed.count("logs.s3: Loki's period from") == 1
    assert stack.file.read_bytes() == text
    assert stack.containers() == containers
    assert _backups(stack) == backups
    stack.config = config
