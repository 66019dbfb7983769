"""Lifecycle rules of Loki's bucket, as a real S3 gives them (moto's)."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from check import lifecycle
from check.finding import Finding
from config.services.logs import loki
from config.settings import Settings
from tests.support.cloud import KEY, aws, cloud
from tests.unit.test_check import Engine

DAYS = 30
CREDENTIALS = loki.credentials_file(f"{KEY}:{KEY}")


def rule(prefix: str | None = "fake/", *, enabled: bool = True, **acts: Any) -> dict[str, Any]:
    filter_ = {} if prefix is None else {"Filter": {"Prefix": prefix}}
    return {"ID": "tiers", "Status": "Enabled" if enabled else "Disabled", **filter_, **acts}


def to(storage: str, days: int = 30) -> dict[str, Any]:
    return {"Transitions": [{"Days": days, "StorageClass": storage}]}


def after(days: int) -> dict[str, Any]:
    return {"Expiration": {"Days": days}}


OF_TAGS = {"Filter": {"Tag": {"Key": "tier", "Value": "cold"}}}
RIGHT: dict[str, list[dict[str, Any]]] = {
    "no rule": [],
    "chunks move to a class that answers at once": [rule(**to("STANDARD_IA")), rule(**to("GLACIER_IR", 90))],
    "chunks move by themselves": [rule(**to("INTELLIGENT_TIERING", 0))],
    "a store of another maker has names of its own": [rule(**to("WARM-TIER"))],
    "chunks expire after Loki has deleted them": [rule(**after(DAYS + 1))],
    "other folders of the bucket": [rule("backups/", **to("DEEP_ARCHIVE")), rule("indexes-of-a-book/", **after(1))],
    "objects with a tag": [{**rule(None, **after(1)), **OF_TAGS}],
    "a rule that is off": [rule("", enabled=False, **after(1))],
    "what Loki does not read": [
        rule(
            "",
            NoncurrentVersionExpiration={"NoncurrentDays": 7},
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
        )
    ],
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "everything moves": (
        rule("", **to("STANDARD_IA")),
        "tiers moves index/ and loki_cluster_seed.json: let it touch fake/ only",
    ),
    "everything expires, even late": (
        rule("", **after(400)),
        "tiers expires index/ and loki_cluster_seed.json: let it touch fake/ only",
    ),
    "the index moves": (rule("index/", **to("STANDARD_IA")), "tiers moves index/: let it touch fake/ only"),
    "a part of the index expires": (
        rule("index/index_2", **after(90)),
        "tiers expires index/: let it touch fake/ only",
    ),
    "what begins like the seed": (
        rule("loki", **to("STANDARD_IA")),
        "tiers moves loki_cluster_seed.json: let it touch fake/ only",
    ),
    "chunks are archived": (
        rule(**to("GLACIER")),
        "tiers moves chunks to GLACIER, which Loki cannot read at once: take GLACIER_IR, or none",
    ),
    "chunks are archived deeply": (
        rule(**to("DEEP_ARCHIVE", 180)),
        "tiers moves chunks to DEEP_ARCHIVE, which Loki cannot read at once: take GLACIER_IR, or none",
    ),
    "chunks expire too early": (
        rule(**after(DAYS)),
        "tiers expires chunks after 30 days, and logs.retention is 30: leave it to Loki, or wait 31 days",
    ),
    "a rule of the old form": (
        {"ID": "tiers", "Status": "Enabled", "Prefix": "index/", **after(90)},
        "tiers expires index/: let it touch fake/ only",
    ),
}


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with cloud("logs") as address:
        yield address


def finding_for(store: str, *rules: dict[str, Any]) -> Finding:
    """What the check says of a stack whose Loki has a bucket with these rules."""
    bucket, client = f"logs-{uuid.uuid4()}", aws(store, "s3")
    client.create_bucket(Bucket=bucket)
    if rules:
        numbered = [{**one, "ID": f"{one['ID']}{number or ''}"} for number, one in enumerate(rules)]
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": numbered})
    return _finding(bucket, store)


def _finding(bucket: str, endpoint: str | None, key: str | None = CREDENTIALS) -> Finding:
    logs = SimpleNamespace(s3=SimpleNamespace(bucket=bucket, region="us-east-1", endpoint=endpoint))
    logs.retention = SimpleNamespace(longest=f"{DAYS}d")
    files = {("loki", f"secrets/{loki.S3_CREDENTIALS}"): key} if key else {}
    settings: Any = SimpleNamespace(prefix="ns", logs=logs)
    [finding] = lifecycle.findings(Engine(files=files, loki={}), settings)  # type: ignore[arg-type]
    return finding


@pytest.mark.parametrize("rules", RIGHT.values(), ids=RIGHT)
def test_rules_that_leave_loki_what_it_reads_are_not_complained_of(store: str, rules: list[dict[str, Any]]) -> None:
    finding = finding_for(store, *rules)
    assert (finding.kept, finding.detail) == (True, f"{len(rules)} rules")


@pytest.mark.parametrize(("rule", "complaint"), WRONG.values(), ids=WRONG)
def test_a_rule_that_takes_something_from_loki_is_named(store: str, rule: dict[str, Any], complaint: str) -> None:
    finding = finding_for(store, rule)
    assert (finding.kept, finding.detail) == (False, complaint)


@pytest.mark.parametrize(
    ("bucket", "endpoint", "key", "detail"),
    [
        ("nobodys", None, CREDENTIALS, "takes s3:GetLifecycleConfiguration"),
        ("logs", "http://127.0.0.1:1", CREDENTIALS, "takes s3:GetLifecycleConfiguration"),
        ("logs", None, None, "the role of its host"),
    ],
    ids=["no such bucket", "a store that does not answer", "no key"],
)
def test_rules_that_cannot_be_read_are_said_to_be_so(
    store: str, bucket: str, endpoint: str | None, key: str | None, detail: str
) -> None:
    finding = _finding(bucket, endpoint or store, key)
    assert finding.kept
    assert detail in finding.detail


def test_a_stack_without_object_storage_asks_nobody() -> None:
    settings = Settings.model_validate({"environment": "test", "prefix": "ns"})
    assert not [*lifecycle.findings(Engine(), settings)]  # type: ignore[arg-type]


def test_a_command_without_a_bucket_does_not_pay_for_the_libraries_of_s3() -> None:
    """They take half a second of CPU."""
    program = "import sys, operate.__main__; print({'boto3', 'smart_open'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout == "set()\n"
