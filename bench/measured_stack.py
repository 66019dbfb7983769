"""A stack for measurements. It is removed afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import leftovers, machine, small_stack
from tests.support.deployment import Deployment
from toolchain import images, pulumi_cli

PRODUCTION: dict[str, Any] = {"memory": {}, "metrics": {}, "traces": {}}
"""The default limits and intervals, those of a 16 GB host, instead of those of test stacks."""


@contextmanager
def created(**config: Any) -> Iterator[Deployment]:
    """A stack that is configured, but not deployed."""
    client, local = machine.client(), images.local_images()
    prefix = leftovers.new_prefix()  # if this process is killed, the next tests remove it
    with tempfile.TemporaryDirectory() as folder:
        stack = Deployment.create(
            Path(folder, "stack"),
            "bench",
            client,
            pulumi_cli.ensure().environment(),
            small_stack.config(prefix, local, **config),
        )
        try:
            yield stack
        finally:
            stack.remove()


@contextmanager
def running(**config: Any) -> Iterator[Deployment]:
    """A deployed stack with default settings, apart from `config`."""
    with created(**{**PRODUCTION, **config}) as stack:
        stack.up()
        yield stack
