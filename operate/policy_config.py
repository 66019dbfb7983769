"""Checks the policies' config beside a stack file. Unknown words are reported by name, which the CLI does not do."""

import difflib
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from toolchain import paths
from toolchain.report import ToolchainError

OF_EVERY_POLICY = ("enforcementLevel",)
"""Keys that every policy has."""
ALL = "all"
"""Stands for every policy (Pulumi's documentation, configuration of policy packs)."""


def judge(file: Path) -> None:
    """Checks that the file is JSON with only policies and keys that exist. The CLI judges the values.

    Raises:
        ToolchainError: it is not.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ToolchainError(f"{file.name}: is not JSON: {error}", fix="policies/README.md shows its format") from None
    if not isinstance(config, dict):
        raise ToolchainError(f"{file.name}: contains no policies", fix="policies/README.md shows its format")
    for wrong in _unknown(config, _known()):
        raise ToolchainError(f"{file.name}: {wrong}", fix="correct it; policies/README.md lists all of them")


def _known() -> Mapping[str, Collection[str]]:
    """Policy → its config keys. A separate process lists them, because importing the policies takes a second."""
    command = [sys.executable, "-m", "policies.pack"]
    result = subprocess.run(command, cwd=paths.REPOSITORY, capture_output=True, text=True, check=True)
    policies: dict[str, list[str]] = json.loads(result.stdout)
    return policies


def _unknown(config: Mapping[str, Any], policies: Mapping[str, Collection[str]]) -> Iterator[str]:
    for policy, options in config.items():
        if policy not in {*policies, ALL}:
            yield f"{policy}: no policy is called so{_close(policy, policies)}"
            continue
        keys = {*policies.get(policy, ()), *OF_EVERY_POLICY}
        for key in options if isinstance(options, dict) else ():  # else only the level
            if key not in keys:
                yield f"{policy}.{key}: unknown key{_close(key, keys)}"


def _close(word: str, names: Collection[str]) -> str:
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(sorted(names))}"


def policies(stack: str) -> tuple[str, ...]:
    """The options that make the CLI apply the policy pack, with the config in `policies.<stack>.json` if there is one.

    Raises:
        ToolchainError: that config is wrong.
    """
    pack, config = ("--policy-pack", str(paths.REPOSITORY / "policies")), paths.REPOSITORY / f"policies.{stack}.json"
    if not config.exists():
        return pack
    judge(config)
    return (*pack, "--policy-pack-config", str(config))
