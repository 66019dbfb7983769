"""The commands apply the policy pack, with a stack's own config of it."""

from pathlib import Path

import pytest

from toolchain import paths, stack


def test_the_pack_is_applied_with_the_config_that_stands_beside_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "policies.prod.json").write_text("{}")
    assert stack.policies("dev") == ("--policy-pack", "policies")
    assert stack.policies("prod") == (
        *stack.policies("dev"),
        "--policy-pack-config",
        str(tmp_path / "policies.prod.json"),
    )
