"""The header that identifies the sender to a remote store."""

import base64
from collections.abc import Callable


def authorization(user: str | None) -> Callable[[str], str]:
    """Function from a secret to the value of the header `Authorization`: the secret is the password of `user`, or without a user
    a bearer token."""

    def value(secret: str) -> str:
        if user is None:
            return f"Bearer {secret.strip()}"
        return f"Basic {base64.b64encode(f'{user}:{secret.strip()}'.encode()).decode()}"

    return value
