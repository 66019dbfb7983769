"""Checks that the lifecycle rules of the bucket of `logs.s3` leave Loki what it has to read.

The chunks of a tenant are below its name, and may move to a cheaper class that answers at once. Everything else is Loki's index, or identifies its store: if a rule expires or archives such an object, Loki finds no logs at all, or
does not start.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from docker import DockerClient
from docker.errors import NotFound

from check.containers import container
from check.files import texts_in
from check.finding import Finding
from config.container import DIRECTORY
from config.services.logs import loki
from config.settings import Settings
from config.settings.units import seconds

CHUNKS = f"{loki.TENANT}/"
NEEDED = ("index/", "loki_cluster_seed.json")
"""Beginnings of keys (Loki 3.7.8: `PathPrefix` in `pkg/storage/config/schema_config.go`, `ClusterSeedFileName` in
`pkg/analytics/reporter.go`)."""
_ARCHIVE = re.compile(r"(?!GLACIER_IR$).*(GLACIER|ARCHIVE).*", re.IGNORECASE)
"""Classes from which an object has to be restored, for hours. A store that is not Amazon's may call its own anything else."""
WHAT = "the bucket's lifecycle rules leave Loki what it reads"


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields what is wrong with the rules, if logs are in object storage. Rules that cannot be read are no broken promise: the key
    may not be allowed to, and the store may be reachable from the host only."""
    s3 = settings.logs.s3
    if s3 is None:
        return
    try:
        key = texts_in(container(client, settings, "loki"), f"{DIRECTORY}/secrets").get(loki.S3_CREDENTIALS)
    except NotFound as error:
        raise LookupError(str(error)) from None
    if key is None:
        yield Finding(WHAT, kept=True, detail="not looked at: Loki has the role of its host instead of a key")
        return
    try:
        rules = rules_of(s3.bucket, s3.region, s3.endpoint, key)
    except (BotoCoreError, ClientError) as error:
        yield Finding(WHAT, kept=True, detail=f"not looked at, which takes s3:GetLifecycleConfiguration: {error}")
        return
    faults = [*wrong(rules, seconds(settings.logs.retention.longest) / 86_400)]
    yield Finding(WHAT, kept=not faults, detail="; ".join(faults) or f"{len(rules)} rules")


def rules_of(bucket: str, region: str, endpoint: str | None, credentials: str) -> list[dict[str, Any]]:
    """The bucket's rules, by Loki's own key, whose file has the text `credentials`.

    Raises:
        BotoCoreError, ClientError: the store does not answer, or refuses the key.
    """
    # Half a second of CPU, which a check without a bucket need not spend.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    file = ConfigParser(interpolation=None)
    file.read_string(credentials)
    s3 = boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=file["default"]["aws_access_key_id"],
        aws_secret_access_key=file["default"]["aws_secret_access_key"],
        config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}),
    )
    try:
        result: list[dict[str, Any]] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return []
        raise
    return result


def wrong(rules: Sequence[Mapping[str, Any]], days: float) -> Iterator[str]:
    """What is wrong with the rules of a bucket, as S3 gives them, if lines are kept for so many days. Loki
    reads neither older versions of an object nor unfinished uploads."""
    for number, rule in enumerate(rules, start=1):
        prefix = _prefix(rule)
        if rule.get("Status") != "Enabled" or prefix is None:
            continue
        name = rule.get("ID") or f"rule {number}"
        needed = [one for one in NEEDED if one.startswith(prefix) or prefix.startswith(one)]
        expires = {key: rule.get("Expiration", {}).get(key) for key in ("Days", "Date")}
        classes = [str(one.get("StorageClass")) for one in rule.get("Transitions", ())]
        acts = "expires" if any(expires.values()) else "moves" if classes else ""
        if needed and acts:
            yield f"{name} {acts} {' and '.join(needed)}: let it touch {CHUNKS} only"
        if not (prefix.startswith(CHUNKS) or CHUNKS.startswith(prefix)):
            continue
        if archives := [one for one in classes if _ARCHIVE.fullmatch(one)]:
            yield f"{name} moves chunks to {archives[0]}, which Loki cannot read at once: take GLACIER_IR, or none"
        if expires["Date"] or (expires["Days"] and expires["Days"] < days + 1):
            when = f"after {expires['Days']} days" if expires["Days"] else "on a day"
            yield f"{name} expires chunks {when}, and logs.retention is {days:g}: leave it to Loki, or wait {days + 1:.0f} days"


def _prefix(rule: Mapping[str, Any]) -> str | None:
    """The prefix of the keys that the rule covers; None if it covers only tagged objects, because Loki sets no tags."""
    rule_filter = rule.get("Filter") or {}
    both = rule_filter.get("And") or {}
    if rule_filter.get("Tag") or both.get("Tags"):
        return None
    return str(rule_filter.get("Prefix") or both.get("Prefix") or rule.get("Prefix") or "")
