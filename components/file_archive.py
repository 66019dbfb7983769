"""Many files in one upload: `SUFFIX` is how its name ends.

    4 5 main.yml            first line, last line, path
    6 8 rules/a.yml
                            an empty line ends the index
    a: 1                    line 4
    …

The Docker provider sorts the uploads of a container by their texts, which it quotes anew for each comparison: with
Grafana's dashboards that took 7 s of CPU of every plan. The archive is text, so a diff shows the lines that change, and the
policy pack reads the files in it (`policies/readers/file_archive.py`).
"""

from collections.abc import Mapping

SUFFIX = ".files"

UNPACK = """mkdir -p {folder}; cd {folder}
while read -r first last path && [ "$path" ]; do
  case $path in */*) mkdir -p "${{path%/*}}" ;; esac
  sed -n "$first,${{last}}p;${{last}}q" {archive} > "$path"
done < {archive}
"""
"""Shell commands that unpack `archive` into `folder`, which they make, and stay in."""


def packed(files: Mapping[str, str]) -> str:
    """The archive of `files`: path → text, which ends with a newline."""
    index, body = "", ""
    line = len(files) + 2
    for path, text in sorted(files.items()):
        if not text.endswith("\n"):
            raise ValueError(f"{path} does not end with a newline")
        after = line + text.count("\n")
        index += f"{line} {after - 1} {path}\n"
        body += text
        line = after
    return f"{index}\n{body}"
