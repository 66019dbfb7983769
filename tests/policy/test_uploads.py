"""Config files among the uploads of containers."""

import base64
from typing import Any

import pytest
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from components.file_archive import packed
from policies.readers.uploads import Kind, UnreadableError, files
from tests.policy.pack_host import UNKNOWN


def file_kinds(**upload: Any) -> list[tuple[str, Kind]]:
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
        pytest.param("# nothing yet", Kind.OTHER, id="an empty file"),
    ],
)
def test_the_content_of_a_file_tells_its_kind(text: str, kind: Kind) -> None:
    assert file_kinds(file="/etc/any.yml", content=text) == [("/etc/any.yml", kind)]


def test_the_suffix_tells_an_alloy_config_and_base64_is_decoded() -> None:
    assert file_kinds(file="/c.alloy", content="logging { }") == [("/c.alloy", Kind.ALLOY)]
    assert file_kinds(file="/p.yml", contentBase64=base64.b64encode(b"scrape_configs: []").decode()) == [
        ("/p.yml", Kind.PROMETHEUS)
    ]


def test_a_container_without_uploads_has_no_files() -> None:
    assert list(files(unknown_checking_proxy({}))) == []


def test_the_files_of_an_archive_are_read_one_by_one() -> None:
    archive = packed({"p.yml": "scrape_configs: []\n", "rules/r.yml": "groups: []\n"})
    assert file_kinds(file="/in.files", content=archive) == [
        ("/in/p.yml", Kind.PROMETHEUS),
        ("/in/rules/r.yml", Kind.RULES),
    ]


@pytest.mark.parametrize(
    ("upload", "says"),
    [
        pytest.param({"file": "/p.yml", "content": "a: [1"}, "/p.yml is not YAML", id="broken YAML"),
        pytest.param({"file": "/c.alloy", "content": "a = ["}, "/c.alloy is not an Alloy config", id="broken Alloy"),
        pytest.param({"file": "/p.yml", "source": "p.yml"}, "give its text as content", id="a path"),
        pytest.param({"file": "/in.files", "source": "in"}, "give its text as content", id="an archive by its path"),
        pytest.param({"file": "/in.files", "content": "a: 1\n"}, "/in.files is not an archive", id="no archive"),
        pytest.param({"file": "/in.files", "contentBase64": "YQ=="}, "is not an archive", id="an archive in Base64"),
    ],
)
def test_a_config_that_cannot_be_read_raises_an_error(upload: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        file_kinds(**upload)


def test_an_unknown_config_raises_an_error_and_an_unknown_secret_is_left_out() -> None:
    with pytest.raises(UnknownValueError):
        file_kinds(file="/p.yml", content=UNKNOWN)
    with pytest.raises(UnknownValueError):
        file_kinds(file="/in.files", content=UNKNOWN)
    assert file_kinds(file="/vault/password", content=UNKNOWN) == []
    assert file_kinds(file="/bin/tool", source="tool") == []
