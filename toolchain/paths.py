"""Folders of the tool chain outside the checkout. With them, a fresh clone on a known machine starts fast."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def _base(variable: str, default: str) -> Path:
    # The XDG specification says to ignore relative values.
    value = Path(os.environ.get(variable, ""))
    return (value if value.is_absolute() else Path.home() / default) / "nervous-system"


def cache_dir() -> Path:
    """Folder for everything that can be made again. Deleting it costs only time."""
    path = _base("XDG_CACHE_HOME", ".cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


def state_dir() -> Path:
    """Folder for logs and for what cannot be made again: the dev stack's state and passphrase. Only the owner can read
    it."""
    path = _base("XDG_STATE_HOME", ".local/state")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def log_file(name: str) -> Path:
    """Path of the log with the full output of the last run of the step `name`."""
    folder = state_dir() / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"


def backend_url() -> str:
    """URL of the file backend that holds the local stacks."""
    folder = state_dir() / "backend"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder.as_uri()


def passphrase_file() -> Path:
    """File with the passphrase for the secrets of the local stacks. `operate/backend.py` generates it once, with mode 0600."""
    return state_dir() / "passphrase"
