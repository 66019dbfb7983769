"""Pulls with the logins of `docker login`. The Docker provider has no logins, so the images must be on the engine before it runs."""

import json
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import requests
from docker import auth
from docker.errors import APIError, DockerException
from docker.utils import parse_repository_tag

from config import docker_cli
from config.images import Reference
from toolchain import images
from toolchain.report import Step, ToolchainError

AT_ONCE = 3
"""Images that are pulled in parallel. The engine itself loads at most three layers at once."""
SILENCE_SECONDS = 300
"""Longest time without progress from the engine, which reports several times a second during a pull."""
LOG_IN = "docker login {registry}  on this machine: its logins go along to an engine elsewhere, too"
FIXES = {
    "toomanyrequests": LOG_IN + "; or name a mirror:  images.registry",
    "unauthorized": LOG_IN,
    "denied": LOG_IN,
    "no basic auth": LOG_IN,
    "manifest unknown": "correct the reference below `images` in the stack file",
    "not found": "correct the reference below `images` in the stack file",
}
"""Text in the engine's error → what to do."""
ELSE = "the words are the engine's; a mirror that it can reach is named by  images.registry  in the stack file"


def pull(client: docker.DockerClient, references: Collection[str]) -> None:
    """Pull those of `references` that the engine lacks.

    Raises:
        ToolchainError: an image cannot be pulled, or the logins cannot be read.
    """
    missing = sorted(reference for reference in references if not images.present(client, reference))
    if not missing:
        return
    try:
        docker_cli.cli_config()  # without this check, docker-py would continue without logins
    except ValueError as error:
        raise ToolchainError(str(error), fix="fix or remove it: `docker login` writes a new one") from None
    loaded: dict[str, int] = {}
    with Step(_title(0, len(missing), loaded)) as step, ThreadPoolExecutor(AT_ONCE) as pool:
        count = 0

        def one(reference: str) -> None:
            nonlocal count
            for line in _pulled(client, reference):
                if "id" in line and line.get("status") == "Downloading":
                    loaded[line["id"]] = line.get("progressDetail", {}).get("current", 0)
                    step.title = _title(count, len(missing), loaded)
            count += 1
            step.title = _title(count, len(missing), loaded)

        try:
            list(pool.map(one, missing))
        finally:
            pool.shutdown(cancel_futures=True)


def _title(count: int, all_: int, loaded: dict[str, int]) -> str:
    return f"images: {count} of {all_} pulled, {sum(loaded.values()) >> 20} MiB"


def _pulled(client: docker.DockerClient, reference: str) -> Iterator[dict[str, Any]]:
    """The engine's progress messages during a pull. docker-py's own call has no timeout."""
    registry, (name, tag) = Reference.parse(reference).host, parse_repository_tag(reference)
    api: Any = client.api
    try:
        header = auth.get_config_header(api, registry)
    except DockerException as error:  # a credential helper fails
        raise ToolchainError(
            f"the login for {registry} cannot be read: {error}",
            fix=f"{docker_cli.config_file()} names a helper (credsStore, credHelpers): install it, or log in without it",
        ) from None
    try:
        answer = api.post(
            f"{api.base_url}/v{api.api_version}/images/create",
            params={"fromImage": name, "tag": tag or "latest"},
            headers={"X-Registry-Auth": header} if header else {},
            stream=True,
            timeout=SILENCE_SECONDS,
        )
        if not answer.ok:
            raise _refused(reference, registry, answer.text)
        for text in answer.iter_lines():
            line: dict[str, Any] = json.loads(text)
            if "error" in line:
                raise _refused(reference, registry, line["error"])
            yield line
    except requests.RequestException as error:
        raise _refused(reference, registry, str(error)) from error
    except APIError as error:
        raise _refused(reference, registry, str(error)) from error


def _refused(reference: str, registry: str, words: str) -> ToolchainError:
    try:
        words = json.loads(words)["message"]
    except (ValueError, KeyError, TypeError):
        words = words.strip()
    fix = next((fix for word, fix in FIXES.items() if word in words.lower()), ELSE)
    return ToolchainError(f"{reference} cannot be pulled: {words}", fix=fix.format(registry=registry))
