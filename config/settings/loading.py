"""Turns stack config into settings, or into one message that names every wrong key."""

import difflib
import json
import re
import typing
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from config.settings import Settings, authorities, openslo, pem
from config.settings.model import ProjectFile, is_url, wrong_text
from config.settings.receivers import Receiver
from config.settings.secret_keys import CERTIFICATES, NAMES, SECRETS, WEBHOOKS, is_secret
from config.yaml_text import one_spelling


class SettingsError(Exception):
    """The errors in the stack file, one line per key, for the person who wrote the file."""


def load(
    config: Mapping[str, str], *, secret_keys: Collection[str], project: str, stack: str, root: Path = Path()
) -> Settings:
    """Settings of `stack` from its config as Pulumi passes it (`project:key` → text; objects as JSON).

    For example, ``{"nervous-system:prefix": "obs"}`` sets `prefix`. The files of `slo_files` are relative to `root`.

    Raises:
        SettingsError: names every wrong key, its file, and how to correct it.
    """
    mine = f"{project}:"  # an empty value declares a key in Pulumi.yaml without setting it
    texts = {key.removeprefix(mine): value for key, value in config.items() if key.startswith(mine) and value}
    own = {key: value if is_secret(key) else one_spelling(value) for key, value in texts.items()}
    values: dict[str, Any] = {"environment": stack, "prefix": f"nervous-{stack}"}
    problems = [("", what) for what in _strangers(config, project, stack)]
    for key, value in own.items():
        encrypted = f"{project}:{key}" in secret_keys
        if is_secret(key) and not encrypted:
            problems.append((key, f"is a secret: store it with  pulumi config set --secret {key}"))
        elif encrypted and not is_secret(key):
            problems.append((key, f"may hold no secret; the keys for secrets are {', '.join(NAMES)}"))
        elif key == "secrets":
            problems.append((key, f"unknown key; the keys for secrets are {', '.join(NAMES)}"))
        elif not key:
            problems.append(("", f"Pulumi.{stack}.yaml: {mine} has no key behind it: name the setting"))
        elif not is_secret(key):
            try:
                values[key] = _parsed(value)
            except _TwiceError as error:
                problems.append((key, str(error)))
    values["secrets"] = frozenset(filter(is_secret, own))
    refused = dict(_wrong_texts(values))
    problems += _add_slos(values, root)
    problems += [(key, what) for key, what in authorities.read(values, root) if key not in refused]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [
            (key, what) for key, what in _explained(error, values) if not any(_beside(key, bad) for bad in refused)
        ]
    problems += refused.items()
    if problems:
        raise _refusal(problems, project, stack)
    return settings


def _add_slos(values: dict[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    """Adds the SLOs of `slo_files` to `slos` in `values`. Yields what is wrong with a file: (key, what)."""
    inline_slos = values.get("slos", [])
    try:
        paths = TypeAdapter(tuple[ProjectFile, ...]).validate_python(values.get("slo_files", ()))
    except ValidationError:  # the field will say what is wrong with it
        return
    try:
        slos = openslo.read(paths, root)
    except openslo.OpenSloError as error:
        yield "slo_files", str(error)
        return
    if isinstance(inline_slos, list) and slos:
        values["slos"] = [*inline_slos, *slos]


LARGEST = 2**53
"""The largest whole number that JSON, Lua and JavaScript hold exactly."""


def _wrong_texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Texts below `values`, keys or values, and numbers that no setting may contain: (key, what is wrong)."""
    rest: list[tuple[str, Any]] = [(key, value) for key, value in values.items() if key != "secrets"]
    while rest:
        path, value = rest.pop()
        if isinstance(value, str):
            if what := wrong_text(value):
                yield path, what
        elif isinstance(value, int | float) and abs(value) > LARGEST:
            yield path, "is a larger number than services can count with"
        elif isinstance(value, list):
            rest += [(f"{path}.{number}", one) for number, one in enumerate(value)]
        elif isinstance(value, dict):
            for key, one in value.items():
                if what := wrong_text(key):
                    yield path, f"one of its keys {what}"
                else:
                    rest.append((f"{path}.{key}", one))


def _beside(key: str, refused: str) -> bool:
    """Whether a message about `key` would repeat a text that is refused anyway."""
    return f"{key}.".startswith(f"{refused}.") or refused.startswith(f"{key}.")


def _strangers(config: Mapping[str, str], project: str, stack: str) -> Iterator[str]:
    """Messages about unread keys that were meant for this project. Keys of other projects are ignored."""
    for key in config:
        name, _, rest = key.partition(":")
        if name == "docker":
            instead = f"the engine, and the way to it, are said in {project}:docker; logins to registries are those of `docker login`"
        elif not name or (name != project and difflib.get_close_matches(name, [project])):
            instead = f"did you mean {project}:{rest}?"
        else:
            continue
        yield f"Pulumi.{stack}.yaml: {key}: nothing of `{name}:` is read here: {instead}"


def judge_secrets(
    config: Mapping[str, str],
    *,
    receivers: Iterable[Receiver] = (),
    secret_keys: Collection[str],
    project: str,
    stack: str,
) -> None:
    """Checks the values of secrets. Only the program of `stack` has them in plain text.

    Args:
        receivers: those of the settings, which say what their secrets look like.

    Raises:
        SettingsError: names every secret that cannot be right, and never its value.
    """
    problems = []
    of_receivers = {receiver.secret: receiver for receiver in receivers}
    for name in sorted(secret_keys):
        key = name.removeprefix(f"{project}:")
        if name == key or not is_secret(key):
            continue
        value, fix = config[f"{project}:{key}"].strip(), f"set it with  pulumi config set --secret {key}"
        if not value:
            problems.append((key, f"the secret is blank: {fix}  (or remove it:  pulumi config rm {key})"))
        elif key in WEBHOOKS and not is_url(value):  # unlike a `Url`, it may contain a user and a password
            problems.append((key, f"the secret is not a URL with http:// or https://: {fix}"))
        elif key.startswith(CERTIFICATES):
            if not pem.is_login(value):
                wanted = "a certificate and its key, both in PEM, the key without a password"
                problems.append((key, f"the secret is not {wanted}: {fix} < file.pem"))
        elif any(unicodedata.category(sign) == "Cc" for sign in value):
            problems.append((key, f"the secret has a line break, or another sign that does not print: {fix}"))
        elif key in of_receivers and not of_receivers[key].takes(value):
            problems.append((key, f"the secret is not {of_receivers[key].credential}: {fix}"))
    if problems:
        raise _refusal(problems, project, stack)


def _refusal(problems: Iterable[tuple[str, str]], project: str, stack: str) -> SettingsError:
    lines = [f"Pulumi.{stack}.yaml: {project}:{key}: {what}" if key else what for key, what in sorted(problems)]
    return SettingsError("\n".join(lines))


_DAY = re.compile(r"(\d{4}-\d\d-\d\d) 00:00:00 \+0000 UTC")
"""What the CLI makes of a date without quotes."""


class _TwiceError(Exception):
    """A key that stands twice in one mapping. Its message names it."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise _TwiceError(f"{key} stands twice in it: keep one of them")
        mapping[key] = value
    return mapping


def _parsed(value: str) -> Any:
    value = _DAY.sub(r"\1", value)
    try:
        return json.loads(value, object_pairs_hook=_once) if value[:1] in "{[" else value
    except (ValueError, RecursionError):  # RecursionError if it is nested thousands deep
        return value


SHOWN = 200
"""Characters of a wrong value that a message repeats."""
# pydantic's messages name Python types, but the stack file is YAML.
_PLAIN = {
    "model_type": "must be a mapping of keys, as YAML or JSON",
    "dict_type": "must be a mapping of keys, as YAML or JSON",
    "tuple_type": "must be a list, as YAML or JSON",
    "byte_size": "is not a size: write it like 512MiB or 4GiB",
    "byte_size_unit": "is not a size: write it like 512MiB or 4GiB",
    "union_tag_not_found": "needs its kind",
}


def _explained(error: ValidationError, values: Any) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for each of pydantic's errors, in terms of the stack file with these `values`."""
    for item in error.errors():
        path = [str(part) for part in _written(_named(item["loc"]), values)]
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            keys = _keys_beside(item["loc"])
            close = difflib.get_close_matches(path[-1], keys, n=1)
            what = "unknown key; " + (f"did you mean {close[0]}?" if close else f"known here: {', '.join(keys)}")
        elif item["type"] == "value_error" and ": " in what and what.split(": ", 1)[0].split(".", 1)[0] in KEYS:
            named, what = what.split(": ", 1)  # a rule across several keys names its key itself
            path = [named]
        elif item["type"] == "union_tag_invalid":
            what = f"no kind is called {item['ctx']['tag']}; known are {item['ctx']['expected_tags']}"
        elif item["type"] not in {"value_error", "missing"}:
            what = _PLAIN.get(item["type"], what) + _shown(item["input"])
        yield ".".join(path) or "", what


def _written(location: Iterable[int | str], values: Any) -> Iterator[str]:
    """Keys to `location` as the file has them: a single block in place of a list has no number."""
    for part in location:
        if isinstance(part, int) and not isinstance(values, list):
            continue
        yield str(part)
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            values = None


_SECRET = re.compile(r":[^:@\s]*@|SECRET|PRIVATE|PASSWORD|TOKEN|hooks\.", re.IGNORECASE)


def _shown(value: Any) -> str:
    """A wrong value for a message; empty if it might be a misplaced secret."""
    text = json.dumps(value, default=str)
    if _SECRET.search(text):
        return ""
    return f" (it is {text[:SHOWN] + ' …' if len(text) > SHOWN else text})"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Keys of the model at the parent of `location`."""
    _, models = _walked(location[:-1])
    keys = {key for model in models for key in model.model_fields}
    return sorted(keys - {"secrets"} | (set(SECRETS) if models == [Settings] else set()))


def _named(location: tuple[int | str, ...]) -> list[int | str]:
    """`location` as a path in the stack file: without the kinds that pydantic adds where the kind chooses the model."""
    return _walked(location)[0]


def _walked(location: tuple[int | str, ...]) -> tuple[list[int | str], list[type[BaseModel]]]:
    """The path to `location`, and the models that can be there: several only where a `kind` chooses one."""
    path: list[int | str] = []
    models: list[type[BaseModel]] = [Settings]
    for part in location:
        if len(models) > 1 and (matches := [model for model in models if part in _kinds(model)]):
            models = matches
            continue
        path.append(part)
        fields = [model.model_fields[part] for model in models if isinstance(part, str) and part in model.model_fields]
        models = [inner for field in fields for inner in _models(field.annotation)] or models
    return path, models


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    return typing.get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in a type such as `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


KEYS = frozenset(Settings.model_fields) - {"secrets"}
