"""The pipeline of logs as Promtail runs it, line by line; Alloy has the same, and its turn in `tests/e2e`."""

import contextlib
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tenacity import RetryError, retry, retry_if_result, stop_after_delay, wait_fixed

from config.services.logs import alloy, log_pipeline, promtail
from config.services.logs.log_stages import Stage
from config.services.logs.log_times import OWN_TIME
from config.settings.loading import load
from config.yaml_text import dump
from tests.support.log_lines import CASES, Case, metadata, moment, spelled
from toolchain import images

STACK: dict[str, Any] = {"secret_keys": [], "project": "nervous-system", "stack": "test"}
SETTINGS = load({}, **STACK)
LABEL = re.compile(r'(\w+)="([^"]*)"')
ENTRY = re.compile(r'^(\d{4}-\d\d-\d\dT[\d:.]+)\+0000\t?\{((?:\w+="[^"]*"(?:, )?)*)\}\t?', re.MULTILINE)
MOMENT = moment()


def visible(stages: list[Stage]) -> list[Stage]:
    """The pipeline with labels in place of structured metadata, which a dry run does not print."""
    steps = [Stage("labels", stage.arguments) if stage.kind == "structured_metadata" else stage for stage in stages]
    assert steps[-1].kind == "label_keep"
    return [*steps[:-1], Stage("label_keep", {"values": [*log_pipeline.LABELS, "trace_id", "span_id", OWN_TIME]})]


@dataclass(frozen=True)
class Entry:
    line: str
    labels: Mapping[str, str]
    moment: datetime


@cache
def promtail_says(folder: Path, stream: str) -> tuple[Entry, ...]:
    """What becomes of the lines that all cases have written to `stream`."""
    labels = {"source": "docker", "service": "shop", "container": "shop-1", "stream": stream}
    document = {
        "server": {"disable": True},
        "positions": {"filename": str(folder / "positions.yaml")},
        "clients": [{"url": "http://loki.invalid"}],
        "limits_config": {"max_line_size": int(SETTINGS.logs.limits.line_size)},
        "scrape_configs": [
            {
                "job_name": "lines",
                "static_configs": [{"targets": ["localhost"], "labels": labels}],
                "pipeline_stages": [promtail.spelled(stage) for stage in visible(log_pipeline.stages(SETTINGS))],
            }
        ],
    }
    file = folder / f"{stream}.yml"
    file.write_text(dump(document, width=1_000_000))
    cases = [case for case in CASES if case.stream == stream]
    text = "".join(spelled(case.text, MOMENT) + "\n" for case in cases)
    out = folder / f"{stream}.out"
    with out.open("w") as printed:
        process = subprocess.Popen(
            [images.binary("promtail"), f"-config.file={file}", "-dry-run", "-stdin"],
            stdin=subprocess.PIPE, stdout=printed, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(text)
        process.stdin.flush()
        # At the end of its input it ends at once, and what is still on its way may be lost.
        with contextlib.suppress(RetryError):
            wanted = sum(not case.dropped for case in cases)
            retry(stop=stop_after_delay(20), wait=wait_fixed(0.1), retry=retry_if_result(lambda count: count < wanted))(
                lambda: len(ENTRY.findall(out.read_text()))
            )()
        process.communicate(timeout=20)
    _, *parts = ENTRY.split(out.read_text())
    return tuple(
        Entry(line.removesuffix("\n"), dict(LABEL.findall(label_text)), datetime.fromisoformat(f"{at[:26]:0<26}+00:00"))
        for at, label_text, line in zip(*[iter(parts)] * 3, strict=True)
    )


def _plain(line: str) -> str:
    """Without tabs: the dry run prints a table, and has more of them or fewer."""
    return line.replace("\t", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("promtail")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_line_becomes(case: Case, folder: Path) -> None:
    line = spelled(case.result if case.result is not None else case.text, MOMENT)
    line = _plain(line)
    entries = [entry for entry in promtail_says(folder, case.stream) if _plain(entry.line) == line]
    if case.dropped:
        assert not entries
        return
    [entry] = entries
    assert entry.labels == {"source": "docker", "service": "shop", "level": case.level, **metadata(case, MOMENT)}
    if case.stamped:
        assert abs(entry.moment - MOMENT) < timedelta(milliseconds=1)
    else:
        assert entry.moment - MOMENT > timedelta(seconds=30)


def test_nothing_is_there_but_what_was_written(folder: Path) -> None:
    for stream in ("stdout", "stderr"):
        assert len(promtail_says(folder, stream)) == sum(case.stream == stream and not case.dropped for case in CASES)


@pytest.mark.parametrize("shipper", [alloy, promtail], ids=["alloy", "promtail"])
@pytest.mark.parametrize("system", ["syslog", "journal", "off"])
def test_its_own_validator_accepts_the_config(shipper: ModuleType, system: str, tmp_path: Path) -> None:
    """A deployment validates what it deploys; nothing is deployed here with a journal."""
    config = shipper.container(load({"nervous-system:logs": f'{{"system": "{system}"}}'}, **STACK)).config
    for name, text in config.files.items():
        (tmp_path / name).write_text(text)
    command, *arguments = shlex.split(config.validate)
    subprocess.run([images.binary(Path(command).name), *arguments], cwd=tmp_path, check=True, timeout=60)
