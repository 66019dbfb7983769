"""Image references, split the way Docker completes them.

`config/images.py` has `Reference` too: the pack also judges programs that do not have `config/`, and knows nothing of this one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """An image reference: `registry/repository:tag@digest`.

    `Reference.parse("postgres:17")` is `Reference("docker.io", "library/postgres", "17", None)`.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Splits `text`, and fills in the registry and the folder that Docker takes by default."""
        rest, _, digest = text.partition("@")
        path, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:  # the colon belongs to a port
            path, tag = rest, ""
        first, slash, more = path.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(first, more, tag or None, digest or None)
        repository = path if slash else f"library/{path}"
        return cls("docker.io", repository, tag or None, digest or None)

    @property
    def name(self) -> str:
        """The last part of the repository."""
        return self.repository.rpartition("/")[2]
