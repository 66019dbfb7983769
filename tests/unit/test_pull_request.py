"""The report of a pull request: from what two previews declare to Markdown."""

from pathlib import Path
from typing import Any

import pytest

from config.settings.docker import Docker
from operate import pull_request
from operate.pull_request import ENGINE, MOST, Previewed, judges_changed, section, shortened, stand_in
from toolchain import paths
from toolchain.report import ToolchainError

CONTAINER = "docker:index/container:Container::prometheus"


def test_a_changed_line_is_shown_with_its_resource() -> None:
    text = section("prod", Previewed({CONTAINER: "a: 1\nb: 2\n"}), Previewed({CONTAINER: "a: 1\nb: 3\n"}))
    assert text.startswith("### `prod`: 0 added, 1 changed, 0 removed\n")
    assert f"<summary>{CONTAINER}</summary>" in text
    assert "-b: 2\n+b: 3\n" in text


def test_what_comes_and_what_goes_is_counted() -> None:
    text = section("prod", Previewed({"a": "x: 1\n", "b": "x: 1\n"}), Previewed({"b": "x: 1\n", "c": "x: 1\n"}))
    assert text.startswith("### `prod`: 1 added, 0 changed, 1 removed\n")
    assert "<summary>b</summary>" not in text


def test_a_new_stack_is_all_new() -> None:
    assert section("prod", Previewed({}), Previewed({"a": "x: 1\n"})).startswith("### `prod`: 1 added")


def test_a_refusal_stands_for_the_rest() -> None:
    text = section("prod", Previewed({"a": "x: 1\n"}), Previewed({}, "memory-ceiling: too much"))
    assert text.startswith("### `prod`: refused\n")
    assert "memory-ceiling: too much" in text


def test_a_base_that_cannot_be_previewed_is_no_reason_to_refuse() -> None:
    assert "compared with nothing" in section("prod", Previewed({}, "broken"), Previewed({"a": "x: 1\n"}))


def test_a_text_cannot_end_its_block() -> None:
    text = section("prod", Previewed({"a": ""}), Previewed({"a": "x: |\n  ````\n  @everyone\n"}))
    assert text.count("````") == 2


def test_a_long_report_fits_into_a_comment() -> None:
    assert shortened("x" * MOST) == "x" * MOST
    text = shortened("x" * 100_000)
    assert len(text) < 65_536
    assert text.endswith("in the file of this run.\n")


@pytest.mark.parametrize(
    "engine",
    [
        {},
        {"host": "unix:///run/user/1000/docker.sock", "data_root": "/data"},
        {"host": "tcp://vps:2376", "certificates": "tls/prod"},
        '{"host": "tcp://vps:2376", "certificates": "tls/prod"}',
    ],
)
def test_an_engine_that_a_preview_would_ask_is_stood_in_for(engine: Any) -> None:
    docker = Docker.model_validate(stand_in(engine))
    assert docker.host == ENGINE
    assert docker.data_root in {"/data", "/var/lib/docker"}


@pytest.mark.parametrize(
    "engine",
    [
        {"host": "ssh://deploy@vps"},
        {"host": "tcp://vps:2376"},
        {"hots": "unix:///x"},
        {"host": 1},
        "unix:///x",
        "{half",
        [1],
    ],
)
def test_an_engine_that_no_preview_asks_and_one_that_is_wrong_stays_for_the_program_to_judge(engine: Any) -> None:
    assert stand_in(engine) == engine


def checkout(folder: Path, **files: str) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


JUDGED_BY = {"policies/memory.py": "1", "toolchain/lint.py": "1", "Makefile": "1", ".github/workflows/x.yml": "1"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(
            {"config/services/logs/loki.py": "2", "Pulumi.prod.yaml": "2"}, [], id="the program and a stack file"
        ),
        pytest.param({"policies/memory.py": "2"}, ["policies/memory.py"], id="a policy"),
        pytest.param({"policies/new.py": "2"}, ["policies/new.py"], id="one policy more"),
        pytest.param({"policies.prod.json": "{}"}, ["policies.prod.json"], id="what policies allow"),
        pytest.param({"toolchain/images/build.sh": "2"}, ["toolchain/images/build.sh"], id="a script of the toolchain"),
        pytest.param({"requirements.txt": "2"}, ["requirements.txt"], id="the packages"),
        pytest.param({".github/workflows/x.yml": "2"}, [".github/workflows/x.yml"], id="the workflow"),
        pytest.param({".gitlab-ci.yml": "2"}, [".gitlab-ci.yml"], id="the jobs"),
    ],
)
def test_what_judges_and_is_changed_is_named(change: dict[str, str], names: list[str], tmp_path: Path) -> None:
    base = checkout(tmp_path / "base", **JUDGED_BY)
    assert judges_changed(base, checkout(tmp_path / "head", **JUDGED_BY | change)) == names


def test_a_policy_that_is_gone_is_named(tmp_path: Path) -> None:
    base = checkout(tmp_path / "base", **JUDGED_BY)
    head = checkout(tmp_path / "head", **JUDGED_BY)
    (head / "policies" / "memory.py").unlink()
    assert judges_changed(base, head) == ["policies/memory.py"]


def test_a_checkout_does_not_judge_itself() -> None:
    with pytest.raises(ToolchainError, match="this very checkout, which would then judge itself"):
        pull_request.pull_request(paths.REPOSITORY / "config" / "..")


def test_a_folder_without_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"^--head: .* holds no Pulumi\.yaml"):
        pull_request.pull_request(tmp_path)
