"""An S3 and a KMS on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from tests.support.ports import free_port

REGION = "us-east-1"
KEY = "test"


@contextmanager
def cloud(bucket: str) -> Iterator[str]:
    """The address of both, the S3 with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    try:
        address = f"http://127.0.0.1:{server._port}"
        aws(address, "s3").create_bucket(Bucket=bucket)
        yield address
    finally:
        server.stop()


def aws(address: str, service: str) -> Any:
    """A client of S3 or KMS."""
    return boto3.client(
        service, endpoint_url=address, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=KEY
    )
