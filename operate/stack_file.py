"""The file of a stack: its path, and the settings in it."""

import json
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings, loading
from config.settings.secret_keys import is_secret
from engine import other_engine
from operate import stack_document
from toolchain import paths
from toolchain.report import ToolchainError

PROJECT = "nervous-system"


NAMES = re.compile(r"[\w.-]{1,100}", re.ASCII)
"""Names that the CLI allows for stacks."""


def _named(name: str) -> str:
    """Raises ToolchainError if the name is empty, as in `make down STACK=$name` without that variable. The default
    would be another stack."""
    if not name or os.environ.get("STACK") == "":
        raise ToolchainError("STACK is empty", fix="name a stack, or leave STACK out for dev")
    return name


Name = Annotated[str, typer.Option("--stack", envvar="STACK", help="As in Pulumi.<stack>.yaml.", callback=_named)]


def stack_file(stack: str) -> Path:
    """Path of the stack file of `stack`.

    Raises:
        ToolchainError: there is no such file.
    """
    if not NAMES.fullmatch(stack):
        raise ToolchainError(f"STACK={stack!r} names no stack", fix=f"name one that is there: {_stacks()}")
    path = paths.REPOSITORY / f"Pulumi.{stack}.yaml"
    if not path.exists():
        raise ToolchainError(
            f"no file {path.name}", fix=f"write one, like Pulumi.prod.yaml, or name a stack that is there: {_stacks()}"
        )
    return path


def _stacks() -> str:
    return ", ".join(sorted(path.name.split(".")[1] for path in paths.REPOSITORY.glob("Pulumi.*.yaml")))


def load_settings(stack: str, file: Path | None = None) -> Settings:
    """The settings in the file of `stack`, or in `file`, which is to become it. Secrets are only counted, never
    decrypted.

    Raises:
        ToolchainError: the file is missing or wrong, and the message names every key; or it names no engine, and
            Docker's own tools use another one than the default.
    """
    config = stack_document.config(file or stack_file(stack), PROJECT)
    secret_keys = [key for key, value in config.items() if _is_encrypted(key.removeprefix(f"{PROJECT}:"), value)]
    try:
        settings = loading.load(
            {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()},
            secret_keys=secret_keys,
            project=PROJECT,
            stack=stack,
            root=paths.REPOSITORY,
        )
    except loading.SettingsError as error:
        raise ToolchainError(str(error)) from None
    if unclear := other_engine.question(settings.docker, f"Pulumi.{stack}.yaml"):
        raise ToolchainError(unclear[0], fix=unclear[1])
    return settings


def _is_encrypted(key: str, value: object) -> bool:
    """Whether `value` is what the CLI writes for a secret; of a setting, whether any part of it is."""
    if not is_secret(key):
        return _holds_secret(value)
    return (
        isinstance(value, dict)
        and [*value] == ["secure"]
        and isinstance(value["secure"], str)
        and bool(value["secure"])
    )


def _holds_secret(value: object) -> bool:
    """Whether Pulumi has encrypted a part of this value: `{secure: …}`, at any depth."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))
