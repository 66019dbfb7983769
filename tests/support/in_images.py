"""Every script and command of ours that runs inside an image, and the tools that it calls there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from components import config_files
from config.catalogue import ROWS
from config.container import Container
from config.services import descriptions
from config.settings import Settings
from engine import activate
from operate.backup import volume
from toolchain.images.faces import userlands

KNOWN = {tool for userland in userlands().values() for tool in userland.tools} | {"curl", "jq", "perl", "python3"}
"""Words of a script that are names of tools."""
_WORD = re.compile(r"(?<![\w./$-])[a-z][a-z0-9_]*(?![\w/=-])")


def tools_in(script: str) -> set[str]:
    """Names of tools that a script may call: any word of it that is one, comments aside."""
    without_comments = re.sub(r"(^|\s)#.*", " ", script)
    return {*_WORD.findall(without_comments)} & KNOWN


def run_in_images(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What it is, the image in which it runs (a service, or `busybox`), its text."""
    for service in ROWS:
        yield from _of(descriptions.describe(service, settings))
    for script in (volume._AT_REST, volume._CHANGED, volume._REMOVE_REST, "sleep; gzip -c; gunzip"):
        yield "backup", "busybox", f"sh {script}"


def _of(container: Container) -> Iterator[tuple[str, str, str]]:
    service = container.service
    called = [container.entrypoint or container.command[:1], container.health or ()]
    if config := container.config:
        loading = service if container.tools else "busybox"
        claim = "chgrp; chmod" if container.claims_data else ""
        yield f"{service}: loader", loading, f"sh {config_files._LOAD} {config_files._VALIDATE} {claim}"
        if config.validate:
            validate = config.validate if container.tools else shlex.split(config.validate)[0]
            yield f"{service}: validator", service, validate
        yield f"{service}: flip and prune", loading, f"sh {activate.FLIP} {activate.PRUNE}"
        if config.expect or config.since_start:
            yield f"{service}: ask", loading, "wget" if container.tools else f"sh {activate.ASK}"
        if isinstance(config.reload, tuple):
            called.append(config.reload)
        elif config.reload.startswith("SIG"):
            yield f"{service}: signal", loading, "kill"
        for name, text in config.files.items():
            if name.endswith(".sh"):
                yield f"{service}: {name}", service, text
    for command in filter(None, called):
        yield f"{service}: {' '.join(command)}", service, PurePosixPath(command[0]).name
