"""The user's own rule files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings.loading import SettingsError
from config.settings.own_rules import read

KEY = "Pulumi.test.yaml: nervous-system:alerts.rule_files"

RULES = "groups:\n  - name: shop\n    rules: []\n"


def test_files_are_read_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yml").write_text(RULES)
    (tmp_path / "more.yml").write_text(f"# größer\n{RULES}")
    texts = read(["rules/shop.yml", "more.yml"], tmp_path, stack_key=KEY)
    assert texts == {"shop.yml": RULES, "more.yml": f"# größer\n{RULES}"}


def test_a_letter_of_two_signs_is_read_as_it_arrives(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(f"# gro\u0308\u00dfer \uf900\n{RULES}")
    assert read(["shop.yml"], tmp_path, stack_key=KEY) == {"shop.yml": f"# gr\u00f6\u00dfer \u8c48\n{RULES}"}


def test_without_files_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read([], tmp_path, stack_key=KEY) == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.yml", None, "No such file"),
        ("folder.yml", "", "holds no file that ends with .yml or .yaml or .rules"),
        ("shop.json", b"{}", "rename it to shop.yml"),
        ("binary.yml", b"\xff\xfe", "decode"),
        ("broken.yml", b"groups: [", "is not YAML"),
        ("list.yml", b"- groups\n", "holds no `groups:`"),
        ("empty.yml", b"", "holds no `groups:`"),
        ("deep.yml", b"groups: " + b"[" * 5000, "is not YAML"),
        ("huge.yml", b"groups: []\n" + b"#" * 2**20, "no more than 1 is taken"),
        ("other.yml", b"rules: []\n", "holds no `groups:`"),
        ("service.yml", b"kind: Service\nspec: {groups: []}\n", "is a resource of the kind Service"),
        ("empty-resource.yml", b"kind: PrometheusRule\nspec: {}\n", "holds no `groups:`"),
    ],
)
def test_what_is_no_rule_file_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | str | None, words: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        (tmp_path / name).mkdir()
    with pytest.raises(SettingsError) as caught:
        read([name], tmp_path, stack_key=KEY)
    assert str(caught.value).startswith(f"{KEY}: {name}: ")
    assert words in str(caught.value)


def put(root: Path, **files: str) -> None:
    """Writes files; `__` in a name is a slash, `_` a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["rules"], ["deep.yml", "node.yml", "shop.yml", "rules-shop.yml"]),
        (["rules/*.rules"], ["node.yml"]),
        (["rules/**/*.yaml"], ["deep.yml", "shop.yml"]),
        (["rules/shop.yml", "rules", "rules/shop.yml"], ["shop.yml", "deep.yml", "node.yml", "rules-shop.yml"]),
        (["rules/shop.yml", "other/shop.yml"], ["shop.yml", "other-shop.yml"]),
    ],
    ids=["a folder", "a pattern", "a pattern with folders", "named twice", "one name in two folders"],
)
def test_files_are_found_as_people_name_them(tmp_path: Path, paths: list[str], names: list[str]) -> None:
    put(tmp_path, rules__node_rules=RULES, rules__shop_yml=RULES, rules__shop_yaml=RULES, rules__README_md="# rules")
    put(tmp_path, rules__deep__deep_yaml=RULES, other__shop_yml=RULES)
    read_ = read(paths, tmp_path, stack_key=KEY)
    assert sorted(read_) == sorted(names)
    assert set(read_.values()) == {RULES}


def test_a_pattern_that_no_file_fits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"alerts\.rule_files: rules/\*\.yml: holds no file that ends with \.yml"):
        read(["rules/*.yml"], tmp_path, stack_key=KEY)


ALERT = "{alert: Full, expr: disk > 9, labels: {severity: page}, annotations: {summary: full}}"


def of_groups(text: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return groups


@pytest.mark.parametrize(
    "text",
    [
        f"---\ngroups: [{{name: a, rules: [{ALERT}]}}]\n---\ngroups: [{{name: a, rules: [{ALERT}]}}]\n---\n",
        f"kind: PrometheusRule\nspec: {{groups: [{{name: a, rules: [{ALERT}]}}]}}\n---\ngroups: [{{name: a, rules: [{ALERT}]}}]",
        "apiVersion: v1\nkind: List\nitems:\n"
        + 2
        * f"- {{kind: PrometheusRule, spec: {{groups: [{{name: a, rules: [{ALERT}], partial_response_strategy: warn}}]}}}}\n",
    ],
    ids=["documents", "a resource and a document", "a list of resources"],
)
def test_each_document_of_a_file_becomes_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "disks.yaml").write_text(text)
    texts = read(["disks.yaml"], tmp_path, stack_key=KEY)
    assert list(texts) == ["disks.yml", "disks-2.yml"]
    for document in texts.values():
        assert of_groups(document) == [{"name": "a", "rules": [yaml.safe_load(ALERT)]}]


@pytest.mark.parametrize(
    ("rule", "severity", "summary"),
    [
        ("{alert: A, expr: up}", "warning", "A is at "),
        ("{alert: A, expr: up, labels: {team: on}}", "warning", "A is at "),
        ("{alert: A, expr: up, labels: {severity: ''}, annotations: {summary: }}", "warning", "A is at "),
        (
            "{alert: A, expr: up, labels: {severity: critical}, annotations: {description: gone}}",
            "critical",
            "A is at ",
        ),
        ("{alert: A, expr: up, labels: , annotations: {summary: Gone}}", "warning", "Gone"),
    ],
)
def test_an_alert_gets_the_severity_and_the_text_that_it_lacks(
    tmp_path: Path, rule: str, severity: str, summary: str
) -> None:
    (tmp_path / "a.yml").write_text(f"groups:\n- name: a\n  rules:\n  - {rule}\n  - {{record: a:b:c, expr: up}}\n")
    [text] = read(["a.yml"], tmp_path, stack_key=KEY).values()
    [alert, recorded] = of_groups(text)[0]["rules"]
    assert alert["labels"]["severity"] == severity
    assert alert["annotations"]["summary"].startswith(summary)
    assert recorded == {"record": "a:b:c", "expr": "up"}
    assert "team: on" in text or "team" not in rule  # YAML 1.1 reads it as true, Prometheus as the text
    if "description" in rule:
        assert alert["annotations"]["description"] == "gone"


def test_alerts_that_share_their_labels_by_an_alias_get_a_text_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(
        "groups:\n- name: a\n  rules:\n  - {alert: A, expr: up, annotations: &same {team: x}}\n"
        "  - {alert: B, expr: up, annotations: *same}\n"
    )
    [text] = read(["a.yml"], tmp_path, stack_key=KEY).values()
    summaries = [rule["annotations"]["summary"].split()[0] for rule in of_groups(text)[0]["rules"]]
    assert summaries == ["A", "B"]
