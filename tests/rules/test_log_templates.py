"""Each template of the log pipeline on its own, by the real Promtail: what it makes of values that were extracted before."""

import json
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from config.services.logs import promtail
from config.services.logs.log_levels import level
from config.services.logs.log_pipeline import stages
from config.services.logs.log_requests import answered
from config.services.logs.log_stages import Stage, stage
from config.services.logs.log_templates import go_template
from config.services.logs.log_times import EARLY_SECONDS, LATE_SECONDS, times
from config.yaml_text import dump
from tests.support.program import settings_of
from toolchain import images

RESULT = re.compile(r'result="((?:[^"\\]|\\.)*)"')
NOW = int(time.time())
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OPTIONS, FOREIGN = "\x01", "hello"


def template_of(some: Iterable[Stage], name: str) -> Stage:
    [step] = [one for one in some if one.kind == "template" and one.arguments["source"] == name]
    return step


def results(step: Stage, name: str, cases: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """The value `name` after `step`, for each case: the values that were extracted before. Empty if there is none."""
    names = sorted({key for case in cases for key in case})
    pipeline = [
        stage("json", expressions={key: f'"{key}"' for key in ("case", *names)}),
        step,
        stage("labels", values={"case": "case", "result": name}),
        stage("label_keep", values=["case", "result"]),
    ]
    file = folder / "promtail.yml"
    document = {
        "server": {"disable": True},
        "positions": {"filename": str(folder / "positions.yaml")},
        "clients": [{"url": "http://loki.invalid"}],
        "scrape_configs": [
            {
                "job_name": "lines",
                "static_configs": [{"targets": ["localhost"], "labels": {"source": "docker"}}],
                "pipeline_stages": [promtail.spelled(one) for one in pipeline],
            }
        ],
    }
    file.write_text(dump(document, width=1_000_000))
    lines = "".join(json.dumps({"case": f"case {number}", **case}) + "\n" for number, case in enumerate(cases))
    process = subprocess.Popen(
        [images.binary("promtail"), f"-config.file={file}", "-dry-run", "-stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    process.stdin.write(lines)
    process.stdin.flush()
    printed: dict[int, str] = {}
    # At the end of its input Promtail ends at once, and may lose lines on their way: so it stays open until all are there.
    while len(printed) < len(cases) and (line := process.stdout.readline()):
        if number := re.search(r'case="case (\d+)"', line):
            result = RESULT.search(line)
            printed[int(number[1])] = json.loads(f'"{result[1]}"') if result else ""
    process.communicate(timeout=20)
    assert len(printed) == len(cases)
    return [printed[number] for number in range(len(cases))]


LEVELS: dict[str, tuple[Mapping[str, Any], str]] = {
    "nothing": ({}, "unknown"),
    "a field of JSON": ({"level_in_json": "WARNING"}, "warn"),
    "the first field says nothing": ({"level_in_json": f"loud{OPTIONS}err"}, "error"),
    "pino's number": ({"level_in_json": "50"}, "error"),
    "with an offset": ({"level_in_json": "ERROR+2"}, "error"),
    "logfmt": ({"is_logfmt": "l", "f_lvl": "dbug"}, "debug"),
    "logfmt's names in another line": ({"f_lvl": "dbug"}, "unknown"),
    "a bracket": ({"level_bracketed": "info"}, "info"),
    "a crash": ({"fatal": "panic: "}, "fatal"),
    "a stack trace below a line of info": ({"level_bracketed": "info", "failed": "Traceback"}, "error"),
    "a stack trace below a warning": ({"level_bracketed": "warn", "failed": "Traceback"}, "warn"),
    "Redis": ({"level_redis": "#"}, "warn"),
    "an answer of 503": ({"status_in_text": "503"}, "error"),
    "an answer of 404": ({"status_in_text": "404"}, "info"),
    "a duration is not a status": ({"status_in_text": "5000"}, "unknown"),
    "a word in capitals": ({"level_capital": "ERROR"}, "error"),
    "broken JSON": ({"level_in_broken": "error", "is_json": ""}, "error"),
    "JSON that is not broken": ({"level_in_broken": "error", "is_json": "yes"}, "unknown"),
    "a status in JSON": ({"status_in_json": "500"}, "error"),
}

ANSWERED: dict[str, tuple[Mapping[str, Any], str]] = {
    "no request": ({"method_in_text": "GET"}, ""),
    "text": ({"path_in_text": "/orders", "method_in_text": "GET", "status_in_text": "200"}, "200 GET /orders"),
    "JSON": ({"path_in_json": "/orders", "method_in_json": "get", "status_in_json": "201"}, "201 GET /orders"),
    "a request line": ({"request_in_json": "GET /orders HTTP/1.1", "status_in_json": "304"}, "304 GET /orders"),
    "a request line that is none": ({"request_in_json": "orders"}, ""),
    "without method and status": ({"path_in_json": "/orders"}, "  /orders"),
    "a status of other length": ({"path_in_json": "/orders", "status_in_json": "20"}, "  /orders"),
}

TRACES: dict[str, tuple[Mapping[str, Any], str]] = {
    "nothing": ({}, ""),
    "JSON": ({"trace_in_json": TRACE}, TRACE),
    "capitals and dashes": ({"trace_in_json": "4BF92F35-77B3-4DA6-A3CE-929D0E0E4736"}, TRACE),
    "a path of Google's": ({"trace_in_json": f"projects/shop/traces/{TRACE}"}, TRACE),
    "all zeros, and then one": ({"trace_in_json": "0" * 32, "trace_in_text": TRACE}, TRACE),
    "too short": ({"trace_in_json": "4bf9"}, ""),
    "not hex": ({"trace_in_json": "z" * 32}, ""),
    "64 bits": ({"trace_in_json": SPAN}, SPAN),
}

SPANS: dict[str, tuple[Mapping[str, Any], str]] = {
    "64 bits": ({"span_in_json": SPAN}, SPAN),
    "128 bits": ({"span_in_json": TRACE}, ""),
}

FILE, DOCKER = {"source": "file"}, {"source": "docker"}
TIMES: dict[str, tuple[Mapping[str, Any], str]] = {
    "nothing": (FILE, ""),
    "seconds": ({**FILE, "time_in_json": str(NOW)}, str(NOW)),
    "whole seconds of a container": ({**DOCKER, "time_in_json": str(NOW)}, ""),
    "a fraction of a container": ({**DOCKER, "time_in_json": f"{NOW}.25"}, f"{NOW}.25"),
    "milliseconds": ({**FILE, "time_in_json": f"{NOW}250"}, f"{NOW}.250"),
    "nanoseconds": ({**DOCKER, "time_in_json": f"{NOW}250000001"}, f"{NOW}.250000001"),
    "a layout": ({**FILE, "time_in_json": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW))}, f"{NOW}.000000000"),
    "not a time": ({**FILE, "time_in_json": FOREIGN}, ""),
    "not a time, and then one": ({**FILE, "time_in_json": f"{FOREIGN}{OPTIONS}{NOW}"}, str(NOW)),
    "too late": ({**FILE, "time_in_json": str(NOW - LATE_SECONDS - 60)}, f"not {NOW - LATE_SECONDS - 60}"),
    "too early": ({**FILE, "time_in_json": str(NOW + EARLY_SECONDS + 600)}, f"not {NOW + EARLY_SECONDS + 600}"),
}


@pytest.mark.parametrize(
    ("name", "steps", "table"),
    [
        ("level", list(level()), LEVELS),
        ("answered", [answered()], ANSWERED),
        ("trace_id", stages(settings_of()), TRACES),
        ("span_id", stages(settings_of()), SPANS),
        ("time", list(times()), TIMES),
    ],
    ids=["level", "answered", "trace id", "span id", "time"],
)
def test_a_template_makes_of(
    name: str, steps: list[Stage], table: Mapping[str, tuple[Mapping[str, Any], str]], tmp_path: Path
) -> None:
    outputs = results(template_of(steps, name), name, [values for values, _ in table.values()], tmp_path)
    assert dict(zip(table, outputs, strict=True)) == {case: result for case, (_, result) in table.items()}


CARDS = {
    "4111 1111 1111 1111": "<card>",
    "378282246310005": "<card>",
    "4111 1111 1111 1112": "4111 1111 1111 1112",
    "4111111111111112": "4111111111111112",
}


def test_only_a_number_with_the_check_digit_of_a_card_is_masked(tmp_path: Path) -> None:
    whole = stage("replace", source="number", expression="^(.+)$", replace=go_template("card"))
    outputs = results(whole, "number", [{"number": number} for number in CARDS], tmp_path)
    assert dict(zip(CARDS, outputs, strict=True)) == CARDS


def test_a_template_is_on_one_line_and_has_no_comment() -> None:
    texts = [one.arguments["template"] for one in stages(settings_of()) if one.kind == "template"]
    assert texts
    assert not [text for text in texts if "\n" in text or "/*" in text]


def test_a_part_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="find"):
        go_template("id")
