"""The place where Pulumi keeps the stacks, and the passphrase of their secrets: your own backend and passphrase, or else a folder on
this machine."""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping

import yaml

from toolchain import paths, pulumi_cli
from toolchain.report import ToolchainError


def environment(pulumi: pulumi_cli.Pulumi) -> dict[str, str]:
    """The environment for the CLI, with your own backend and passphrase if you have them; else with a local backend and
    a generated passphrase."""
    result = pulumi.environment()
    if not result.get("PULUMI_BACKEND_URL") and not _has_one(os.environ):
        result["PULUMI_BACKEND_URL"] = paths.backend_url()
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & result.keys():
        result["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase())
    return result


def _has_one(environment: Mapping[str, str]) -> bool:
    """Whether the CLI would find your stacks by itself, in any of the ways that it knows.

    After PULUMI_BACKEND_URL it reads the project's file, the file of `pulumi login`, PULUMI_API and PULUMI_ACCESS_TOKEN
    (`pkg/workspace/creds.go` and `pkg/backend/httpstate/backend.go` of v3.256.0). If this missed one of those, a
    deployment would go to an empty local backend, as if nothing were deployed.
    """
    if environment.get("PULUMI_ACCESS_TOKEN") or environment.get("PULUMI_API"):
        return True
    project = yaml.safe_load((paths.REPOSITORY / "Pulumi.yaml").read_text(encoding="utf-8"))
    if (project.get("backend") or {}).get("url"):
        return True
    try:
        text = pulumi_cli.credentials_file(environment).read_text(encoding="utf-8")
        return bool(text and json.loads(text).get("current"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError, AttributeError):
        return True  # the CLI says what is wrong with it


def _passphrase() -> str:
    """Path of the file with the generated passphrase of the local stacks. It is made once.

    Raises:
        ToolchainError: it cannot be written, or is empty, as a full disk leaves it. A new passphrase would open nothing
            that the old one has encrypted.
    """
    path = paths.passphrase_file()
    if not path.exists():
        aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another command was faster
                os.link(aside, path)
        except OSError as error:
            raise ToolchainError(f"{path}, the passphrase of the local stacks, cannot be written: {error}") from None
        finally:
            aside.unlink(missing_ok=True)
    if not path.read_text(encoding="utf-8").strip():
        raise ToolchainError(
            f"{path}, the passphrase of the local stacks, is empty",
            fix="put the right one back from a backup; where no stack has been deployed with it yet, remove the file",
        )
    return str(path)
