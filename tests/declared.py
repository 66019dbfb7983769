"""What the program declares for the stacks of the tests, as files to compare: `python -m tests.declared FOLDER`.

A refactoring changes none of it:

    git stash && python -m tests.declared /tmp/before; git stash pop && python -m tests.declared /tmp/after
    diff -r /tmp/before /tmp/after
"""

import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import yaml
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped] # no stubs here

from tests.support import mocked_program
from tests.support.program import EVERYTHING, INSTEAD, PROJECT, pulumi_config
from tests.unit.engines import answers

ROOT = Path(__file__).parents[1]
STACKS: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "empty": ({}, ()),
    "everything": (EVERYTHING, ("slack_webhook", "grafana_password", "grafana_secret_key", "s3_credentials")),
    "instead": (INSTEAD, ("grafana_password", "s3_credentials")),
    **{
        name: (
            {
                key.removeprefix(f"{PROJECT}:"): value
                for key, value in (
                    yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text()).get("config") or {}
                ).items()
                if "secure" not in (value if isinstance(value, dict) else {})
            },
            (),
        )
        for name in ("dev", "staging", "prod")
    },
}
"""Name → stack config and the secrets that are set."""


def declared(config: Mapping[str, Any], secrets: tuple[str, ...]) -> list[dict[str, Any]]:
    """Resources of the program for a stack config, by type and name: inputs, and options as the engine gets them."""
    with tempfile.TemporaryDirectory() as folder, patch.object(signal, "signal"):
        recorder, outputs = mocked_program.run(
            pulumi_config(config, secrets),
            [f"{PROJECT}:{key}" for key in secrets],
            Path(folder),
            lambda *_, **__: SimpleNamespace(**answers("docker_20_10")),
        )
    resources = [
        {
            "type": resource.typ,
            "name": resource.name,
            "inputs": resource.inputs,
            "options": {
                key: _in_order(value)
                for key, value in MessageToDict(resource.options).items()
                if key not in ("object", "sourcePosition", "stackTrace")
            },
        }
        for resource in recorder.resources
    ]
    return [*sorted(resources, key=lambda one: (one["type"], one["name"])), {"exports": outputs}]


def _in_order(option: Any) -> Any:
    """What a resource depends on comes as it is ready."""
    if isinstance(option, list):
        return sorted(option)
    return {key: _in_order(value) for key, value in option.items()} if isinstance(option, dict) else option


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (config, secrets) in STACKS.items():
        text = json.dumps(declared(config, secrets), indent=1, sort_keys=True, ensure_ascii=False, default=str)
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
