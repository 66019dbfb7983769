"""A stack to measure: of its own, and gone afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e import leftovers, machine
from tests.e2e.conftest import settings
from tests.e2e.deployment import Deployment
from toolchain import images, pulumi_cli

PRODUCTION: dict[str, Any] = {"memory": {}, "metrics": {}, "traces": {}}
"""The limits and intervals of a 16 GB host, which are the defaults, in place of those of test stacks."""


@contextmanager
def created(**config: Any) -> Iterator[Deployment]:
    """Not up yet."""
    client, local = machine.client(), images.local_images()
    prefix = leftovers.new_prefix()  # cleared by the next tests, should this be killed
    with tempfile.TemporaryDirectory() as folder:
        stack = Deployment.create(
            Path(folder, "stack"), "bench", client, pulumi_cli.ensure().environment(), settings(prefix, local, **config)
        )
        try:
            yield stack
        finally:
            stack.remove()


@contextmanager
def running(**config: Any) -> Iterator[Deployment]:
    """With what the defaults say, but for `config`."""
    with created(**{**PRODUCTION, **config}) as stack:
        stack.up()
        yield stack
