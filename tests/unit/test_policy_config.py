"""The commands apply the policy pack, with a stack's own config of it."""

from pathlib import Path

import pytest

from operate import policy_config
from toolchain import paths
from toolchain.report import ToolchainError

PACK = paths.REPOSITORY / "policies"


def test_the_pack_is_applied_with_the_config_that_stands_beside_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "policies").symlink_to(PACK)
    (tmp_path / "policies.prod.json").write_text('{"all": "advisory", "memory-ceiling": {"ceiling_mib": 1}}')
    assert policy_config.policies("dev") == ("--policy-pack", str(tmp_path / "policies"))
    assert policy_config.policies("prod") == (
        *policy_config.policies("dev"),
        "--policy-pack-config",
        str(tmp_path / "policies.prod.json"),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 10_000, "is not JSON"),
        (b"[]", "contains no policies"),
        (b'{"memory-ceilling": {}}', "memory-ceilling: no policy is called so; did you mean memory-ceiling?"),
        (
            b'{"memory-ceiling": {"ceilling_mib": 1}}',
            "memory-ceiling.ceilling_mib: unknown key; did you mean ceiling_mib?",
        ),
        (b'{"log-rotation": {"size": 1}}', "log-rotation.size: unknown key; known here: enforcementLevel"),
    ],
    ids=["broken", "not UTF-8", "nested deep", "a list", "a policy", "a key", "a key of a policy without"],
)
def test_a_config_of_the_policies_that_is_wrong_is_refused_by_name(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "policies").symlink_to(PACK)
    (tmp_path / "policies.prod.json").write_bytes(content)
    with pytest.raises(ToolchainError, match=r"^policies\.prod\.json: ") as caught:
        policy_config.policies("prod")
    assert words in str(caught.value)
