"""Archives of files, as the project's loaders get them: `components/file_archive.py` describes the format."""

from collections.abc import Mapping

SUFFIX = ".files"
"""How the name of an archive ends. Its files are unpacked into the folder of its name without it."""


class NotAnArchiveError(Exception):
    """A text that is no archive, or that has lines of which its index says nothing."""


def unpacked(text: str) -> Mapping[str, str]:
    """Path → text of each file.

    Raises:
        NotAnArchiveError: not every line after the index belongs to one file.
    """
    index, blank, _ = text.partition("\n\n") if not text.startswith("\n") else ("", "\n", "")
    entries = index.split("\n") if index else []
    lines = text.split("\n")
    line, files = len(entries) + 2, {}
    for entry in entries:
        first, last, path = [*entry.split(" ", 2), "", ""][:3]
        if first != str(line) or not last.isdecimal() or int(last) < line or not path or path in files:
            raise NotAnArchiveError
        files[path] = "\n".join([*lines[line - 1 : int(last)], ""])
        line = int(last) + 1
    if not blank or lines[line - 1 :] != [""]:
        raise NotAnArchiveError
    return files
