"""The environment variables and the CLI config that Docker's own tools follow.

Imports only the standard library, because `engine/activate.py` starts a dozen times in one deployment.
"""

import json
import os
from pathlib import Path
from typing import Any

SOCKET = "/var/run/docker.sock"
"""Default socket of an engine."""
VARIABLES = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CA_MATERIAL",
    "DOCKER_CERT_MATERIAL",
    "DOCKER_KEY_MATERIAL",
    "DOCKER_SSH_OPTS",
    "DOCKER_API_VERSION",
)
"""Variables with which Docker's tools and the Docker provider choose an engine and connect to it. Here only the settings do. Sources:
`client/envvars.go` of Docker v28.5, `internal/provider/provider.go` of terraform-provider-docker
v4.5, `provider/provider.go` of pulumi-docker 5."""
MISLEADING = ("DOCKER_CERT_PATH", "DOCKER_CA_MATERIAL", "DOCKER_CERT_MATERIAL", "DOCKER_KEY_MATERIAL")
"""Variables that no input of the provider overrides: certificates for one engine would be used for every other."""


def config_file() -> Path:
    """Path of the Docker CLI's config: registry logins and the current context."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def cli_config() -> dict[str, Any]:
    """The Docker CLI's config; empty if the file does not exist.

    Raises:
        ValueError: the file is not a JSON object, or cannot be read.
    """
    path = config_file()
    try:
        result = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}, the Docker CLI's config, cannot be read: {error}") from None
    if not isinstance(result, dict):
        raise ValueError(f"{path}, the Docker CLI's config, is not a JSON object")  # noqa: TRY004
    return result
