"""Reads the certificates that settings name by a file of the project."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.settings.model import ProjectFile
from config.sizes import MIB

LARGEST = MIB
"""Bytes of one file."""
_BLOCKS = (("metrics", "remote_write"), ("metrics", "long_term"), ("logs", "remote"), ("traces", "remote"))
"""Settings, or lists of them, with a key `ca`."""


def read(values: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    """Puts the text of each file in place of its path, in `values` as the stack file has them. Paths are relative to `root`.

    Yields:
        (key, what is wrong with it) for a file that cannot be read.
    """
    for first, second in _BLOCKS:
        block = values.get(first)
        authority = block.get(second) if isinstance(block, dict) else None
        ends: list[Any] = authority if isinstance(authority, list) else [authority]
        for number, one in enumerate(ends):
            if not isinstance(one, dict) or not isinstance(one.get("ca"), str):
                continue
            try:
                one["ca"] = _text(one["ca"], root)
            except ValueError as error:
                yield f"{first}.{second}{f'.{number}' if isinstance(authority, list) else ''}.ca", str(error)
                del one["ca"]


def _text(path: str, root: Path) -> str:
    """Raises ValueError: it is not a file of the project, or cannot be read as text."""
    try:
        TypeAdapter(ProjectFile).validate_python(path)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    file = root / path
    if not file.resolve().is_relative_to(root.resolve()):
        msg = f"{path} is a link that leads out of the project: put the file itself there"
        raise ValueError(msg)
    try:
        if file.stat().st_size > LARGEST:
            msg = f"{path} has more than {LARGEST // MIB} MiB, so it holds something else than certificates"
            raise ValueError(msg)
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} holds no certificates (PEM)") from None
