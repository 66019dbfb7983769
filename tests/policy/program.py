"""This project's own program, changed by one line of config or code, declared to a mocked engine."""

import importlib.machinery
import importlib.util
import json
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pulumi
import yaml

from tests.policy.engine import Resource, declared_by
from tests.unit.conftest import PROJECT, Recorder, deploy, pulumi_config
from tests.unit.engines import answers

ROOT = Path(__file__).parents[2]
MAIN = "__main__.py"
RULES = "own.yml"


@dataclass(frozen=True)
class Edit:
    """Other words in one file of the program."""

    path: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """The file with them."""
        text = (ROOT / self.path).read_text()
        assert text.count(self.old) == 1, f"{self.path} says {text.count(self.old)} times {self.old!r}"
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Change:
    """What is different from the defaults of `prod`."""

    config: Mapping[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    rules: str | None = None
    """A rule file of the user's own."""
    secrets: Sequence[str] = ()


def declare(change: Change, folder: Path) -> list[Resource]:
    """Everything that the program declares with `change`; `folder` is where it runs."""
    config = dict(change.config)
    if change.rules:
        (folder / RULES).write_text(change.rules)
        config["alerts"] = {**config.get("alerts", {}), "rule_files": [RULES]}
    texts = pulumi_config(config, change.secrets)
    secret_keys = [f"{PROJECT}:{key}" for key in change.secrets]
    environment = {"PULUMI_CONFIG": json.dumps(texts), "PULUMI_CONFIG_SECRET_KEYS": json.dumps(secret_keys)}
    outputs: dict[str, Any] = {}
    exported: dict[str, Any] = {}

    def program() -> pulumi.Output[None]:
        pulumi.runtime.set_all_config(texts, secret_keys)
        edited = change.edit if change.edit and change.edit.path == MAIN else None
        text = edited.text if edited else (ROOT / MAIN).read_text()
        exec(compile(text, MAIN, "exec"), {"__name__": "__main__"})  # noqa: S102 - the program, as the engine runs it
        return pulumi.Output.from_input(exported).apply(outputs.update)

    with (
        chdir(folder),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(pulumi, "export", exported.__setitem__),
        mock.patch.object(yaml, "dump", _dump),
        _with(change.edit),
        mock.patch("components.engine.connect", return_value=SimpleNamespace(**answers("docker_20_10"))),
        mock.patch("signal.signal"),  # the tests' own Ctrl-C stays what it is
    ):
        recorder = deploy(program, Recorder())
    return declared_by(recorder, outputs)


_DUMP = yaml.dump
_DUMPED: dict[bytes, str] = {}


def _dump(document: Any, **options: Any) -> str:
    """Most files are the same whatever is changed, and writing YAML takes the most time of a program."""
    key = pickle.dumps((document, options.get("width")))
    if key not in _DUMPED:
        _DUMPED[key] = _DUMP(document, **options)
    return _DUMPED[key]


@contextmanager
def _with(edit: Edit | None) -> Iterator[None]:
    """The program's modules made anew from sources with `edit`, and afterwards those of before again."""
    if edit is None or edit.path == MAIN:
        yield
        return
    own = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in {"config", "components"}}
    finder = _Finder(edit)
    for name in own:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] in {"config", "components"}]:
            del sys.modules[name]
        sys.modules.update(own)


class _Finder(importlib.machinery.PathFinder):
    """Finds one module in another text than that of its file."""

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._name = edit.path.removesuffix(".py").replace("/", ".")

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:  # type: ignore[override]
        if name != self._name:
            return None
        loader = _Loader(name, str(ROOT / self._edit.path), self._edit.text)
        return importlib.util.spec_from_file_location(name, ROOT / self._edit.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> Any:
        """Never from a cache, which knows the file's own text."""
        return self.source_to_code(self._text.encode(), self.path)
