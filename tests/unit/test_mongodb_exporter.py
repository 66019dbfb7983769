"""How the exporter reaches MongoDB."""

import pytest

from tests.support.program import PINNED, described, settings_of


@pytest.mark.parametrize(
    "uri", ["mongodb://mongo:27017", "mongodb+srv://cluster.example", "mongodb://a:1,b:2/?replicaSet=r"]
)
def test_it_connects_to_the_server_of_the_settings(uri: str) -> None:
    config = {"exporters": {"mongodb": {"uri": uri}}, "images": {"mongodb_exporter": PINNED["mongodb_exporter"]}}
    made = described("mongodb_exporter", settings_of(config))
    assert f"--mongodb.uri={uri}" in made.command
