"""Setting of the disk space that the stack may use."""

from pydantic import ByteSize, field_validator

from config.settings import disk_budget
from config.settings.model import Model
from config.sizes import GIB


class Disk(Model):
    """How much of the host's disk the stack may use."""

    budget: ByteSize = ByteSize(disk_budget.REFERENCE)
    """4GiB or more. `metrics.retention.size`, `logs.budget.disk`, `traces.disk` and `traces.queue` follow from it,
    unless you set them (docs/operations.md)."""

    @field_validator("budget")
    @classmethod
    def _holds_something(cls, budget: int) -> int:
        if budget < disk_budget.SMALLEST:
            msg = f"below {disk_budget.SMALLEST // GIB}GiB nothing is kept for long enough to look at"
            raise ValueError(msg)
        return budget
