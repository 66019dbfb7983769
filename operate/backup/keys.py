"""The values that you give for a backup: the place, the public key, the file with the secret key. A message never repeats a wrong
value, because it may be a secret in the wrong place."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyrage

from toolchain.report import ToolchainError

S3 = "s3://"
_SECRET_KEY = re.compile(r"AGE-?SECRET-?KEY|AGE-?PLUGIN|PRIVATEKEY|OPENSSH-KEY|B3BLBNNZAC1RZXK", re.IGNORECASE)
"""How secret keys begin, without blanks: those of age, of PEM, and of ssh inside PEM."""


def looks_secret(text: str) -> bool:
    """Whether a text that should be a name holds a secret key or several lines."""
    return bool(_SECRET_KEY.search(re.sub(r"[\s_]", "", text)) or re.search(r"[\x00-\x1f\x7f]", text.strip()))


def place(name: str, address: str) -> str:
    """Returns the address that was given as `name` (TO, FROM): a folder, or `s3://bucket/path`.

    Raises:
        ToolchainError: it is neither, or holds a secret.
    """
    fix = f"{name}=folder or {name}=s3://bucket/path; the login to S3 comes as AWS's own tools take it: AWS_ACCESS_KEY_ID, a profile"
    if looks_secret(address):
        raise ToolchainError(
            f"{name} holds a secret key, and is to name a place", fix=f"{fix}; make a new key if others see this line"
        )
    scheme, separator, rest = address.strip().partition("://")
    if not separator:
        return address
    if f"{scheme}://" != S3:
        raise ToolchainError(f"{name} is neither a folder nor an address that begins with {S3}", fix=fix)
    if re.search(r"[@?#:]", rest.partition("/")[0]) or re.search(r"[?#]", rest) or urlsplit(address).username:
        raise ToolchainError(f"{name} holds a login, or something else than a bucket and a path", fix=fix)
    return address


def recipient(text: str) -> Any:
    """The public key in `text`, of age or of ssh.

    Raises:
        ToolchainError: it is not a public key.
    """
    for kind in (pyrage.x25519.Recipient, pyrage.ssh.Recipient):
        with suppress(pyrage.RecipientError):
            return kind.from_str(text.strip())
    if looks_secret(text):
        raise ToolchainError(
            "RECIPIENT is a secret key, and is to be the public one: whoever has the secret one opens every backup",
            fix="age-keygen -y <file> prints the public key (age1…); if others could see the command, make a new key",
        )
    raise ToolchainError(
        "RECIPIENT is not a public key", fix="give one of age (age1…) or of ssh (ssh-ed25519 …, ssh-rsa …)"
    )


def identity(path: Path) -> Any:
    """The secret key in the file `path`: one of age, as age-keygen writes it, or of ssh without a passphrase.

    Raises:
        ToolchainError: there is none in the file.
    """
    if looks_secret(str(path)):
        raise ToolchainError(
            "IDENTITY is a secret key itself, and is to name the file that holds it",
            fix="IDENTITY=<file>, with mode 0600; if others could see the command, make a new key",
        )
    try:
        text = path.expanduser().read_bytes().decode("utf-8", "replace")
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no such home
        raise ToolchainError(
            f"IDENTITY names no file that can be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    none = ToolchainError("IDENTITY: the file holds no secret key of age, nor one of ssh without a passphrase")
    for line in text.splitlines():
        if line.strip().upper().startswith("AGE-SECRET-KEY-"):
            try:
                return pyrage.x25519.Identity.from_str(line.strip().upper())
            except pyrage.IdentityError:
                raise none from None
    try:
        return pyrage.ssh.Identity.from_buffer(text.encode())
    except pyrage.IdentityError:
        raise none from None
