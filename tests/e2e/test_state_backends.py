"""Where state and secrets are kept: in a file under a passphrase, or in S3 under a key of a cloud's KMS.

Of each stack only the network is put on the engine: what is tested is the way to the state and back.
"""

from collections.abc import Iterator, Mapping

import pytest
from docker import DockerClient

from tests.support import leftovers
from tests.support.cloud import aws
from tests.support.cloud import cloud as a_cloud
from tests.support.deployment import PROJECT, Deployment, copy_program

WEBHOOK = "https://hooks.slack.example/hunter2"
BUCKET = "nervous-state"


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """The address of an S3 with a bucket, and of a KMS with the key `alias/pulumi`."""
    with a_cloud(BUCKET) as address:
        key = aws(address, "kms").create_key()["KeyMetadata"]["KeyId"]
        aws(address, "kms").create_alias(AliasName="alias/pulumi", TargetKeyId=key)
        yield address


@pytest.fixture
def places(cloud: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, str], str]]:
    """What the CLI's environment says of each place, and how the secrets are kept there."""
    query = f"endpoint={cloud}&s3ForcePathStyle=true&region=us-east-1"
    return {
        "file": (
            {
                "PULUMI_BACKEND_URL": tmp_path_factory.mktemp("state").as_uri(),
                "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            },
            "passphrase",
        ),
        "s3": (
            {
                "PULUMI_BACKEND_URL": f"s3://{BUCKET}?{query}",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_ENDPOINT_URL_KMS": cloud,
            },
            "awskms://alias/pulumi?region=us-east-1",
        ),
    }


@pytest.fixture(params=["file", "s3"])
def stack(
    request: pytest.FixtureRequest,
    places: dict[str, tuple[dict[str, str], str]],
    tmp_path_factory: pytest.TempPathFactory,
    client: DockerClient,
    environment: Mapping[str, str],
) -> Iterator[Deployment]:
    """A new one in a place of its own."""
    place, keeper = places[request.param]
    variables = {key: value for key, value in environment.items() if not key.startswith(("PULUMI_CONFIG_", "AWS_"))}
    folder = tmp_path_factory.mktemp("program")
    copy_program(folder)
    config = {"prefix": leftovers.new_prefix()}
    deployment = Deployment(folder, request.param, client, {**variables, **place}, config)
    deployment.write()
    deployment.pulumi("stack", "init", deployment.stack, "--secrets-provider", keeper)
    yield deployment
    deployment.pulumi("destroy", "--yes", "--skip-preview")
    deployment.pulumi("stack", "rm", "--yes", "--preserve-config")


def test_what_is_set_by_the_cli_is_deployed_and_no_secret_shows(stack: Deployment, cloud: str) -> None:
    for path, value in {
        "memory.host": "8GiB",
        "metrics.retention.time": "20d",
        "alerts.thresholds.cpu": "70",
        "exporters.probes[0].name": "shop",
        "exporters.probes[0].target": "https://shop.example",
    }.items():
        stack.pulumi("config", "set", "--path", path, value)
    stack.secret("slack_webhook", WEBHOOK)

    settings = stack.settings
    assert settings.memory_mib("prometheus") == 1024
    assert (settings.metrics.retention.time, settings.alerts.thresholds.cpu) == ("20d", 70)
    assert [probe.name for probe in settings.exporters.probes] == ["shop"]
    assert settings.secrets == {"slack_webhook"}

    network = f"urn:pulumi:{stack.stack}::{PROJECT}::docker:index/network:Network::network"
    stack.pulumi("up", "--yes", "--skip-preview", "--target", network)
    assert stack.client.networks.list(names=[stack.prefix])
    assert network in {resource["urn"] for resource in stack.resources()}
    assert WEBHOOK not in stack.state() + stack.file.read_text()
    if stack.stack == "s3":
        stored = aws(cloud, "s3").get_object(Bucket=BUCKET, Key=f".pulumi/stacks/{PROJECT}/s3.json")["Body"].read()
        assert network.encode() in stored
        assert WEBHOOK.encode() not in stored
    assert stack.pulumi("config", "get", "slack_webhook").strip() == WEBHOOK


@pytest.mark.parametrize("stack", ["file"], indirect=True)
def test_another_passphrase_opens_nothing(stack: Deployment) -> None:
    stack.secret("slack_webhook", WEBHOOK)
    right = stack.environment
    stack.environment = {**right, "PULUMI_CONFIG_PASSPHRASE": "wrong"}
    printed = stack.pulumi("config", "get", "slack_webhook", fails=True)
    stack.environment = right
    assert "incorrect passphrase" in printed
    assert WEBHOOK not in printed


@pytest.mark.parametrize("stack", ["s3"], indirect=True)
def test_without_the_key_of_the_kms_nothing_opens(stack: Deployment, cloud: str) -> None:
    stack.secret("slack_webhook", WEBHOOK)
    right = stack.environment
    stack.environment = {**right, "AWS_ENDPOINT_URL_KMS": cloud.replace("127.0.0.1", "127.0.0.2")}
    printed = stack.pulumi("config", "get", "slack_webhook", fails=True)
    stack.environment = right
    assert WEBHOOK not in printed
