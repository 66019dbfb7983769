"""What is true of logs whichever shipper brings them: the tests of `test_alloy.py` and `test_promtail.py`.

Each of the two is a file, so that they run side by side; each has one deployment.
"""

import contextlib
import io
import json
import re
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container
from tenacity import RetryError

from config.images import pins
from engine.docker_api import execute
from operate import volume_helper
from tests.support import leftovers, wait
from tests.support.deployment import Deployment
from tests.support.log_lines import TRACE
from tests.support.ports import publish
from tests.support.shop import Shop

OUTAGE_SECONDS = 40
"""A drill takes two minutes (cut-alloy-loki)."""
FUSE = {"lines": 20, "burst": 12_000}
until = partial(wait.until, seconds=240)
"""Other tests have the processor too."""
PAGE = timedelta(seconds=20)
"""Of a query: less than 5000 lines, which is what Loki gives at once."""

COUNT = """\
i=0; while [ ! -e /stop ]; do
  i=$((i+1)); echo "{\\"level\\":\\"info\\",\\"msg\\":\\"$0 $i\\"}"
  if [ $((i % 25)) = 0 ]; then printf 'ERROR block %s %s\\n  at one\\n  at two\\n' "$0" $i; fi
  sleep "$1"
done"""


@dataclass(frozen=True)
class Line:
    text: str
    labels: Mapping[str, str]
    metadata: Mapping[str, str]
    at: datetime


@dataclass
class Logs:
    """A deployment with Loki, and containers whose lines are looked for there."""

    stack: Deployment
    shop: Shop
    shipper: Literal["alloy", "promtail"]
    image: str
    """With a shell."""
    files: Path
    """What the shipper watches on the host."""
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=2))

    def named(self, service: str) -> str:
        """What `service` is called in Loki: other tests' containers are on the engine, and are shipped too."""
        return f"{self.shop.name}-{service}"

    def lines(self, service: str, off: timedelta = timedelta(0)) -> list[Line]:
        """All of a service that runs in a container; `off` is how far the engine's clock was ahead."""
        return self.lines_with_label(self.named(service), off)

    def lines_with_label(self, service: str, off: timedelta = timedelta(0)) -> list[Line]:
        """All that has this label."""
        lines: list[Line] = []
        start, end = self.began + off, datetime.now(UTC) + timedelta(seconds=1) + off
        while start < end:
            lines += self._page(f'{{service="{service}"}}', start, start + PAGE)
            start += PAGE
        return lines

    def _page(self, query: str, start: datetime, end: datetime) -> Iterator[Line]:
        answer = requests.get(
            f"{self.stack.url('loki')}/loki/api/v1/query_range",
            params={
                "query": query,
                "start": f"{start.timestamp():.6f}",
                "end": f"{end.timestamp():.6f}",
                "limit": "5000",
                "direction": "forward",
            },
            headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},  # metadata apart from labels
            timeout=30,
        )
        assert answer.ok, answer.text
        streams = answer.json()["data"]["result"]
        assert sum(len(stream["values"]) for stream in streams) < 5000
        for stream in streams:
            for nanoseconds, text, more in stream["values"]:
                at = datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC)
                yield Line(text, stream["stream"], more.get("structuredMetadata", {}), at)

    def counted(self, service: str, level: str = ".+") -> int:
        """How many lines of a service Loki counts, by a metric query."""
        query = f'sum(count_over_time({{service="{self.named(service)}",level=~"{level}"}}[1h]))'
        result = self.stack.get("loki", "/loki/api/v1/query", query=query)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0

    def streams(self, service: str) -> list[dict[str, str]]:
        """The streams of a service, as their labels."""
        start = str(int(self.began.timestamp()))
        answer = self.stack.get(
            "loki", "/loki/api/v1/series", match=f'{{service="{self.named(service)}"}}', start=start
        )
        return list(answer["data"])

    def dropped(self, label: str, value: str, *, what: Literal["lines", "entries"] = "lines") -> float:
        """How many lines the shipper says to have dropped: by `reason`, or of a service by `label_value`. What its pipeline
        has dropped are `lines`, what Loki has refused are `entries`."""
        page = requests.get(f"{self.stack.url(self.shipper)}/metrics", timeout=10).text
        counts = re.findall(rf'^\w*dropped_{what}_\w*{{[^}}]*\b{label}="{value}"[^}}]*}} (\S+)$', page, re.MULTILINE)
        return sum(map(float, counts))

    def write(self, service: str, stdout: str, stderr: str = "") -> Container:
        """A container that writes these texts, and then nothing."""
        script = "until [ -e /go ]; do sleep 0.1; done; cat /stdout; cat /stderr >&2; exec sleep 3600"
        container = self.run(service, script)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in (("stdout", stdout), ("stderr", stderr), ("go", "")):
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        container.put_archive("/", packed.getvalue())
        return container

    def count(self, service: str, *, every: str) -> Container:
        """A container that counts, one line `every` so many seconds, until it is told to `stop`."""
        return self.run(service, COUNT, service, every)

    def run(self, service: str, script: str, *arguments: str) -> Container:
        return self.shop.start(
            service,
            self.image,
            ["sh", "-c", script, *arguments],
            labels={"observability.service": self.named(service)},
            environment={"DATABASE_PASSWORD": "shows-nowhere"},
        )

    def stop_counting(self, container: Container) -> Counter[str]:
        """What the engine has of the container's lines, blocks joined."""
        container.exec_run(["touch", "/stop"])
        container.wait(timeout=60)
        return Counter(re.split(r"\n(?! )", container.logs().decode().rstrip("\n")))

    def all_there_once(self, service: str, texts: Counter[str]) -> None:
        """Waits until Loki has every line, and fails with numbers unless it has each as often as it was written.

        Of a block that was on its way when the shipper ended, parts may be found besides the whole (docs/logs.md).
        """
        with contextlib.suppress(RetryError):
            until(lambda: not texts - Counter(line.text for line in self.lines(service)))
        arrivals = Counter(line.text for line in self.lines(service))
        missing, doubled = texts - arrivals, arrivals - texts
        print(
            f"{self.shipper}: {service}: {texts.total()} written, {arrivals.total()} found, {missing.total()} missing, "
            f"{doubled.total()} doubled {list(doubled)[:3]}; a metric query counts {self.counted(service)}"
        )
        blocks = [text for text in texts if "\n" in text]
        parts = [text for text in doubled if any(_is_part(text, block) for block in blocks)]
        assert not missing, f"not found: {list(missing)[:10]}"
        assert not set(doubled) - set(parts), f"found too often: {list(doubled)[:10]}"


def _is_part(text: str, block: str) -> bool:
    """Some of the block's lines in a row, and not all of them."""
    return text != block and f"\n{text}\n" in f"\n{block}\n"


class Shipping:
    """Tests of one deployment; each leaves it running."""

    shipper: ClassVar[Literal["alloy", "promtail"]]

    @pytest.fixture(scope="class")
    @classmethod
    def logs(
        cls,
        client: DockerClient,
        deploy: Callable[..., AbstractContextManager[Deployment]],
        local_images: Mapping[str, str],
    ) -> Iterator[Logs]:
        image = local_images.get("busybox") or pins()["busybox"].reference
        with (
            # Not in pytest's own folder, which nobody else may enter: the shipper is no root.
            tempfile.TemporaryDirectory(prefix=leftovers.PREFIX, dir="/var/tmp") as files,
            deploy(
                f"logs-{cls.shipper}",
                logs={"shipper": cls.shipper, "fuse": FUSE, "system": "off", "files": files},
                memory={"ceiling": "4GiB", "prometheus": "256MiB", "loki": "1GiB"},
                publish=publish("prometheus", "alertmanager", "loki", cls.shipper),
            ) as stack,
            Shop(client, f"{leftovers.new_prefix()}-shop") as shop,
        ):
            Path(files).chmod(0o755)
            stack.up()
            yield Logs(stack, shop, cls.shipper, image, Path(files))

    def test_a_noisy_service_loses_info_lines_and_no_error_and_each_lost_line_is_counted(self, logs: Logs) -> None:
        info = "".join(f'{{"level":"info","n":{number}}}\n' for number in range(16_000))
        errors = "".join(f'{{"level":"error","n":{number}}}\n' for number in range(1_000))
        logs.write("noisy", info, errors)
        until(lambda: logs.counted("noisy") + logs.dropped("label_value", logs.named("noisy")) >= 17_000)
        rest, loss = logs.counted("noisy", "info"), logs.dropped("label_value", logs.named("noisy"))
        print(f"{self.shipper}: of 16000 info lines at once {rest} kept, {loss:.0f} dropped")
        assert logs.counted("noisy", "error") == 1_000
        assert FUSE["burst"] <= rest < 16_000
        assert rest + loss == 16_000

    def test_files_are_read_their_service_being_the_first_part_of_the_path(self, logs: Logs) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for path, text in {
            # Names that no container has whose lines are followed meanwhile.
            "ledger.log": "plain line of the ledger\n",
            "parcels/2026/app.log": f'{{"time":"{stamp}","level":"warn","msg":"of parcels","traceId":"{TRACE}"}}\n',
            "parcels/notes.txt": "no log\n",
        }.items():
            file = logs.files / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        until(lambda: logs.lines_with_label("ledger") and logs.lines_with_label("parcels"))
        [ledger], [parcels] = logs.lines_with_label("ledger"), logs.lines_with_label("parcels")
        assert ledger.labels == {"service": "ledger", "level": "unknown", "source": "file"}
        assert ledger.metadata == {"filename": str(logs.files / "ledger.log")}
        assert parcels.labels == {"service": "parcels", "level": "warn", "source": "file"}
        assert parcels.metadata == {"filename": str(logs.files / "parcels/2026/app.log"), "trace_id": TRACE}
        assert parcels.at.strftime("%Y-%m-%dT%H:%M:%SZ") == stamp

    def test_no_environment_is_told_through_the_socket_proxy(self, logs: Logs) -> None:
        container = logs.write("secretive", "hello\n")
        proxy = logs.stack.container("socket_proxy")
        code, answer = execute(
            proxy, ["wget", "-q", "-O", "-", f"http://127.0.0.1:2375/containers/{container.id}/json"]
        )
        assert code == 0
        assert "shows-nowhere" not in answer
        facts = json.loads(answer)
        assert facts["Id"] == container.id
        assert facts["State"]["Running"] is True
        assert facts["Config"] == {"Tty": False}

    def test_a_killed_shipper_loses_nothing_and_doubles_nothing(self, logs: Logs) -> None:
        fast, slow = logs.count("fast", every="0.01"), logs.count("slow", every="1")
        until(lambda: logs.counted("slow") > 2)
        shipper = logs.stack.container(self.shipper)
        for pause in (1.3, 4.7, 11.1):  # at any point between two writings of its positions
            time.sleep(pause)
            shipper.kill("SIGKILL")
            time.sleep(2)
            shipper.start()
        for service, container in (("fast", fast), ("slow", slow)):
            logs.all_there_once(service, logs.stop_counting(container))

    def test_positions_of_a_time_to_come_hold_no_line_up(self, logs: Logs) -> None:
        """As a shipper has them whose host's clock was ahead when it was stopped."""
        counting = logs.count("onward", every="0.1")
        until(lambda: logs.counted("onward") > 10)
        tomorrow = int(time.time()) + 86_400
        script = f"""for file in $(find . -name 'positions.y*ml'); do
          sed -E 's/"1[0-9]{{9}}([.][0-9]+)?"/"{tomorrow}"/' $file > /then && cat /then > $file  # which stays the shipper's
        done; grep -r {tomorrow} ."""
        with volume_helper.stopped(logs.stack.container(self.shipper), grace_seconds=10):
            code, output = volume_helper.change(logs.stack.client, logs.stack.settings, self.shipper, script)
            before = logs.counted("onward")
        assert not code, output
        until(lambda: logs.counted("onward") > before + 20)
        logs.all_there_once("onward", logs.stop_counting(counting))

    def test_what_a_container_writes_before_it_ends_is_there(self, logs: Logs) -> None:
        container = logs.run("brief", "echo first; echo last >&2")
        container.wait(timeout=30)
        until(lambda: len(logs.lines("brief")) >= 2)
        assert sorted(line.text for line in logs.lines("brief")) == ["first", "last"]

    def test_a_container_of_which_the_engine_has_much_to_tell_is_read(self, logs: Logs) -> None:
        logs.run("verbose", f"echo said; : {'x' * 60_000}; exec sleep 3600")
        until(lambda: [line.text for line in logs.lines("verbose")] == ["said"])

    def test_loki_away_and_the_shipper_killed_meanwhile(self, logs: Logs) -> None:
        busy, calm = logs.count("busy", every="0.05"), logs.count("calm", every="2")
        until(lambda: logs.counted("calm") > 1)
        loki, shipper = logs.stack.container("loki"), logs.stack.container(self.shipper)
        loki.stop(timeout=60)
        gone = time.monotonic()
        time.sleep(OUTAGE_SECONDS / 2)
        shipper.kill("SIGKILL")
        shipper.start()
        time.sleep(max(0, gone + OUTAGE_SECONDS - time.monotonic()))
        loki.start()
        until(lambda: logs.stack.get("loki", "/loki/api/v1/labels"))
        for service, container in (("busy", busy), ("calm", calm)):
            logs.all_there_once(service, logs.stop_counting(container))

    def test_a_change_of_the_pipeline_goes_live_under_load(self, logs: Logs) -> None:
        counting = logs.count("changing", every="0.02")
        until(lambda: logs.counted("changing") > 10)
        started = logs.stack.started(self.shipper)
        own = logs.stack.config["logs"]
        logs.stack.config["logs"] = {**own, "mask": {"customer": r"customer=(\w+)"}}
        logs.stack.up()
        # Promtail has to be restarted for it.
        assert (logs.stack.started(self.shipper) == started) == (self.shipper == "alloy")
        logs.write("masked", "paid by customer=Jane\n")
        until(lambda: [line.text for line in logs.lines("masked")] == ["paid by customer=<customer>"])
        logs.all_there_once("changing", logs.stop_counting(counting))
