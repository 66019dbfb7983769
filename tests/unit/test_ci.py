"""What runs for a pull request, a merge and every night: only commands that there are, and with no more rights than needed.

`make lint` has actionlint judge the workflows besides.
"""

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from config.settings import Settings
from operate.__main__ import app

ROOT = Path(__file__).parents[2]
WORKFLOWS = {file.stem: file for file in (ROOT / ".github" / "workflows").glob("*.yml")}
GITLAB = ROOT / ".gitlab-ci.yml"
ORDER = ["make lint", "make unit", "make policy", "make rules"]


def workflow(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(WORKFLOWS[name].read_text(), yaml.BaseLoader)  # noqa: S506 - `on` is not a boolean
    return document


def steps(name: str) -> Iterator[dict[str, Any]]:
    for job in workflow(name)["jobs"].values():
        yield from job["steps"]


def gitlab_lines() -> list[str]:
    jobs = [job for job in yaml.safe_load(GITLAB.read_text()).values() if isinstance(job, dict)]
    return [line for job in jobs for line in (*job.get("before_script", ()), *job.get("script", ()))]


def lines() -> list[str]:
    """Everything that is run, on GitHub and on GitLab."""
    return [*(step["run"] for name in WORKFLOWS for step in steps(name) if "run" in step), *gitlab_lines()]


def test_there_is_a_workflow_for_each_occasion() -> None:
    assert {name: set(workflow(name)["on"]) for name in WORKFLOWS} == {
        "pull-request": {"pull_request"},
        "comment": {"workflow_run"},
        "deploy": {"push"},
        "drift": {"schedule", "workflow_dispatch"},
    }


@pytest.mark.parametrize("name", WORKFLOWS)
def test_an_action_is_pinned_by_its_commit_beside_the_version(name: str) -> None:
    uses = re.findall(r"uses: (.*)", WORKFLOWS[name].read_text())
    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_the_same_action_is_the_same_everywhere() -> None:
    used = {step["uses"] for name in WORKFLOWS for step in steps(name) if "uses" in step}
    assert len({action.split("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_but_for_the_one_that_comments(name: str) -> None:
    assert workflow(name)["permissions"] in ({}, {"contents": "read"})
    granted = [job["permissions"] for job in workflow(name)["jobs"].values() if "permissions" in job]
    assert granted == ([{"actions": "read", "pull-requests": "write"}] if name == "comment" else [])


@pytest.mark.parametrize("name", ["pull-request", "comment"])
def test_what_a_fork_can_start_is_given_no_secret(name: str) -> None:
    assert "secrets." not in WORKFLOWS[name].read_text()


def test_the_workflow_that_may_write_runs_nothing_of_the_pull_request() -> None:
    assert not [step for step in steps("comment") if "checkout" in step.get("uses", "")]


@pytest.mark.parametrize("line", lines())
def test_no_text_of_others_is_pasted_into_a_command(line: str) -> None:
    assert "${{" not in line  # by the environment, where it stays a text


def test_a_pull_request_is_linted_tested_and_judged_before_it_is_previewed() -> None:
    jobs = workflow("pull-request")["jobs"]
    assert [step["run"] for step in jobs["checks"]["steps"] if "run" in step] == ORDER
    assert jobs["preview"]["needs"] == "checks"
    assert [line for line in gitlab_lines() if line in ORDER] == ORDER


def test_every_command_is_one_that_there_is() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    called = "\n".join(lines())
    assert set(re.findall(r"make ([a-z]+)", called)) <= targets
    assert set(re.findall(r"-m operate ([a-z-]+)", called)) <= commands
    assert {"up", "drift"} <= set(re.findall(r"make ([a-z]+)", called))


def test_a_pull_request_is_judged_by_its_base() -> None:
    preview = workflow("pull-request")["jobs"]["preview"]["steps"]
    base, head = [step["with"] for step in preview if "checkout" in step.get("uses", "")]
    assert (base["path"], base["ref"]) == ("base", "${{ github.event.pull_request.base.sha }}")
    assert (head["path"], head.get("ref")) == ("head", None)  # what would be merged
    ran = [step for step in preview if "run" in step]
    assert {step["working-directory"] for step in ran} == {"base"}
    assert ran[-1]["run"].endswith(" --head ../head")
    of_gitlab = yaml.safe_load(GITLAB.read_text())["preview"]["script"]
    assert "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME" in of_gitlab[0]  # as it is now, not where the branch began
    assert of_gitlab[2:3] == ['cd "$base" && make env']


@pytest.mark.parametrize(
    ("files", "marked"),
    [
        pytest.param("config/services/logs/loki.py\ndocs/toolchain.md", False, id="the program"),
        pytest.param("policies/memory.py", True, id="a policy"),
        pytest.param("policies.prod.json", True, id="what policies allow"),
        pytest.param("README.md\n.github/workflows/pull-request.yml", True, id="the workflow"),
        pytest.param("\n".join(f"docs/{number}.md" for number in range(3000)), True, id="more than GitHub lists"),
    ],
)
def test_who_changes_what_judges_is_told_by_the_workflow_that_they_did_not_change(
    files: str, *, marked: bool, tmp_path: Path
) -> None:
    [step] = [step for step in steps("comment") if "run" in step]
    (tmp_path / "files").write_text(f"{files}\n")
    (tmp_path / "pull-request.md").write_text("the report\n")
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\ncase "$*" in *"/pulls/"*) cat files;; api*) echo 17;; esac\n')
    gh.chmod(0o755)
    run(step, tmp_path, GH_REPO="me/repo", OWNER="fork", BRANCH="b", COMMIT="abc")
    report = (tmp_path / "pull-request.md").read_text()
    assert report.endswith("the report\n")
    assert report.startswith("**This pull request changes what judges it") == marked


def test_a_pull_request_whose_files_nobody_knows_gets_no_comment(tmp_path: Path) -> None:
    [step] = [step for step in steps("comment") if "run" in step]
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\ncase "$*" in *"/pulls/"*) exit 1;; api*) echo 17;; *) touch commented;; esac\n')
    gh.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError):
        run(step, tmp_path, GH_REPO="me/repo", OWNER="fork", BRANCH="b", COMMIT="abc")
    assert not (tmp_path / "commented").exists()


def run(step: dict[str, Any], folder: Path, **environment: str) -> None:
    """The commands of a step, as GitHub runs them."""
    path = f"{folder}:/usr/bin:/bin"
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env={"PATH": path, **environment}, check=True)


@pytest.mark.parametrize("number", ["17", ""], ids=["its pull request is there", "something was pushed meanwhile"])
def test_the_report_goes_to_the_pull_request_that_github_names(number: str, tmp_path: Path) -> None:
    [step] = [step for step in steps("comment") if "run" in step]
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >> calls\ncase "$1" in api) echo {number};; esac\n')
    gh.chmod(0o755)
    branch = "it's; touch broken"  # a name that git allows, almost
    run(step, tmp_path, GH_REPO="me/repo", OWNER="fork", BRANCH=branch, COMMIT="abc")
    search, *comments = [line for line in (tmp_path / "calls").read_text().splitlines() if "/files" not in line]
    assert search.startswith(f"api --method GET repos/me/repo/pulls -f state=open -f head=fork:{branch} ")
    assert 'select(.head.sha == "abc")' in search
    expected = "pr comment 17 --body-file pull-request.md --edit-last --create-if-none"
    assert comments == ([expected] if number else [])
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize("name", ["deploy", "drift"])
def test_the_key_of_the_hosts_is_written_for_its_owner_alone(name: str, tmp_path: Path) -> None:
    [step] = [step for step in steps(name) if "SSH_KEY" in step.get("env", {})]
    run(step, tmp_path, HOME=str(tmp_path), SSH_KEY="-----BEGIN\nkey\n-----END")
    key = tmp_path / ".ssh" / "nervous"
    assert key.read_text() == "-----BEGIN\nkey\n-----END\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["deploy", "drift"])
def test_deployments_wait_for_each_other_and_are_never_stopped_in_the_middle(name: str) -> None:
    assert workflow(name)["concurrency"] == {"group": "deploy"}


@pytest.mark.parametrize("name", ["deploy", "drift"])
def test_the_stacks_that_are_deployed_have_a_file_and_the_key_that_is_written(name: str) -> None:
    [job] = workflow(name)["jobs"].values()
    for stack in job["strategy"]["matrix"]["stack"]:
        config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
        values = {key.split(":")[1]: value for key, value in config.items() if "secure" not in str(value)}
        settings = Settings.model_validate({"environment": stack, "prefix": stack, **values})
        assert settings.docker.ssh
        assert settings.docker.ssh.key == "~/.ssh/nervous"
        assert any(settings.docker.ssh.key in step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize("name", ["deploy", "drift"])
def test_what_opens_each_kind_of_state_is_handed_over(name: str) -> None:
    [step] = [step for step in steps(name) if re.match("make (up|drift)", step.get("run", ""))]
    assert {"AWS_SECRET_ACCESS_KEY", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE"} <= set(step["env"])
