"""The user's own rule files, which stand beside the ones of this project."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from config.settings.loading import SettingsError
from config.settings.units import MIB
from config.yaml_text import one_spelling

LARGEST = MIB
"""In bytes: about 2,000 rules. All of it is judged, stored in the state and shown in previews."""


def must_be_inside(root: Path, file: Path, key: str) -> None:
    """Raises SettingsError for a link that leads out of `root`: what it leads to would stand in the previews of everybody."""
    if not file.resolve().is_relative_to(root.resolve()):
        raise SettingsError(f"{key}: is a link that leads out of the project: put the file itself there")


def read(paths: Iterable[str], root: Path, *, stack_key: str) -> dict[str, str]:
    """File name → text, of files named relative to `root`. What the rules mean is judged by promtool later.

    `stack_key` is how messages call the setting that lists them.

    Raises:
        SettingsError: a file is missing, too large, or no rule file, or two share a name.
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
