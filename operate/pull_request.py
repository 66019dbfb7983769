"""Reports what a pull request would change to its reviewers. It needs no secret, no state and no host, so forks get it
too.

This checkout is the base, and it judges: by its policies with their configs, its toolchain and commands, its Python
packages. Only the program and the stack files come from the pull request, so a pull request cannot loosen the policies
that judge it. Both programs are previewed against an empty state, and what they declare is compared. Placeholders
replace secrets, and an engine that a preview would ask.
"""

import difflib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from config.settings.docker import Docker
from config.settings.receivers import placeholder
from config.settings.secret_keys import RECEIVER
from operate import stack_document
from operate.policy_config import policies
from operate.stack_file import PROJECT
from toolchain import paths, pulumi_cli
from toolchain.report import Step, ToolchainError, console

DOCKER = f"{PROJECT}:docker"
STAND_IN = {
    "slack_webhook": "https://hooks.slack.example/stand-in",
    "deadman_url": "https://deadman.example/stand-in",
    "s3_credentials": "stand-in:stand-in",
}
"""Placeholders for secrets that need a certain form."""
ENGINE = "ssh://engine.invalid"
"""Address of an engine that no preview asks (`configureDockerClient` of pulumi-docker 5)."""
MOST = 60_000
"""Limit of a report in characters. GitHub takes 65,536 in a comment."""

JUDGES = (
    "policies/**/*", "policies.*.json", "toolchain/**/*", "operate/**/*", "requirements.txt", "pyproject.toml", "Makefile", ".github/**/*",
    ".gitlab-ci.yml", ".ci/**/*",
)  # fmt: skip
"""Files that decide on a pull request."""

Resources = Mapping[str, str]
"""`type::name` → the declared inputs, as YAML."""


@dataclass(frozen=True)
class Previewed:
    """The resources that a program declares for a stack, or the reason why it refuses."""

    resources: Resources
    refusal: str = ""
    """The words of the program or of a policy that refuses it; else empty."""


def pull_request(
    head: Annotated[Path, typer.Option(help="The pull request's checkout; this one is the base that judges it.")],
    stack: Annotated[list[str] | None, typer.Option(help="Default: all that have a file, but dev.")] = None,
    report: Annotated[Path, typer.Option(help="Where to write it, as Markdown.")] = Path("pull-request.md"),
) -> None:
    """Previews what the checkout --head would deploy, compared with this checkout, whose policies judge it."""
    head = head.resolve()
    if not (head / "Pulumi.yaml").is_file():
        raise ToolchainError(
            f"--head: {head} holds no Pulumi.yaml", fix="name the folder in which the pull request is checked out"
        )
    if head == paths.REPOSITORY.resolve():
        raise ToolchainError(
            f"--head: {head} is this very checkout, which would then judge itself",
            fix="run it in a checkout of the base: git worktree add ../base main (docs/environments.md, Pull requests)",
        )
    stacks = stack or sorted(name for path in head.glob("Pulumi.*.yaml") if (name := path.name.split(".")[1]) != "dev")
    sections, refused = [*_notice(judges_changed(paths.REPOSITORY, head))], []
    for name in stacks:
        with Step(f"{name}: what would change"):
            after = _previewed(head, name, *policies(name))
            before = _previewed(paths.REPOSITORY, name)
        sections.append(section(name, before, after))
        if after.refusal:
            refused.append(name)
            console.print(after.refusal, markup=False)
    report.write_text(shortened("\n".join(sections)))
    if refused:
        raise ToolchainError(
            f"refused: {', '.join(refused)}", fix=f"the lines above say why; the whole report is in {report}"
        )
    console.print(f"written to {report}")


def judges_changed(base: Path, head: Path) -> list[str]:
    """Paths of the files of `JUDGES` that differ between two checkouts."""
    before, after = _judges(base), _judges(head)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _judges(checkout: Path) -> dict[str, bytes]:
    files = [path for pattern in JUDGES for path in checkout.glob(pattern) if path.is_file()]
    return {str(path.relative_to(checkout)): path.read_bytes() for path in files if path.suffix != ".pyc"}


def _notice(changed: list[str]) -> Iterator[str]:
    if changed:
        yield (
            "**This pull request changes what judges pull requests.** It was judged by what its base has of these, not by its "
            f"own: read them with care.\n\n{_block('text', chr(10).join(changed))}"
        )


def section(stack: str, before: Previewed, after: Previewed) -> str:
    """The section of the report about one stack, in Markdown."""
    title = f"### `{stack}`"
    if after.refusal:
        return f"{title}: refused\n\n{_block('text', after.refusal)}"
    if before.refusal:
        return f"{title}: {len(after.resources)} resources, compared with nothing\n\nThe base cannot be previewed.\n"
    differences = {
        name: _difference(before.resources.get(name, ""), after.resources.get(name, ""))
        for name in sorted({*before.resources, *after.resources})
    }
    changed = {name: text for name, text in differences.items() if text}
    if not changed:
        return f"{title}: nothing declared differs\n"
    added, removed = after.resources.keys() - before.resources.keys(), before.resources.keys() - after.resources.keys()
    counts = f"{len(added)} added, {len(changed) - len(added) - len(removed)} changed, {len(removed)} removed"
    parts = [
        f"<details><summary>{name}</summary>\n\n{_block('diff', text)}</details>\n" for name, text in changed.items()
    ]
    return f"{title}: {counts}\n\n" + "\n".join(parts)


def _block(language: str, text: str) -> str:
    fence = "`" * 4  # longer than any in the text of a config file
    return f"{fence}{language}\n{text.replace(fence, '`')}\n{fence}\n"


def _difference(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))
    return "\n".join(lines[2:])


def shortened(report: str) -> str:
    """The report, cut to `MOST` characters so that it fits into a comment."""
    if len(report) <= MOST:
        return report
    return f"{report[:MOST]}\n````\n\nThe rest is left out: it is in the file of this run.\n"


def _previewed(program: Path, stack: str, *options: str) -> Previewed:
    """Previews the program in the folder `program` for `stack`. With `options`, a policy can refuse it."""
    file = program / f"Pulumi.{stack}.yaml"
    if not file.exists():
        return Previewed({})
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "program"
        shutil.copytree(
            program, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".cache")
        )
        (copy / ".venv").symlink_to(paths.REPOSITORY / ".venv")
        state = Path(folder) / "state"
        state.mkdir()
        declared = stack_document.config(file, PROJECT)
        config = _without_secrets(declared)
        engine = config.get(DOCKER) or {}
        (copy / file.name).write_text(yaml.safe_dump({"config": {**config, DOCKER: stand_in(engine)}}))
        environment = {
            **pulumi_cli.ensure().environment(),
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of nothing",
        }
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)

        def pulumi(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["pulumi", *arguments, "--non-interactive", "--color=never"],
                cwd=copy, env=environment, input=stdin, capture_output=True, text=True, check=False,
            )  # fmt: skip

        pulumi("stack", "init", stack)
        placeholders = STAND_IN | of_receivers(config.get(f"{PROJECT}:notifications"))
        for key in _secrets(declared):
            pulumi("config", "set", "--secret", "-s", stack, key, stdin=placeholders.get(key, "stand-in"))
        if options and (judged := pulumi("preview", "-s", stack, *options)).returncode:
            return Previewed({}, _told(judged, copy))
        result = pulumi("preview", "-s", stack, "--json")
        try:
            steps = json.loads(result.stdout).get("steps", [])
        except ValueError:
            steps = []
        if result.returncode or not steps:
            return Previewed({}, _told(result, copy))
        engine_text = {f"Pulumi.{stack}.yaml::docker": _as_yaml(engine)} if engine else {}
        return Previewed(engine_text | dict(map(_declared, steps)))


def _told(result: subprocess.CompletedProcess[str], copy: Path) -> str:
    """The output of a command, without the paths of the copy and of this checkout."""
    return (result.stdout + result.stderr).replace(str(copy), ".").replace(str(paths.REPOSITORY), "base").strip()


def stand_in(engine: Any) -> Any:
    """The engine's settings for a preview, with a placeholder for its address. Wrong settings, and those of a host that
    is reached by ssh, stay as they are."""
    try:
        right = Docker.model_validate(json.loads(engine) if isinstance(engine, str) else engine)
    except ValueError:
        return engine  # the program says what is wrong with it
    if right.host.startswith("ssh://"):
        return engine
    return {**right.model_dump(include={"data_root"}, exclude_unset=True), "host": ENGINE}


def of_receivers(notifications: Any) -> dict[str, str]:
    """Name of a receiver's secret → its placeholder. Empty for wrong settings: the program says what is wrong with them."""
    try:
        document = json.loads(notifications) if isinstance(notifications, str) else notifications
        return {f"{RECEIVER}{one['name']}": placeholder(one["kind"]) for one in document["receivers"]}
    except (KeyError, TypeError, ValueError):
        return {}


def _secrets(config: Mapping[str, Any]) -> list[str]:
    """Names of the secrets in a stack file, without the project's name."""
    own = f"{PROJECT}:"
    return [
        key.removeprefix(own)
        for key, value in config.items()
        if key.startswith(own) and isinstance(value, dict) and "secure" in value
    ]


def _without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not (isinstance(value, dict) and "secure" in value)}


class _Text(yaml.SafeDumper):
    """Writes texts of several lines line by line, so that a changed line of a config file is a changed line of the
    report."""


_Text.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _declared(step: Mapping[str, Any]) -> tuple[str, str]:
    """A resource of a preview, as a pair for `Resources`."""
    kind, name = step["urn"].split("::")[-2:]
    state = step.get("newState") or {}
    return f"{kind.split('$')[-1]}::{name}", _as_yaml(state.get("inputs", {}))


def _as_yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Text, width=10_000)
