"""Config files among the uploads of containers."""

import base64
from typing import Any

import pytest
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from files import Kind, UnreadableError, files
from tests.policy.engine import UNKNOWN


def of(**upload: Any) -> list[tuple[str, Kind]]:
    """Path and kind of the files of a container with one upload."""
    return [(file.path, file.kind) for file in files(unknown_checking_proxy({"uploads": [upload]}))]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("scrape_configs: []", Kind.PROMETHEUS, id="Prometheus"),
        pytest.param("positions: {}\nscrape_configs: []\nlimits_config: {}", Kind.PROMTAIL, id="Promtail"),
        pytest.param("groups: [{name: a, rules: []}]", Kind.RULES, id="rules"),
        pytest.param("auth_enabled: false\nschema_config: {}", Kind.LOKI, id="Loki"),
        pytest.param("overrides: {fake: {}}", Kind.LOKI_OVERRIDES, id="Loki's overrides"),
        pytest.param("receivers: {}\nservice: {pipelines: {}}", Kind.COLLECTOR, id="the collector"),
        pytest.param("route: {receiver: x}\nreceivers: []", Kind.OTHER, id="Alertmanager"),
        pytest.param("- a list", Kind.OTHER, id="a list"),
        pytest.param("# nothing yet", Kind.OTHER, id="nothing"),
    ],
)
def test_a_file_is_known_by_what_stands_in_it(text: str, kind: Kind) -> None:
    assert of(file="/etc/any.yml", content=text) == [("/etc/any.yml", kind)]


def test_alloy_is_known_by_its_suffix_and_base64_is_read() -> None:
    assert of(file="/c.alloy", content="logging { }") == [("/c.alloy", Kind.ALLOY)]
    assert of(file="/p.yml", contentBase64=base64.b64encode(b"scrape_configs: []").decode()) == [
        ("/p.yml", Kind.PROMETHEUS)
    ]


def test_a_container_without_uploads_has_no_files() -> None:
    assert list(files(unknown_checking_proxy({}))) == []


@pytest.mark.parametrize(
    ("upload", "says"),
    [
        pytest.param({"file": "/p.yml", "content": "a: [1"}, "/p.yml is no YAML", id="broken YAML"),
        pytest.param({"file": "/c.alloy", "content": "a = ["}, "/c.alloy is no config of Alloy", id="broken Alloy"),
        pytest.param({"file": "/p.yml", "source": "p.yml"}, "give its text as content", id="a path"),
    ],
)
def test_a_config_that_cannot_be_read_is_told(upload: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        of(**upload)


def test_an_unknown_config_is_not_passed_over_and_an_unknown_secret_is() -> None:
    with pytest.raises(UnknownValueError):
        of(file="/p.yml", content=UNKNOWN)
    assert of(file="/vault/password", content=UNKNOWN) == []
    assert of(file="/bin/tool", source="tool") == []
