"""Programs that a container fetches when it starts, past the digest of its image."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from policies.readers.declared_resources import Properties, known_texts
from policies.readers.uploads import uploads

_FETCH = r"\b(?:curl|wget|aria2c|fetch|lwp-request|nc|scp|rsync)\b"
_RUNS = r"(?:ba|da|a|z|k)?sh|python[\d.]*|perl|ruby|node|php|lua"
SCRIPTS = {
    "pipes a download into an interpreter": rf"{_FETCH}[^|;&\n]*\|(?:[^|;\n]*\|)?\s*(?:sudo\s+)?(?:/\S*/)?(?:{_RUNS})\b(?!\s+-c)",
    "runs a download": rf"(?:\b(?:{_RUNS}|source|eval)|(?<![\w/])\.)\s[^;\n]*(?:<\(|\$\(|`)\s*{_FETCH}",
    "makes a download executable": rf"{_FETCH}.*\bchmod\s+(?:\S*\+\S*x|0?[0-7]*[1357][0-7]*)\b",
    "runs the file that it downloads": rf"{_FETCH}.*(?:-o|-O|--output|>)\s*(\S+).*[;&|\s](?:{_RUNS}|source|exec)\s+\1",
    "runs the file that it fetches": rf"{_FETCH}\s.*/([\w-]+\.?\w*)\b.*[;&|\n]\s*(?:(?:{_RUNS}|source|exec|\.)\s+)?(?:\./)?\1\b",
    "runs what it unpacks": rf"{_FETCH}[^|;&\n]*\|\s*(?:bsd)?tar\b.*[;&]\s*(?:exec\s+)?\./",
    "runs code from an address": r"\b(?:iex|Invoke-Expression)\b.*\b(?:iwr|irm|Invoke-WebRequest|DownloadString)\b|LWP::Simple\b.*\beval\b|\bexec\(.*\b(?:urlopen|requests\.get|urlretrieve)\(|\burlopen\(.*\bexec\(",
    "installs packages": r"\b(?:apk\s+(?:-\S+\s+)*add|(?:apt|apt-get|yum|dnf|microdnf|zypper|pacman|gem|cargo|go|composer|brew|snap|opkg)"
    r"\s+(?:-\S+\s+)*(?:install|-S)|pip[\d.]*\s+(?:-\S+\s+)*install|uv\s+pip\s+install|(?:npm|yarn|pnpm)\s+(?:-\S+\s+)*(?:i|ci|install|add)"
    r"|git\s+clone|grafana(?:-|\s+)cli\s.*\binstall|elasticsearch-plugin\s+install)\b",
    "runs a package that it downloads": r"\bgo\s+run\s+\S+@|\b(?:npx|uvx|bunx|pipx\s+run|pnpm\s+dlx)\s",
}
"""What it does → pattern in a command line or script."""
VARIABLES = re.compile(r"GF_(INSTALL_PLUGINS|PLUGINS_PREINSTALL(_SYNC)?)=(?!disabled).+|(PIP|UV)_INSTALL\w*=.+")
"""Variables that make the programs of images fetch others (Grafana)."""


def fetched(container: Properties) -> Iterator[tuple[str, str]]:
    """Where in `container` a program is fetched at its start, and how."""
    words = {
        "command line": [*known_texts(container, "entrypoints"), *known_texts(container, "command")],
        "health check": [str(word) for word in (container.get("healthcheck") or {}).get("tests") or ()],
    }
    for where, said in words.items():
        yield from ((where, how) for how in _in_script(" ".join(said)))
    for entry in known_texts(container, "envs"):
        if VARIABLES.fullmatch(entry):
            yield f"variable {entry.partition('=')[0]}", "fetches programs"
    for upload in uploads(container):
        path, text = PurePosixPath(str(upload.get("file"))), str(upload.get("content") or "")
        if path.suffix == ".sh" or text.startswith("#!"):
            yield from ((f"script {path.name}", how) for how in _in_script(text.replace("\\\n", " ")))


def _in_script(text: str) -> Iterator[str]:
    for how, pattern in SCRIPTS.items():
        if re.search(pattern, text):
            yield how
