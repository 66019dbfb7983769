"""Finds and reads the files that you bring: rules, scrape jobs and dashboards."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from config.settings.loading import SettingsError
from config.sizes import MIB
from config.yaml_text import one_spelling


def must_be_inside(root: Path, file: Path, key: str) -> None:
    """Refuses a link that leads out of `root`, because previews would show its content to everybody.

    Raises:
        SettingsError: `file` is outside of `root`. The message begins with `key`.
    """
    if not file.resolve().is_relative_to(root.resolve()):
        raise SettingsError(f"{key}: is a link that leads out of the project: put the file itself there")


def matching_files(
    paths: Iterable[str], root: Path, *, endings: Sequence[str], stack_key: str
) -> Iterator[tuple[str, Path]]:
    """Yields (key for messages, file) for each file, once.

    A path below `root` is a file, a folder with all files below it, or a pattern like ``rules/*.yml``. Of a folder and
    of a pattern, only files with one of `endings` count.

    Raises:
        SettingsError: a folder or a pattern has no such file, or a file leads out of `root`.
    """
    targets = set()
    for path in paths:
        named = root / path
        if named.is_dir():
            several: list[Path] | None = sorted(named.rglob("*"))
        elif any(sign in path for sign in "*?[") and not named.exists():
            several = sorted(root.glob(path))
        else:
            several = None
        files = [named] if several is None else [one for one in several if one.is_file() and one.suffix in endings]
        if not files:
            raise SettingsError(f"{stack_key}: {path}: holds no file that ends with {' or '.join(endings)}")
        for file in files:
            key = f"{stack_key}: {path if several is None else file.relative_to(root)}"
            must_be_inside(root, file, key)
            if file.resolve() not in targets:
                targets.add(file.resolve())
                yield key, file


def text_of(file: Path, key: str, largest: int) -> str:
    """The text of `file`, which has at most `largest` bytes.

    Raises:
        SettingsError: it cannot be read, is too large, or is no text in UTF-8. The message begins with `key`.
    """
    try:
        if (size := file.stat().st_size) > largest:
            raise SettingsError(
                f"{key}: has {size / MIB:.1f} MiB, and no more than {largest // MIB} is taken: split it"
            )
        return one_spelling(file.read_text(encoding="utf-8-sig"))  # editors on Windows write a mark at the beginning
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: {getattr(error, 'strerror', None) or error}") from None
