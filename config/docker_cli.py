"""What Docker's own tools go by: variables of the environment, and the CLI's config. Nothing here imports more than the
standard library: `components/activate.py` starts a dozen times in one deployment.
"""

import json
import os
from pathlib import Path
from typing import Any

SOCKET = "/var/run/docker.sock"
"""Where an engine listens, unless its owner has said otherwise."""
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
"""The environment by which Docker's tools and the Docker provider choose an engine and reach it; here the settings alone
say that. Sources: `client/envvars.go` of Docker v28.5, `internal/provider/provider.go` of terraform-provider-docker v4.5,
`provider/provider.go` of pulumi-docker 5."""
MISLEADING = ("DOCKER_CERT_PATH", "DOCKER_CA_MATERIAL", "DOCKER_CERT_MATERIAL", "DOCKER_KEY_MATERIAL")
"""Those that no input of the provider can overrule: certificates for one engine are used for any other."""


def config_file() -> Path:
    """The Docker CLI's config: logins to registries, the current context."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def cli_config() -> dict[str, Any]:
    """What it says.

    Raises:
        ValueError: it is no JSON object, or cannot be read.
    """
    path = config_file()
    try:
        found = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}, the Docker CLI's config, cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}, the Docker CLI's config, is no JSON object")  # noqa: TRY004
    return found
