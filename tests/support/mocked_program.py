"""The Pulumi program as the engine runs it, on mocks of the engine and of Docker."""

import contextlib
import gc
import json
import os
import runpy
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi

import engine.docker_api
from tests.support.program import Recorder, deploy

ROOT = Path(__file__).parents[2]


def run(
    texts: Mapping[str, str], secret_keys: Collection[str], folder: Path, connect: Callable[..., Any]
) -> tuple[Recorder, dict[str, Any]]:
    """Runs the program in `folder`. Returns what it declared, and its stack outputs.

    `texts` and `secret_keys` are the stack config as the CLI passes it, `connect` stands in for
    `engine.docker_api.connect`. The program sets a handler of Ctrl-C: a caller that wants to keep its own patches
    `signal.signal`.
    """
    exports: dict[str, Any] = {}
    outputs: dict[str, Any] = {}

    def program() -> pulumi.Output[None]:
        pulumi.runtime.set_all_config(dict(texts), list(secret_keys))
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        return pulumi.Output.from_input(exports).apply(outputs.update)

    environment = {"PULUMI_CONFIG": json.dumps(dict(texts)), "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(secret_keys))}
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(pulumi, "export", exports.__setitem__),
        mock.patch.object(engine.docker_api, "connect", connect),
    ):
        try:
            return deploy(program), outputs
        finally:
            gc.enable()  # the program lives for seconds, and needs no garbage collection; its tests do
