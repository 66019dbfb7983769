"""This project's own program with a change, declared to a mocked engine or, in the end-to-end tests, to the real one.

A change is made to settings or to declared resources, never to the program's source, so it outlives a refactoring.
"""

import copy
import json
import runpy
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pulumi

from tests.policy.pack_host import Resource, declared_by
from tests.support import mocked_program
from tests.support.program import PROJECT, pulumi_config
from tests.unit.engines import answers

ROOT = Path(__file__).parents[2]
RULES = "own.yml"

Inputs = dict[str, Any]
"""Inputs of one resource: keys in camelCase."""
Edit = Callable[[str, str, Inputs], None]
"""Changes the inputs of a resource in place, given its type and its name."""


@dataclass(frozen=True)
class Change:
    """What differs from the defaults of `prod`."""

    config: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the stack file."""
    rules: str = ""
    """A rule file of the user's own."""
    secrets: Sequence[str] = ()
    """Secrets that the stack file has."""
    edit: Edit | None = None
    """What happens to the inputs of each declared resource."""
    addition: Resource | None = None
    """One more resource."""
    missing_output: str = ""
    """A stack output that the program leaves out."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """More stack outputs."""


def declare(change: Change) -> list[Resource]:
    """Every resource that the program declares with `change`, and the stack with its outputs."""
    unchanged = _declared(json.dumps(change.config), change.rules, tuple(change.secrets))
    resources = copy.deepcopy(unchanged)
    if change.edit:
        for resource in resources:
            change.edit(resource.kind, resource.name, resource.props)
    if change.missing_output:
        del resources[-1].props[change.missing_output]
    resources[-1].props.update(change.outputs)
    if change.addition:
        resources.append(change.addition)
    is_edited = change.edit or change.missing_output or change.outputs or change.addition
    assert not is_edited or resources != unchanged, "the change finds nothing to change"
    return resources


@cache
def _declared(config: str, rules: str, secrets: tuple[str, ...]) -> list[Resource]:
    settings = json.loads(config)
    if rules:
        settings["alerts"] = {**settings.get("alerts", {}), "rule_files": [RULES]}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("signal.signal"),  # the tests keep their own handler of Ctrl-C
    ):
        Path(folder, RULES).write_text(rules)
        recorder, outputs = mocked_program.run(
            pulumi_config(settings, secrets),
            [f"{PROJECT}:{key}" for key in secrets],
            Path(folder),
            lambda *_, **__: SimpleNamespace(**answers("docker_20_10")),
        )
    return declared_by(recorder, outputs)


def run(program: Path, changes: Iterable[Change]) -> None:
    """Runs `program` under the real Pulumi with the edits, additions and missing outputs of `changes`."""
    changes = list(changes)
    missing = {change.missing_output for change in changes}
    export = pulumi.export

    def edited(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
        inputs = dict(args.props)
        for edit in (change.edit for change in changes if change.edit):
            edit(args.type_, args.name, inputs)
        return pulumi.ResourceTransformResult(inputs, args.opts)

    def exported(name: str, value: Any) -> None:
        if name not in missing:
            export(name, value)

    pulumi.runtime.register_resource_transform(edited)
    with mock.patch.object(pulumi, "export", exported):
        names = runpy.run_path(str(program), run_name="__main__")
    for name, value in ((name, value) for change in changes for name, value in change.outputs.items()):
        export(name, value)
    for addition in (change.addition for change in changes if change.addition):
        options = pulumi.ResourceOptions(provider=names["engine"])
        pulumi.CustomResource(addition.kind, addition.name, dict(addition.props), options)
