"""The description of a backup. It is written last: without it there is no backup."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from config.services import descriptions
from config.services.logs import loki
from config.settings import Settings
from config.settings.model import Name
from operate import version_steps
from operate.backup.place import DamagedError, Place, Stored
from toolchain.report import ToolchainError

NAME = "manifest.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kept(_Part):
    """The copy of one service's volume."""

    image: str
    """Reference of the image that the service ran."""
    image_id: str
    seconds_held: float
    """Seconds for which the service was paused or stopped for the copy."""
    files: tuple[Stored, Stored, Stored]
    """The three archives (`volume.ARCHIVES`). The second holds newer versions of files than the first. The third lists
    the files that existed at the end."""

    @property
    def bytes(self) -> int:
        """Sum of the sizes of the archives, as they are stored."""
        return sum(file.bytes for file in self.files)


class Manifest(_Part):
    """The whole backup."""

    format: Literal[1] = 1
    stack: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    prefix: Name
    environment: Name
    taken: datetime
    """When the copy of the first volume began. The volumes are copied one after another."""
    log_schema: tuple[dict[str, Any], ...] = ()
    """Loki's periods, which say where the logs of each day are."""
    state: Stored
    """The output of `pulumi stack export`. Its secrets are encrypted with the stack's own passphrase or key."""
    stack_file: Stored
    volumes: Mapping[Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")], Kept]
    """Service → the copy of its volume."""

    @property
    def files(self) -> tuple[Stored, ...]:
        """All files of the backup, except the manifest itself."""
        return (self.state, self.stack_file, *(file for volume in self.volumes.values() for file in volume.files))

    @property
    def age(self) -> str:
        """Its age in words: `3.2 hours old`."""
        hours = (datetime.now(UTC) - self.taken).total_seconds() / 3600
        return f"{hours:.1f} hours old"


def log_schema(settings: Settings) -> tuple[dict[str, Any], ...]:
    """Loki's periods (`schema_config.configs`) in `settings`."""
    return tuple(loki.main_file(settings)["schema_config"]["configs"])


def read(place: Place) -> Manifest:
    """The description of the backup at `place`.

    Raises:
        DamagedError: there is no backup, it was never finished, or this version does not know its format.
    """
    try:
        text = place.clear_text(NAME)
    except DamagedError as error:
        raise DamagedError(
            f"{place.address} contains no complete backup ({NAME} is written last): {error}",
            fix="FROM=… names the folder of one backup, as `make backup` has printed it",
        ) from None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",) and isinstance(first["input"], int) and first["input"] > 1:
            raise DamagedError(
                f"{place.address} was made by a newer version of this project, in format {first['input']}: this one knows 1",
                fix="check that version out, and restore with it",
            ) from None
        raise DamagedError(
            f"{place.address}/{NAME} is damaged, or of another version: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None


def must_fit(manifest: Manifest, settings: Settings, *, with_grafana: bool) -> None:
    """Checks that the stack of `settings` can go on with the data of the backup.

    Raises:
        ToolchainError: it cannot. The message lists the reasons.
    """
    keepers = {container.service for container in descriptions.keepers(settings)} | (
        {"grafana"} if with_grafana else set()
    )
    problems = [
        f"the backup has what {service} keeps, and the stack runs no {service} with a volume"
        for service in manifest.volumes
        if service not in keepers
    ]
    for service, volume in manifest.volumes.items():
        if service in keepers and (problem := version_steps.jump(service, volume.image, settings.image(service))):
            problems.append(problem)
    missing = [period for period in manifest.log_schema if period not in log_schema(settings)]
    if "loki" in manifest.volumes and missing:
        days = ", ".join(f"from {period['from']} in {period['object_store']}" for period in missing)
        problems.append(f"logs.s3: Loki would not find the logs that the backup has {days}: set it as it was")
    if problems:
        raise ToolchainError(
            "the backup does not fit the stack:\n" + "\n".join(f"    {problem}" for problem in problems),
            fix="change the stack file: the one of the backup shows what fitted",
        )
