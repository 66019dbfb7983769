"""What `pulumi destroy` leaves and a new deployment finds again; what a backup brings back elsewhere."""

import json
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyrage
import pytest
import requests
from docker import DockerClient

from config.settings.secret_keys import GRAFANA_PASSWORD
from engine.docker_api import execute
from operate import volume_helper
from operate.backup import volume as volumes
from tests.e2e import backups
from tests.support import leftovers, tracing
from tests.support.cloud import KEY, REGION, aws, cloud
from tests.support.deployment import DATA, Deployment
from tests.support.ports import publish
from tests.support.wait import until
from toolchain import debian, images

KEEPERS = (*DATA, "grafana")
BUCKET = "nervous-backups"
LOGIN = ("admin", "of-the-tests")
LISTENS = ("prometheus", "alertmanager", "loki", "jaeger", "otlp_http", "grafana")
LINES = 500


def settled(deploy: Callable[..., AbstractContextManager[Deployment]], name: str) -> AbstractContextManager[Deployment]:
    return deploy(name, publish=publish(*LISTENS))


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    with settled(deploy, "down") as deployment:
        # A secret makes one more container, with an anonymous volume.
        deployment.secret("slack_webhook", "http://127.0.0.1:9/slack")
        deployment.secret(GRAFANA_PASSWORD, LOGIN[1])
        deployment.up()
        yield deployment


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of an S3 with an empty bucket."""
    with cloud(BUCKET) as address:
        yield address


def _volumes(stack: Deployment) -> set[str]:
    """Of all containers of the stack, the anonymous ones too."""
    return {
        mount["Name"]
        for name in stack.containers()
        for mount in stack.client.containers.get(name).attrs["Mounts"]
        if mount["Type"] == "volume"
    }


def _left(stack: Deployment) -> set[str]:
    """Volumes with the names of the stack, whoever has them."""
    return {name for volume in stack.client.volumes.list() if (name := str(volume.name)).startswith(f"{stack.prefix}-")}


def _lines(stack: Deployment) -> list[str]:
    query = {"query": '{service="kept"}', "since": "1h", "limit": str(2 * LINES)}
    streams = stack.get("loki", "/loki/api/v1/query_range", **query)["data"]["result"]
    return sorted(text for stream in streams for _, text in stream["values"])


def _trace(stack: Deployment, identifier: str) -> Any:
    trace = stack.get("jaeger", f"/api/traces/{identifier}")["data"][0]
    return json.dumps(sorted(trace["spans"], key=lambda span: str(span["spanID"])), sort_keys=True)


def _board(stack: Deployment) -> str:
    answer = requests.get(f"{stack.url('grafana')}/api/dashboards/uid/by-hand", auth=LOGIN, timeout=10)
    return str(answer.json().get("dashboard", {}).get("title"))


def test_only_data_volumes_are_left_and_a_new_deployment_goes_on_with_them(stack: Deployment) -> None:
    until(lambda: stack.query("up == 1"))
    then = f"{time.time():.3f}"
    before = stack.get("prometheus", "/api/v1/query", query="up", time=then)["data"]["result"]
    backups.silence(stack, "survives")
    used = _volumes(stack)
    data = {f"{stack.prefix}-{service}" for service in KEEPERS}
    assert len(used - data) >= 3  # config volumes, and the secrets' anonymous one

    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.containers() == {}
    assert stack.prefix not in {str(network.name) for network in stack.client.networks.list()}
    names = {str(volume.name) for volume in stack.client.volumes.list()}
    assert names & used == data
    assert _left(stack) == data

    stack.up()
    assert stack.get("prometheus", "/api/v1/query", query="up", time=then)["data"]["result"] == before
    assert backups.silences(stack) == ["survives"]
    stack.up("--expect-no-changes")


@contextmanager
def _disk(folder: Path, options: str) -> Iterator[None]:
    """A disk of its own in place of the folder."""
    folder.mkdir()
    subprocess.run(
        debian.as_root("mount", "-t", "tmpfs", "-o", f"mode=0777,{options}", "none", str(folder)), check=True
    )
    try:
        yield
    finally:
        subprocess.run(debian.as_root("umount", str(folder)), check=True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [("size=128k", "No space left on device"), ("ro", "Read-only file system")],
    ids=["full in the middle", "read-only"],
)
def test_a_disk_that_does_not_take_the_backup_is_told_and_the_stack_goes_on(
    stack: Deployment, tmp_path: Path, options: str, complaint: str
) -> None:
    containers, folder = stack.containers(), tmp_path / "daily"
    with _disk(folder, options):
        printed = stack.operate("backup", "--to", str(folder), fails=True)
        print(printed)
        [reason] = re.findall(rf"^✗ {folder}/down-\S+ does not take the backup: \[.*\] (.*)$", printed, re.MULTILINE)
        assert reason.startswith(complaint)
        assert not list(folder.iterdir())
    assert backups.runs_as_before(stack, containers)


@pytest.mark.parametrize(
    ("event", "container"),
    [("create", "backup"), ("pause", "loki"), ("kill", "alertmanager"), ("die", "jaeger"), ("unpause", "prometheus")],
    ids=[
        "as it makes its helper", "as it pauses Loki", "as it stops Alertmanager", "as Jaeger ends", "as it lets Prometheus go",
    ],
)  # fmt: skip
def test_a_backup_that_is_ended_leaves_nothing_and_everything_runs(
    stack: Deployment, tmp_path: Path, event: str, container: str
) -> None:
    """SIGTERM comes twice, as when `make` hands its own on."""
    containers, filters = stack.containers(), {"container": [f"{stack.prefix}-{container}"], "event": [event]}
    events = stack.client.api.events(decode=True, filters=filters)
    with subprocess.Popen(
        stack.operate_command("backup", "--to", str(tmp_path)),
        cwd=stack.folder,
        env=dict(stack.environment),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert next(iter(events))["Action"] == event
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        printed = process.communicate(timeout=60)[0]
    events.close()
    assert process.returncode == 128 + signal.SIGTERM, printed
    assert "Traceback" not in printed
    assert not list(tmp_path.iterdir())
    assert backups.runs_as_before(stack, containers)


def test_a_backup_brings_everything_back_under_another_prefix(
    stack: Deployment, deploy: Callable[..., AbstractContextManager[Deployment]], bucket: str
) -> None:
    key = pyrage.x25519.Identity.generate()
    (stack.folder / "state" / "key").write_text(f"# a key\n{key}\n")
    access = {
        "AWS_ENDPOINT_URL": bucket,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
    }
    # Each kind of thing that is to be back, and all of it just before: nothing has been written anywhere yet.
    now = time.time_ns()
    values = [[str(now - number), f"line {number}"] for number in range(LINES)]
    push = {"streams": [{"stream": {"service": "kept", "level": "info"}, "values": values}]}
    requests.post(f"{stack.past_front('loki')}/loki/api/v1/push", json=push, timeout=30).raise_for_status()
    with tracing.application(stack, "kept") as application:
        traces = [tracing.trace_id(application.span("failed", 5, error=True)) for _ in range(20)]
    board = {"dashboard": {"uid": "by-hand", "title": "Made by hand", "panels": []}, "overwrite": True}
    url = f"{stack.url('grafana')}/api/dashboards/db"
    requests.post(url, json=board, auth=LOGIN, timeout=10).raise_for_status()
    spans = {one: until(lambda one=one: _trace(stack, one)) for one in traces}  # type: ignore[misc]
    lines = until(lambda: _lines(stack) if len(_lines(stack)) == LINES else None)
    backups.silence(stack, "made just now")
    then = f"{time.time() - 10:.3f}"  # cAdvisor gives its samples times of its own: the last ones are still to come
    series = backups.series(stack, then)
    assert len(series) > 500
    started = {service: stack.started(service) for service in KEEPERS}

    printed = stack.operate(
        "backup", "--to", f"s3://{BUCKET}/daily", "--recipient", str(key.to_public()), environment=access
    )
    print(printed)
    address = re.findall(r"ready to be restored: (s3://\S+)", printed)[0]
    again = {service for service in KEEPERS if stack.started(service) != started[service]}
    assert again == {"alertmanager", "jaeger"}  # the others were paused
    assert all(stack.container(service).status == "running" for service in KEEPERS)
    keys = [entry["Key"] for entry in aws(bucket, "s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert all(name.endswith((".age", "manifest.json")) for name in keys)
    stack.pulumi("destroy", "--yes", "--skip-preview")

    with settled(deploy, "back") as back:
        back.secret(GRAFANA_PASSWORD, LOGIN[1])
        words = ["restore", "--from", address, "--identity", str(stack.folder / "state" / "key")]
        damaged = next(name for name in keys if "loki.at-rest" in name)
        whole = aws(bucket, "s3").get_object(Bucket=BUCKET, Key=damaged)["Body"].read()
        aws(bucket, "s3").put_object(Bucket=BUCKET, Key=damaged, Body=whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        printed = back.operate(*words, fails=True, environment=access)
        assert "loki.at-rest.tar.gz.age is damaged: its sha256 is another one" in printed
        assert not back.containers()
        assert not _left(back)
        aws(bucket, "s3").put_object(Bucket=BUCKET, Key=damaged, Body=whole)

        printed = back.operate(*words, environment=access)
        print(printed)
        assert "all kept" in printed  # the check after it
        assert backups.series(back, then) == series
        assert _lines(back) == lines
        assert {one: _trace(back, one) for one in traces} == spans
        assert backups.silences(back) == ["made just now", "survives"]
        assert _board(back) == "Made by hand"

        containers = back.containers()
        assert f"{back.prefix}-prometheus" in back.operate(
            *words, fails=True, environment=access
        )  # has data of its own
        assert back.containers() == containers


_BUSY = """cd /data; mkdir -p old "a dir"; head -c 3000000 /dev/urandom >old/rest; echo x >old/goes; echo y >"a dir/stays"
for i in $(seq 50); do echo $i >old/during$i; done; mkdir old/empties; echo z >old/empties/goes; chown 65534:65534 old; chmod 0750 old; touch started; i=0
while :; do i=$((i + 1)); echo $i >>first; echo $i >>second; [ -e leave ] && rm -rf old/goes old/empties leave; done"""


def test_a_volume_that_is_written_to_meanwhile_is_copied_as_of_one_moment(client: DockerClient) -> None:
    prefix, busybox = f"{leftovers.PREFIX}{secrets.token_hex(3)}", _busybox(client)
    name, copy = f"{prefix}-busy", f"{prefix}-copy"
    service = client.containers.run(
        busybox, ["sh", "-c", _BUSY], detach=True, name=name, network_mode="none", volumes=[f"{name}:/data"]
    )
    try:
        until(lambda: service.exec_run(["test", "-e", "/data/started"]).exit_code == 0)
        time.sleep(volumes.MARGIN_SECONDS + 2)  # what is old is old by the clock
        with volume_helper.helper(client, busybox, prefix=prefix, volume=name) as helper:
            pieces = volumes.at_rest(helper)
            at_rest = next(pieces)  # all are listed, and few of them copied
            assert execute(service, ["sh", "-c", "rm /data/old/during*"])[0] == 0
            at_rest += b"".join(pieces)
            service.exec_run(["touch", "/data/leave"])
            until(lambda: service.exec_run(["test", "-e", "/data/leave"]).exit_code == 1)
            with volumes.quiesced(service, "paused", 1) as seconds:
                volumes.set_aside(helper)
            changed, names = b"".join(volumes.changed(helper)), b"".join(volumes.names(helper))
        assert len(at_rest) > 3_000_000 > len(changed)
        assert seconds[0] < 10
        service.reload()
        assert service.status == "running"

        client.volumes.create(copy)
        with volume_helper.helper(client, busybox, prefix=prefix, volume=copy, writes=True) as helper:
            volumes.fill(helper, (iter([at_rest]), iter([changed]), iter([names])))
            look = "cd /data; find . | sort; stat -c '%u:%g %a' old; tail -qn1 first second"
            code, out = execute(helper, ["sh", "-c", look])
        assert code == 0
        listing = out.split("\n")
        assert listing[:7] == [".", "./a dir", "./a dir/stays", "./first", "./old", "./old/rest", "./second"]
        assert "65534:65534 750" in listing
        first, second = (int(word) for word in listing if word.isdigit())
        assert first - second in {0, 1}  # the order in which they are written
    finally:
        service.remove(force=True, v=True)
        for volume in (name, copy):
            if volumes.exists(client, volume):
                client.volumes.get(volume).remove()


def test_what_cannot_be_read_is_no_copy(client: DockerClient) -> None:
    make = "mkdir -p /data/closed && chmod 0 /data/closed && touch /tmp/made && exec sleep 600"
    name = f"{leftovers.PREFIX}{secrets.token_hex(3)}"
    volume = client.containers.run(
        _busybox(client), ["sh", "-c", make], detach=True, name=name, network_mode="none", cap_drop=["ALL"]
    )
    try:
        until(lambda: volume.exec_run(["test", "-e", "/tmp/made"]).exit_code == 0)  # noqa: S108 - in the container
        with pytest.raises(ChildProcessError, match="closed: Permission denied"):
            b"".join(volumes.at_rest(volume))
        with pytest.raises(ChildProcessError, match="closed: Permission denied"):
            volumes.set_aside(volume)
    finally:
        volume.remove(force=True)


def _busybox(client: DockerClient) -> str:
    return images.local_images().get("busybox") or volume_helper.image(client, "busybox")
