"""Where the tool chain keeps things outside the checkout, so that a fresh clone on a known machine is warm."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def _base(variable: str, default: str) -> Path:
    # The XDG specification says to ignore relative values.
    value = Path(os.environ.get(variable, ""))
    return (value if value.is_absolute() else Path.home() / default) / "nervous-system"


def cache_dir() -> Path:
    """Everything in here can be made again: deleting it costs time only."""
    path = _base("XDG_CACHE_HOME", ".cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


def state_dir() -> Path:
    """What cannot be made again (the dev stack's state and passphrase) and logs; for the owner's eyes only."""
    path = _base("XDG_STATE_HOME", ".local/state")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def log_file(name: str) -> Path:
    """The full output of the last run of the step `name`."""
    folder = state_dir() / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"


def backend_url() -> str:
    """The file backend that holds the local stacks."""
    folder = state_dir() / "backend"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder.as_uri()


def passphrase_file() -> Path:
    """Encrypts the secrets of the local stacks; stack.py generates it once, with mode 0600."""
    return state_dir() / "passphrase"
