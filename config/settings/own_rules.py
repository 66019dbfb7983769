"""Reads your own rule files, which are loaded beside the project's."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from config.settings.loading import SettingsError
from config.sizes import MIB
from config.yaml_text import one_spelling

LARGEST = MIB
"""In bytes: about 2,000 rules. All of it is judged, stored in the state and shown in previews."""


def must_be_inside(root: Path, file: Path, key: str) -> None:
    """Refuses a link that leads out of `root`, because previews would show its content to everybody.

    Raises:
        SettingsError: `file` is outside of `root`. The message begins with `key`.
    """
    if not file.resolve().is_relative_to(root.resolve()):
        raise SettingsError(f"{key}: is a link that leads out of the project: put the file itself there")


def read(paths: Iterable[str], root: Path, *, stack_key: str) -> dict[str, str]:
    """File name → text, for files named relative to `root`. Their rules are checked by promtool later.

    `stack_key` names the setting that lists them, for messages.

    Raises:
        SettingsError: a file is missing, too large or not a rule file, or two share a name.
    """
    texts: dict[str, str] = {}
    for path in paths:
        file = root / path
        key = f"{stack_key}: {path}"
        must_be_inside(root, file, key)
        if file.suffix != ".yml":
            raise SettingsError(f"{key}: rename it to {file.stem}.yml, which is what Prometheus looks for")
        if file.name in texts:
            raise SettingsError(f"{key}: another file of the list is called {file.name} too")
        try:
            if (size := file.stat().st_size) > LARGEST:
                raise SettingsError(
                    f"{key}: has {size / MIB:.1f} MiB, and no more than {LARGEST // MIB} is taken: split it"
                )
            texts[file.name] = one_spelling(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{key}: {getattr(error, 'strerror', None) or error}") from None
        try:
            document = yaml.safe_load(texts[file.name])
        except (yaml.YAMLError, RecursionError) as error:
            raise SettingsError(f"{key}: is no YAML: {error}") from None
        if not isinstance(document, dict) or "groups" not in document:
            raise SettingsError(f"{key}: holds no `groups:` of rules")
    return texts
